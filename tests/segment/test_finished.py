"""A result counts as done only for the same files, model and form; another one in its place is an error."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from gossamer.errors import UnreadableImageError, UsageError
from gossamer.evaluate.predicted import RECORD_FILE, LabelMapRecord, PredictionRecord
from gossamer.segment.finished import each_sha256, finished_record
from gossamer.segment.wanted import Wanted

MODEL = SimpleNamespace(sha256="ab")


@dataclass(frozen=True)
class ACt:
    case: str = "HN-017"
    content: str = "12"

    def sha256(self):
        return self.content


def written(folder: Path, **more) -> PredictionRecord:
    facts = {"gossamer_version": "1", "model_sha256": "ab", "image_sha256": "12", "volumes_ml": {}, "intended_use": ""}
    record = PredictionRecord(**(facts | more))
    folder.mkdir()
    (folder / RECORD_FILE).write_text(record.model_dump_json())
    return record


def test_what_was_predicted_before_is_found_again(tmp_path):
    assert finished_record(tmp_path, ACt(), MODEL, Wanted()) is None
    record = written(tmp_path / "HN-017", label_map=LabelMapRecord(labels={}, decided_voxels=0))
    assert finished_record(tmp_path, ACt(), MODEL, Wanted()) == record
    assert finished_record(tmp_path, ACt(), MODEL, Wanted(label_map=True)) == record


@pytest.mark.parametrize(
    ("source", "model", "wanted"),
    [
        (ACt(content="13"), MODEL, Wanted("rtstruct", 1.0)),
        (ACt(), SimpleNamespace(sha256="ac"), Wanted("rtstruct", 1.0)),
        (ACt(), MODEL, Wanted("rtstruct")),
        (ACt(), MODEL, Wanted("rtstruct", 1.0, holes="xor")),
        (ACt(), MODEL, Wanted("seg")),
        (ACt(), MODEL, Wanted(label_map=True)),
    ],
)
def test_a_result_of_another_image_model_or_form_is_an_error(tmp_path, source, model, wanted):
    record = written(tmp_path / "HN-017", form="rtstruct", smooth_mm=1.0)
    assert finished_record(tmp_path, ACt(), MODEL, Wanted("rtstruct", 1.0)) == record
    with pytest.raises(UsageError, match=r"HN-017: .*another model, image or form.*another -o"):
        finished_record(tmp_path, source, model, wanted)


def test_what_another_program_wrote_is_an_error(tmp_path):
    (tmp_path / "HN-017").mkdir()
    with pytest.raises(UsageError, match="delete that result"):
        finished_record(tmp_path, ACt(), MODEL, Wanted())


def test_files_that_are_gone_are_said_without_their_names(tmp_path):
    (tmp_path / "one").write_bytes(b"1")
    assert each_sha256("HN-017", [tmp_path / "one"]) == [hashlib.sha256(b"1").hexdigest()]
    with pytest.raises(UnreadableImageError, match=r"case HN-017: .*No such file") as caught:
        each_sha256("HN-017", [tmp_path / "one", tmp_path / "Doe"])
    assert "Doe" not in str(caught.value)
