"""Messages as bytes and back: one frame a message, what it says of itself in the header's metadata.

Law: ``decode(encode(message), limits)`` is the message, every tensor and mass to the bit; of any other bytes
``decode`` makes nothing but a ``WireError`` that names the field. Masses are written as hexadecimal floats, exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite

import torch

from gossamer.gossip.algorithm import Mass, Share
from gossamer.gossip.topology import SiteId
from gossamer.wire.frame import (
    METADATA,
    Buffer,
    Entry,
    Frame,
    Header,
    build_frame,
    parse_object,
    read_header,
    read_tensors,
    wire_error,
)
from gossamer.wire.limits import NOTICE_BYTES, Limits
from gossamer.wire.messages import ROLES, Envelope, Message, News, Notice, Receipt, ShareMessage

PROTOCOL = "1"

_ENVELOPE = {"kind", "protocol", "federation", "sender", "receiver", "exchange"}
_FIELDS = {
    "share": _ENVELOPE | {"attempt", "mass", "role", "phases", "heard"},
    "receipt": _ENVELOPE,
    "notice": {"kind", "protocol", "federation", "topic", "author", "signature"},
}

_COUNT = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
MOST_COUNTED_SITES = 256
"""So many counts fit into the room that ``limits`` leaves in a header."""

_COUNTS = re.compile(rf"(?:[0-9]{{1,9}}(?: [0-9]{{1,9}}){{0,{MOST_COUNTED_SITES - 1}}})?", re.ASCII)

_HASH = re.compile(r"[0-9a-f]{64}")
_TOPIC = re.compile(r"[a-z]{1,20}")
_SIGNATURE = re.compile(r"(?:[0-9a-f]{2}){1,80}")
_HEX_FLOAT = re.compile(r"0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4}")
MAX_SITE_NAME = 200


def is_site_name(name: str) -> bool:
    """Whether a site may be called so: what people see in a log must be what stands there."""
    return 0 < len(name) <= MAX_SITE_NAME and name.isprintable()


def encode(message: Message | Notice) -> Frame:
    """Write a message; a share's tensors are not copied."""
    if isinstance(message, Notice):
        content = torch.frombuffer(bytearray(message.content), dtype=torch.uint8)
        return build_frame(_notice_fields(message), {"content": content})
    if isinstance(message, Receipt):
        return build_frame(_envelope_fields("receipt", message.envelope), {})
    fields = _envelope_fields("share", message.envelope)
    fields |= {
        "attempt": str(message.attempt),
        "mass": _mass_text(message.share.mass),
        "role": message.role,
        "phases": _counts_text(message.news.phases),
        "heard": _counts_text(message.news.heard),
    }
    return build_frame(fields, message.share.params)


def decode(data: Frame | Buffer, limits: Limits) -> Message | Notice:
    """Read a message.

    Args:
        data: a whole frame. Where its memory may be written to, the tensors share it.
        limits: what shares look like here.

    Raises:
        WireError: anything else than a message within the limits; no other error is raised.
    """
    size_bytes = data.size_bytes if isinstance(data, Frame) else len(data)
    if size_bytes > limits.frame_bytes:
        raise wire_error("length", f"a frame of at most {limits.frame_bytes} bytes", size_bytes)
    header = read_header(data, limits.header_bytes)
    fields = header.metadata
    kind = fields.get("kind", "")
    if kind not in _FIELDS:
        raise wire_error("kind", " or ".join(_FIELDS), kind)
    if fields.keys() != _FIELDS[kind]:
        raise wire_error(METADATA, f"the fields {', '.join(sorted(_FIELDS[kind]))}", sorted(fields))
    if fields["protocol"] != PROTOCOL:
        raise wire_error("protocol", f"version {PROTOCOL} (update the older site)", fields["protocol"])
    if kind == "notice":
        return _notice(data, header)
    envelope = Envelope(
        _matching(fields, "federation", _HASH),
        _site(fields, "sender"),
        _site(fields, "receiver"),
        int(_matching(fields, "exchange", _COUNT)),
    )
    _require_tensors(header, limits if kind == "share" else Limits({}, {}))
    if kind == "receipt":
        return Receipt(envelope)
    attempt = int(_matching(fields, "attempt", _COUNT))
    mass = _mass(fields["mass"], limits)
    role = next((role for role in ROLES if role == fields["role"]), None)
    if role is None:
        raise wire_error("role", " or ".join(ROLES), fields["role"])
    news = News(_counts(fields, "phases"), _counts(fields, "heard"))
    return ShareMessage(envelope, Share(read_tensors(data, header), mass), attempt, role, news)


def _notice_fields(notice: Notice) -> dict[str, str]:
    return {
        "kind": "notice",
        "protocol": PROTOCOL,
        "federation": notice.federation,
        "topic": notice.topic,
        "author": notice.author,
        "signature": notice.signature.hex(),
    }


def _notice(data: Frame | Buffer, header: Header) -> Notice:
    fields = header.metadata
    match header.entries:
        case (Entry("content", torch.uint8, (length,)),) if 0 < length <= NOTICE_BYTES:
            content = bytes(read_tensors(data, header)["content"].numpy())
        case entries:
            raise wire_error("content", f"1 to {NOTICE_BYTES} bytes", [entry.shape for entry in entries])
    return Notice(
        _matching(fields, "federation", _HASH),
        _matching(fields, "topic", _TOPIC),
        _site(fields, "author"),
        content,
        bytes.fromhex(_matching(fields, "signature", _SIGNATURE)),
    )


def _envelope_fields(kind: str, envelope: Envelope) -> dict[str, str]:
    return {
        "kind": kind,
        "protocol": PROTOCOL,
        "federation": envelope.federation,
        "sender": envelope.sender,
        "receiver": envelope.receiver,
        "exchange": str(envelope.exchange),
    }


def _mass_text(mass: Mass) -> str:
    rows = {name: [number.hex() for number in row] for name, row in mass.rows.items()}
    return json.dumps({"body": mass.body.hex(), "rows": rows}, separators=(",", ":"))


def _counts_text(counts: tuple[int, ...]) -> str:
    return " ".join(map(str, counts))


def _counts(fields: Mapping[str, str], field: str) -> tuple[int, ...]:
    text = _matching(fields, field, _COUNTS)
    return tuple(map(int, text.split()))


def _require_tensors(header: Header, limits: Limits) -> None:
    """Names, dtypes and shapes are exactly those of the plan's network."""
    found = {entry.name: (entry.dtype, entry.shape) for entry in header.entries}
    for name in sorted(found.keys() | limits.tensors.keys()):
        if found.get(name) != limits.tensors.get(name):
            raise wire_error(name, _described(limits.tensors.get(name)), _described(found.get(name)))


def _described(tensor: tuple[object, tuple[int, ...]] | None) -> str:
    return f"{tensor[0]} {list(tensor[1])}" if tensor else "no such tensor"


def _mass(text: str, limits: Limits) -> Mass:
    said = parse_object(text, "mass")
    rows = said.get("rows")
    if said.keys() != {"body", "rows"} or not isinstance(rows, dict):
        raise wire_error("mass", "body and rows", said)
    if {name: len(row) if isinstance(row, list) else -1 for name, row in rows.items()} != limits.rows:
        raise wire_error("mass", f"rows of lengths {dict(limits.rows)}", sorted(rows))
    return Mass(_number(said["body"]), {name: tuple(map(_number, row)) for name, row in rows.items()})


def _number(text: object) -> float:
    """A mass: finite and >= 0."""
    if not isinstance(text, str) or not _HEX_FLOAT.fullmatch(text):
        raise wire_error("mass", "a hexadecimal number >= 0", text)
    try:
        number = float.fromhex(text)
    except OverflowError as error:
        raise wire_error("mass", "a number that is finite", text) from error
    if not isfinite(number):
        raise wire_error("mass", "a number that is finite", text)
    return number


def _matching(fields: Mapping[str, str], field: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(fields[field]):
        raise wire_error(field, f"text like {pattern.pattern}", fields[field])
    return fields[field]


def _site(fields: Mapping[str, str], field: str) -> SiteId:
    name = fields[field]
    if not is_site_name(name):
        raise wire_error(field, f"a site's name of 1 to {MAX_SITE_NAME} printable characters", name)
    return SiteId(name)
