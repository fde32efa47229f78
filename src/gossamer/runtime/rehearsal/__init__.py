"""A rehearsal of a federation: the real sites, the real lines, synthetic patients, a few short rounds.

It says which line is blocked or slow, and how long a round and the whole run will take, before a night is spent.
"""

from gossamer.runtime.rehearsal.report import Report
from gossamer.runtime.rehearsal.run import WAIT_S, Rehearsal

__all__ = ["WAIT_S", "Rehearsal", "Report"]
