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
