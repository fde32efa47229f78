"""What sites tell each other in a run, by topic.

Law: a notice that cannot be read, or is on another topic, never comes on the board, whoever signed it. What is on it
stands for ever, goes to every site, and is read by all that comes later, to the table at the end: one site's nonsense
would end every site's run, and as many topics as one likes would fill every site's disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gossamer.errors import NoticeError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.joining import JOIN, PLAN, fingerprints_of, plan_told
from gossamer.runtime.site_results import RESULT, result_told

END = "end"
"""The topic on which a site says that it has everything."""

_READERS: Mapping[str, Callable[[SiteId, bytes], object]] = {
    JOIN: lambda author, content: fingerprints_of({author: content}),
    PLAN: plan_told,
    RESULT: result_told,
    END: lambda author, content: None,
}


def require_readable(author: SiteId, topic: str, content: bytes) -> None:
    """Refuse a notice that no site of this release could read.

    Raises:
        NoticeError: it is not what its topic wants, or on none that there is.
    """
    if topic not in _READERS:
        raise NoticeError(
            f"wanted a notice of site {author} on one of {', '.join(_READERS)}; found topic {topic!r}; it is dropped: "
            "a newer release may know it"
        )
    _READERS[topic](author, content)
