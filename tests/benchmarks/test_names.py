"""The measuring of proposals counts each name once, and a wrong one ends with status 1."""

import pytest

from benchmarks import names


def measured(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["names", *map(str, arguments)])
    names.main()


def test_right_wrong_and_nothing_are_counted_apart(tmp_path, monkeypatch, capsys):
    (tmp_path / "ours.txt").write_text("Parotid_L: Lt parotid; LT PAROTID; Glandula\n-: PTV 60\nHeart: Cor\n")
    measured(monkeypatch, tmp_path / "ours.txt", "--each")
    printed = capsys.readouterr().out
    assert "| ours | 2 | 0 | 1 | 1 | 0 |" in printed
    assert "- organ, none: 'Glandula'" in printed


def test_a_wrong_proposal_is_named_and_exceeds_the_limit(tmp_path, monkeypatch, capsys):
    (tmp_path / "ours.txt").write_text("Liver: cor\n-: Herz\n")
    with pytest.raises(SystemExit):
        measured(monkeypatch, tmp_path / "ours.txt", "--each")
    printed = capsys.readouterr().out
    assert "| ours | 0 | 1 | 0 | 0 | 1 |" in printed
    assert "- organ, wrong: 'cor'" in printed
    assert "- no organ, wrong: 'Herz'" in printed
