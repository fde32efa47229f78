import json

import pytest
from tests.cli.tiny_model import model_that_finds
from tests.cli.typed import typed

from gossamer.cli.predict import predict
from gossamer.errors import DataError, EmptyMaskError, ModelFileError, StorageError, UnreadableImageError, UsageError

run = typed(predict)
pytestmark = pytest.mark.usefixtures("one_thread")


def test_masks_of_what_was_found_are_written_and_the_rest_is_named(tmp_path, ct):
    model = model_that_finds(tmp_path / "m", "Parotid_L", "SpinalCord")
    done = run("-i", ct, "-o", tmp_path / "out", "-m", model, "--labelmap")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out/HN-017"
    assert sorted(p.name for p in folder.iterdir()) == ["labelmap.nii.gz", "prediction.json", "segmentations"]
    assert sorted(p.name for p in (folder / "segmentations").iterdir()) == ["Parotid_L.nii.gz", "SpinalCord.nii.gz"]
    assert "HN-017\tParotid_L\t47.52 ml" in done.stdout  # 20 x 22 x 9 voxels of 12 mm3
    assert "HN-017\tParotid_R\tnot found" in done.stdout
    assert "left out: Parotid_R" in done.stderr
    assert "3960 voxels" in done.stderr
    assert "Not a medical device" in done.stderr


def test_json_goes_to_stdout_alone(tmp_path, ct):
    done = run("-i", ct, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"), "--json")
    assert json.loads(done.stdout)["HN-017"]["volumes_ml"]["Parotid_R"] == 0


def test_nothing_found_writes_nothing_and_is_an_error_of_its_own_status(tmp_path, ct):
    done = run("-i", ct, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m"))
    assert isinstance(done.exception, EmptyMaskError)
    assert done.exception.exit_status == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_one_bad_image_is_named_and_does_not_end_the_run(tmp_path, ct):
    (ct.parent / "HN-001.nii.gz").write_bytes(b"not an image")
    done = run("-i", ct.parent, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    assert (tmp_path / "out/HN-017/segmentations/Parotid_L.nii.gz").exists()
    assert "GOS-301: case HN-001, image" in " ".join(done.stderr.split())
    assert isinstance(done.exception, DataError)
    assert "found 1 that failed" in str(done.exception)


def test_single_bad_image_gives_its_own_error(tmp_path, ct):
    ct.write_bytes(b"not an image")
    done = run("-i", ct, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    assert isinstance(done.exception, UnreadableImageError)
    assert "GOS-301" not in done.stderr, "what runs the command says it, once"


def test_an_output_that_cannot_be_made_says_so_without_its_path(tmp_path, ct):
    (tmp_path / "Doe").write_bytes(b"")
    done = run("-i", ct, "-o", tmp_path / "Doe/out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    assert isinstance(done.exception, StorageError)
    assert "wanted to make the folder given with -o; found: Not a directory" in str(done.exception)
    assert "Doe" not in str(done.exception)


def test_same_command_again_has_nothing_left_to_do(tmp_path, ct):
    arguments = ("-i", ct, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    run(*arguments)
    written = (tmp_path / "out/HN-017/prediction.json").stat().st_mtime_ns
    again = run(*arguments)
    assert again.exit_code == 0
    assert "predicted before" in again.stderr
    assert (tmp_path / "out/HN-017/prediction.json").stat().st_mtime_ns == written


def test_result_of_another_model_is_neither_mixed_nor_overwritten(tmp_path, ct):
    run("-i", ct, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    done = run("-i", ct, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m2", "Parotid_R"))
    assert isinstance(done.exception, UsageError)
    assert (tmp_path / "out/HN-017/segmentations/Parotid_L.nii.gz").exists()


def test_damaged_model_and_unknown_device_say_so(tmp_path, ct):
    (tmp_path / "m").write_bytes(b"PK\x03\x04 a pickle inside")
    assert isinstance(run("-i", ct, "-o", tmp_path / "out", "-m", tmp_path / "m").exception, ModelFileError)
    model = model_that_finds(tmp_path / "m2", "Parotid_L")
    done = run("-i", ct, "-o", tmp_path / "out", "-m", model, "--device", "tpu")
    assert isinstance(done.exception, UsageError)
