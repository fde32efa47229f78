"""The command line as a user types it, in this process."""

import signal

import pytest

from gossamer import bounded_pool
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
def _files_are_read_here(monkeypatch):
    """Files are read in this process, where tests can reach them; workers are tested with what they do."""
    here = bounded_pool.outcomes

    def outcomes(function, jobs, bounds_of, *, workers, at_a_time=1):
        return here(function, jobs, bounds_of, workers=0, at_a_time=at_a_time)

    monkeypatch.setattr("gossamer.data.importers.run.outcomes", outcomes)
    monkeypatch.setattr("gossamer.dicom.files.headers.outcomes", outcomes)
    monkeypatch.setattr("gossamer.dicom.rtstruct.skim.outcomes", outcomes)


@pytest.fixture
def one_thread():
    """A tiny network on one thread: more would wait for each other."""
    import torch  # most tests of this folder do without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
