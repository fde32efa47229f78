"""The command line as a user types it, in this process."""

import signal

import pytest

from gossamer.cli.main import main


@pytest.fixture
def run_main(monkeypatch, capsys):
    """The whole command line in this process: exit status, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["gossamer", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would have it ignored
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _read_here(files_are_read_here):
    """Files are read in this process."""


@pytest.fixture
def one_thread():
    """A tiny network on one thread: more would wait for each other."""
    import torch  # most tests of this folder do without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def ct(tmp_path):
    """A CT as NIfTI, in a folder of its own: 20 x 22 x 9 voxels of 12 mm3."""
    import nibabel  # most tests of this folder do without
    import numpy as np

    (tmp_path / "in").mkdir()
    voxels = np.full((20, 22, 9), 30, dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / "in/HN-017.nii.gz")
    return tmp_path / "in/HN-017.nii.gz"
