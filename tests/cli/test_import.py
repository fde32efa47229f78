"""``gossamer import``: exit statuses, what goes to stdout and stderr, and going on after a stop."""

import csv
import json
import signal
import sys

import nibabel
import numpy as np
import pytest
import typer

from gossamer.cli.import_ import import_app
from gossamer.cli.main import main
from gossamer.data.dataset import Dataset
from gossamer.data.importers import label_map

AFFINE = np.diag([-1.0, -1.0, 3.0, 1.0])
COLUMNS = ("id", "site", "split", "image", "labelmap", "annotated", "complete")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Flushing takes most of the time of these tests, and no test cuts the power."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def source(tmp_path):
    """Four patients of site A in a table, below a folder with a patient's name."""
    folder = tmp_path / "Doe^John"
    folder.mkdir()
    (folder / "labels.json").write_text('{"1": "Liver", "2": "Kidney_L"}')
    labels = np.zeros((6, 5, 4), dtype=np.uint8)
    labels[:3, 1:3, 1:3], labels[3:, 3:, 1:3] = 1, 2
    for n in range(4):
        nibabel.save(nibabel.Nifti1Image(np.full(labels.shape, 40 + n, np.int16), AFFINE), folder / f"p{n}_ct.nii")
        nibabel.save(nibabel.Nifti1Image(labels, AFFINE), folder / f"p{n}_oar.nii")
    write_index(folder, *(row(n) for n in range(4)))
    return folder


def row(n, **changes):
    found = dict(
        zip(COLUMNS, (f"p{n}", "A", "train", f"p{n}_ct.nii", f"p{n}_oar.nii", "Liver|Kidney_L", "Liver"), strict=True)
    )
    return {**found, **changes}


def write_index(folder, *rows):
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def gossamer(monkeypatch, capsys):
    """Runs a command line as a user does: exit status, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gossamer", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert "Doe" not in out + err, "no path that holds a name"
        return done.value.code or 0, out, err

    on_interrupt = signal.getsignal(signal.SIGINT)  # main() sets its own
    yield run
    signal.signal(signal.SIGINT, on_interrupt)


@pytest.fixture
def table(gossamer, source, tmp_path):
    """Imports the table into ``out``."""

    def run(*options):
        return gossamer(
            "import", "table", source / "index.csv", "--labels", source / "labels.json",
            "--out", tmp_path / "out", "--workers", 1, *options,
        )  # fmt: skip

    return run


def test_the_summary_goes_to_stdout_and_words_to_stderr(table, tmp_path):
    status, out, err = table()
    assert status == 0
    (line,) = [line for line in out.splitlines() if "Liver" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:4] == ["A", "4", "0", "0"]
    assert "Kidney_L 4 (0), Liver 4 (4)" in " ".join(cells)
    assert "Importing cases" in err
    assert "Importing" not in out
    assert len(Dataset.open(tmp_path / "out/A").cases) == 4


def test_without_a_terminal_there_is_no_bar_and_no_control_character(table):
    _, out, err = table()
    assert not set("━╸╺\r\x1b") & set(err)
    assert not set("\r\x1b") & set(out)
    assert [line for line in err.splitlines() if line] == ["Importing cases …", "Importing cases: done in 0:00:00"]


def test_json_alone_is_on_stdout(table, tmp_path):
    _, out, _ = table("--json")
    summary = json.loads(out)
    (site,) = summary["sites"]
    assert (site["site"], site["train"], site["val"], site["test"]) == ("A", 4, 0, 0)
    assert site["structures"] == {
        "Kidney_L": {"drawn": 4, "complete": 0},
        "Liver": {"drawn": 4, "complete": 4},
    }
    assert site["sha256"] == Dataset.open(tmp_path / "out/A").sha256
    assert (summary["failed"], summary["left_out"], site["set_aside"]) == ({}, [], [])
    assert (summary["kept"], summary["written"]) == (0, 4)


def test_the_same_command_again_has_nothing_to_do_and_says_so(table, tmp_path):
    _, first, _ = table("--json")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")}
    status, second, err = table("--json")
    assert status == 0
    assert "Nothing to do: 4 cases were imported before." in err
    assert json.loads(second)["sites"] == json.loads(first)["sites"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")} == times


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(table, monkeypatch, tmp_path):
    read_nifti = label_map.read_nifti

    def stop_at_the_third(path, what):
        if path.name.startswith("p2"):
            signal.raise_signal(signal.SIGINT)
        return read_nifti(path, what)

    with monkeypatch.context() as patched:
        patched.setattr(label_map, "read_nifti", stop_at_the_third)
        status, out, err = table()
    assert (status, out) == (130, "")
    assert "Stopped. The same command again goes on from here." in err
    status, _, err = table()
    assert status == 0
    assert "Went on: 2 cases were imported before, 2 now." in err
    Dataset.open(tmp_path / "out/A").verify()


def test_one_bad_case_is_named_counted_and_borne(table, source):
    (source / "p1_ct.nii").write_bytes(b"torn")
    status, out, _ = table()
    assert status == 0
    assert "Set aside at site A: p1: case p1, image: wanted NIfTI in one file; found something else; convert it" in out
    status, out, _ = table("--json")
    assert [bad["case"] for bad in json.loads(out)["sites"][0]["set_aside"]] == ["p1"]


def test_more_than_a_twentieth_of_bad_cases_end_with_status_3_and_all_reasons(table, source, tmp_path):
    for n in (1, 2):
        (source / f"p{n}_ct.nii").write_bytes(b"torn")
    status, _, err = table()
    assert status == 3
    assert "GOS-306: site A: wanted at most 1 bad cases of 4 (5%); found 2:\n  p1: case p1, image" in err
    assert "--max-set-aside" in err
    assert not (tmp_path / "out/A/dataset.json").exists()
    assert table("--max-set-aside", 0.5)[0] == 0


def test_a_failing_site_is_in_the_json_and_the_others_are_imported(table, source, tmp_path):
    write_index(source, row(0, site="B", split="val"), row(1))
    status, out, err = table("--json")
    assert status == 3
    assert "GOS-305: site B: wanted cases of split 'train'" in err
    summary = json.loads(out)
    assert [site["site"] for site in summary["sites"]] == ["A"]
    assert list(summary["failed"]) == ["B"]
    Dataset.open(tmp_path / "out/A").verify()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"annotated": "Livr"}, "GOS-303: index, line 2 (case p0), annotated: "),
        ({"split": "training"}, "GOS-307: index, line 2 (case p0): wanted split train, val, test; found 'training'"),
        ({"id": "../p0"}, "GOS-307: index, line 2, id: wanted 1 to 64 letters"),
    ],
)
def test_a_wrong_index_ends_with_status_3_before_anything_is_written(table, source, tmp_path, changes, code):
    write_index(source, row(0, **changes), row(1))
    status, out, err = table()
    assert (status, out) == (3, "")
    assert code in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ['[names]\nx = "Livr"\n', "[nmaes]\n", "names = 3", None])
def test_a_wrong_file_of_names_is_told_apart_from_bad_data(table, source, content):
    if content is not None:
        (source / "names.toml").write_text(content)
    status, out, err = table("--names", source / "names.toml")
    assert (status, out) == ((3, "") if content and "Livr" in content else (4, ""))
    assert err.startswith("GOS-")


def test_a_full_disk_ends_with_status_6_and_loses_nothing(table, monkeypatch, tmp_path):
    left = [16]  # flushes until it is full: some way into the second case

    def fill_up(_descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fill_up)
        status, out, err = table()
    assert (status, out) == (6, "")
    assert "GOS-602: wanted to write " in err
    assert "found no room on its disk; free some and run the same command again" in err
    assert not [path for path in (tmp_path / "out/A").iterdir() if path.name.startswith(".")]
    status, _, err = table()
    assert status == 0
    assert "Went on: 1 case was imported before, 3 now." in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "table"),
        ("import", "table", "index.csv", "--labels", "labels.json"),
        ("import", "nnunet", "folder", "--out", "out", "--val-fraction", "2"),
        ("import", "msd", "folder", "--out", "out", "--workers", "0"),
        ("import", "openkbp", "folder", "--out", "out", "--no-such-option"),
        ("import", "dcm", "folder"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(gossamer, arguments):
    status, out, err = gossamer(*arguments)
    assert (status, out) == (2, "")
    assert "Usage: " in err
    assert "gossamer import" in err


@pytest.mark.parametrize("layout", ["nnunet", "msd", "totalsegmentator", "openkbp"])
def test_a_folder_of_another_layout_ends_with_status_3(gossamer, source, tmp_path, layout):
    status, out, err = gossamer("import", layout, source, "--out", tmp_path / "out")
    assert (status, out) == (3, "")
    assert err.startswith("GOS-307: ")
    assert "; give the folder" in err


def test_the_layouts_of_whole_sets_differ_in_nothing_but_the_reader(gossamer, source, tmp_path):
    """The same patients as nnU-Net, decathlon and TotalSegmentator folders become the same dataset."""
    ct, labels = nibabel.load(source / "p0_ct.nii"), nibabel.load(source / "p0_oar.nii")
    made = {layout: tmp_path / layout for layout in ("nnunet", "msd", "totalsegmentator")}
    places = {
        made["nnunet"] / "imagesTr/p0_0000.nii.gz": ct,
        made["nnunet"] / "labelsTr/p0.nii.gz": labels,
        made["msd"] / "imagesTr/p0.nii.gz": ct,
        made["msd"] / "labelsTr/p0.nii.gz": labels,
        made["totalsegmentator"] / "p0/ct.nii.gz": ct,
    }
    for value, name in ((1, "liver"), (2, "kidney_left")):
        mask = nibabel.Nifti1Image((np.asarray(labels.dataobj) == value).astype(np.uint8), AFFINE)
        places[made["totalsegmentator"] / f"p0/segmentations/{name}.nii.gz"] = mask
    for path, image in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, path)
    description = {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz",
                   "labels": {"background": 0, "liver": 1, "kidney_left": 2}}  # fmt: skip
    (made["nnunet"] / "dataset.json").write_text(json.dumps(description))
    pair = {"image": "./imagesTr/p0.nii.gz", "label": "./labelsTr/p0.nii.gz"}
    description = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "kidney left"},
                   "training": [pair]}  # fmt: skip
    (made["msd"] / "dataset.json").write_text(json.dumps(description))

    files = []
    for layout, folder in made.items():
        out = tmp_path / "out" / layout
        status, _, err = gossamer("import", layout, folder, "--out", out, "--site", "H1", "--workers", 1)
        assert status == 0, err
        (case,) = Dataset.open(out / "H1").cases
        files.append((dict(sorted(case.sha256.items())), set(case.annotated), set(case.complete)))
    assert files[0] == files[1] == files[2]
    assert files[0][1] == {"Liver", "Kidney_L"}


def test_no_option_skips_the_check_of_the_grid():
    commands = typer.main.get_command(import_app).commands
    options = {option for command in commands.values() for parameter in command.params for option in parameter.opts}
    assert {"--names", "--max-set-aside"} <= options
    assert not [option for option in options if any(word in option for word in ("grid", "geometry", "force", "check"))]
