"""What sites tell each other in a run, by topic.

Law: a notice that cannot be read, or is on another topic, never comes on the board, whoever signed it. What is on it
stands for ever, goes to every site, and is read by all that comes later, to the table at the end: one site's nonsense
would end every site's run, and as many topics as one likes would fill every site's disk.
"""

from __future__ import annotations

from gossamer.runtime.board import readable_by
from gossamer.runtime.joining import JOIN, PLAN, fingerprints_of, plan_told
from gossamer.runtime.site_results import RESULT, result_told

END = "end"
"""The topic on which a site says that it has everything."""

require_readable = readable_by(
    {
        JOIN: lambda author, content: fingerprints_of({author: content}),
        PLAN: plan_told,
        RESULT: result_told,
        END: lambda author, content: None,
    }
)
"""Refuses a notice that no site of this release could read."""
