"""Looking at a site before it takes part in a federation: its keys, its machine, its data, the way to its peers."""

from gossamer.runtime.preflight.finding import Finding, exit_status
from gossamer.runtime.preflight.run import check_site

__all__ = ["Finding", "check_site", "exit_status"]
