"""How fast an answer has to come: a bound on each read alone lets a peer hold us for ever with a byte now and then.

Law
    1. The first byte may take as long as silence may. From then on each ``fewest`` have to come within one window of
       waiting; an answer that is shorter has to end within one.
    2. A wait ends with its window. Only waiting counts, not what we do with what came.

So how long a whole answer may take follows from its length and from the speed that is measured, and is never set.
"""

from __future__ import annotations

FEWEST_BYTES_S = 2**12
"""A slice of 512 x 512 in two minutes: a quarter of what two channels of ISDN carry."""

LEAST_WAIT_S = 1e-3
"""A socket takes a timeout of 0 for none at all."""


class TooSlowError(OSError):
    """What whoever reads a socket sees: a line that broke."""


class Pace:
    """Of one answer, or of one message; counts bytes, or whatever comes."""

    def __init__(self, window_s: float, fewest: float | None = None) -> None:
        """Prepare.

        Args:
            window_s: as long as silence may last.
            fewest: that have to come in it; ``FEWEST_BYTES_S`` a second without it.
        """
        self._window_s = window_s
        self._fewest = FEWEST_BYTES_S * window_s if fewest is None else fewest
        self.restart()

    def restart(self) -> None:
        """An answer begins."""
        self.begun = False
        self._waited_s = 0.0
        self._came = 0

    @property
    def left_s(self) -> float:
        """How long the next may take."""
        return max(self._window_s - self._waited_s, LEAST_WAIT_S)

    def note(self, waited_s: float, came: int) -> None:
        """Something has come.

        Raises:
            TooSlowError: too little has in all of a window.
        """
        if self.begun:
            self._waited_s += waited_s
        self.begun = True
        self._came += came
        if self._came >= self._fewest:
            self._waited_s, self._came = 0.0, 0
        elif self._waited_s >= self._window_s:
            raise TooSlowError
