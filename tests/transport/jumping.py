"""Loops whose clock jumps over the time in which nobody has anything to do.

Hours pass at once, and on a busy machine no timer runs out before what it waits for has had its turn.
"""

import asyncio
import selectors


class JumpingSelector(selectors.DefaultSelector):
    """Nobody waits: what the loop would sleep, its clock jumps.

    Where there are sockets, it first looks at them for ``look_s`` of real time: what was sent may be on its way.
    """

    def __init__(self, look_s):
        super().__init__()
        self.now_s, self._look_s = 0.0, look_s

    def select(self, timeout=None):
        if timeout is None:
            assert self._look_s, "everybody waits for something that does not come"
            return super().select()  # for sockets alone
        ready = super().select(min(timeout, self._look_s))
        if not ready:
            self.now_s += max(timeout, 0.0)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """Such a loop; threads' work is not waited for."""

    def __init__(self, look_s=0.03):
        self._jumping = JumpingSelector(look_s)
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now_s


def run_in_no_time(work):
    """``asyncio.run`` in such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)
