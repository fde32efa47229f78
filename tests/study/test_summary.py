"""The tables on the terminal."""

import re
from pathlib import Path

from rich.console import Console

from gossamer.data.dataset import Dataset
from gossamer.data.phantom import write_cohort
from gossamer.data.phantom.hospital import Hospital, Scanner
from gossamer.study.report import render
from gossamer.study.summary import closing_table, opening_table


def printed(results, cases_csv):
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(closing_table(results, cases_csv))
    return capture.get()


def test_terminal_and_report_say_the_same_numbers(study, cases_csv):
    text = printed(study[0], cases_csv)
    html = re.sub(r"<[^>]+>", " ", render(study[0], cases_csv))
    numbers = re.findall(r"[−+]?\.\d{3}|\[[^]%]+\]", text)
    assert len(numbers) == 4 * 3 + 3 * 2  # DSC, its interval and the worst site; the difference and its interval
    for shown in numbers:
        assert shown in html


def test_table_fits_a_terminal_of_eighty_columns(study, cases_csv):
    lines = printed(study[0], cases_csv).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert [line.split()[0] for line in lines[2:]] == ["local-only", "pooled", "fedavg", "gossip"]
    assert "all images" in lines[3]
    assert "3,024 MB" in lines[5]
    assert " 0 MB" in lines[2]


def test_example_in_the_documentation_prints_the_arms(study, cases_csv, tmp_path, capsys, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "concepts" / "report.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    folder = tmp_path / "runs" / "openkbp"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(study[0].model_dump_json())
    (folder / "cases.csv").write_bytes(cases_csv.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "local-only", "pooled", "fedavg", "gossip"]  # fmt: skip


def test_opening_table_says_who_draws_what_and_how_often(tmp_path):
    hospital = Hospital("A", Scanner(spacing_mm=(6.0, 6.0, 6.0)), coverage={"Spleen": 0.0})
    [folder] = write_cohort(tmp_path, hospitals=[hospital], train=1, val=1)
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(opening_table({"A": Dataset.open(folder)}, ("Liver", "Spleen")))
    assert capture.get().splitlines()[1].split("  ")[0] == "A"
    assert "1 + 1  6.0 × 6.0 × 6.0  Liver; never Spleen" in capture.get()
