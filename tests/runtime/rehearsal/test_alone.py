"""The rehearsal's folder is there for it alone, and gone afterwards, however it ends."""

import pytest

from gossamer.errors import FolderBusyError, StorageError
from gossamer.only_writer import only_writer
from gossamer.runtime.rehearsal.alone import own_folder


@pytest.fixture
def site(federation):
    return federation.found().site("A")


def test_the_folder_is_new_and_the_run_s_is_held_until_it_ends(site, tmp_path):
    folder = tmp_path / "runs/first/rehearsal"
    (folder / "board").mkdir(parents=True)
    with own_folder(site, folder):
        assert list(folder.iterdir()) == []
        with pytest.raises(FolderBusyError), only_writer(folder.parent):
            pass
    assert not folder.exists()
    with only_writer(folder.parent):
        pass


def test_what_goes_wrong_in_a_rehearsal_is_not_taken_for_the_folder(site, tmp_path):
    folder = tmp_path / "runs/first/rehearsal"
    with pytest.raises(OSError, match="of something else"), own_folder(site, folder):
        raise OSError("of something else")
    assert not folder.exists()


def test_what_lies_in_its_place_and_cannot_be_removed_is_told(site, tmp_path):
    (tmp_path / "rehearsal").touch()
    with pytest.raises(StorageError, match="a folder for the rehearsal"), own_folder(site, tmp_path / "rehearsal"):
        pytest.fail("there is none")
