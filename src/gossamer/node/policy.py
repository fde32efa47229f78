"""What a site does not let into its model, however well-formed."""

from __future__ import annotations

from gossamer.errors import ShareRefusedError
from gossamer.gossip.finite import is_finite
from gossamer.wire.messages import ShareMessage


def refuse_unless_finite(message: ShareMessage) -> None:
    """One NaN in one share would spread to all sites within a sweep.

    Raises:
        ShareRefusedError: a parameter is not a finite number.
    """
    for name, tensor in message.share.params.items():
        if not is_finite(tensor):
            raise ShareRefusedError(
                f"wanted finite parameters; found nan or inf in '{name}', in the share of site "
                f"{message.envelope.sender!a:.60}; its training has diverged: lower the learning rate there"
            )
