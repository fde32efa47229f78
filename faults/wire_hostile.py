"""Frames and files that were tampered with, by seed: refused by name, or within the limits; nothing else.

What only changes numbers inside a share, or voxels in a NIfTI file without a checksum, cannot be told from another
share or image: TLS and the data set's own hashes keep it out. Where something has a signature or a hash of its own
(notices, letters, journal, models, .nii.gz), no change at all may pass.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch

from faults.campaign import Campaign, Result
from gossamer.data.nifti import read_file, write_file
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.errors import DataError, GossamerError, ModelFileError, StorageError, WireError
from gossamer.gossip import Mass, Share
from gossamer.gossip.topology import SiteId
from gossamer.nets import build_network, parameters_of
from gossamer.runtime.federation_file import new_federation, read_federation
from gossamer.segment.model_file import ModelRecord, read_model, write_model
from gossamer.transport import letters, line_messages
from gossamer.transport.identity import is_signed, new_identity, sign
from gossamer.transport.sealing import open_letter, seal_letter
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Envelope, Message, News, Notice, Receipt, ShareMessage
from gossamer.wire.values import pack, unpack

LONGEST_S = 1.0
"""Of this process' own time, for an input of a few kilobytes: what takes longer hangs."""

HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, 1e308, "", "x", "F32", "BF16", "U8", "0x1.0p+0", "\x00", "9" * 30,
    "\ud800", [], [0], [0, 4], [0, 2**40], [-1, 3], [[0], [4]], {}, {"x": 1}, [2**40] * 8, [1] * 9, "receipt", "share",
]  # fmt: skip

Trick = Callable[[random.Random, bytearray], bytes]


@dataclass(frozen=True)
class Target:
    """What is tampered with, and who reads it.

    Attributes:
        name: of the kind.
        wholes: sound ones.
        read: makes something of the bytes.
        refusal: the only error that reading may raise.
        is_wrong: whether what was made of tampered bytes must not have been made.
        tricks: what fits this kind.
    """

    name: str
    wholes: tuple[bytes, ...]
    read: Callable[[bytes], Any]
    refusal: type[GossamerError]
    is_wrong: Callable[[Any], bool]
    tricks: tuple[Trick, ...]


def flip_bits(chance: random.Random, data: bytearray) -> bytes:
    """Half of the flips where they hurt: in the length and the JSON, if there is such a thing."""
    end = chance.choice([len(data), min(len(data), 8 + int.from_bytes(data[:8], "little"))])
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(data)


def cut_off(chance: random.Random, data: bytearray) -> bytes:
    """Less than there was."""
    return bytes(data[: chance.randrange(len(data))])


def append(chance: random.Random, data: bytearray) -> bytes:
    """More than there was."""
    return bytes(data) + chance.randbytes(chance.choice([1, 4, 8, 100]))


def move_a_slice(chance: random.Random, data: bytearray) -> bytes:
    """Some bytes take the place of others."""
    size = chance.randint(1, 40)
    here, there = chance.randrange(len(data)), chance.randrange(len(data))
    data[there : there + size] = data[here : here + size]
    return bytes(data)


def other_number(chance: random.Random, data: bytearray) -> bytes:
    """A field of 2, 4 or 8 bytes, at its place, takes a value at its limits."""
    width = chance.choice([2, 4, 8])
    at = chance.randrange(0, max(1, len(data) - width), 2)
    value = chance.choice([0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1])
    data[at : at + width] = value.to_bytes(width, "little")
    return bytes(data)


def double_header(chance: random.Random, data: bytearray) -> bytes:
    """Twice, with or without a length of its own."""
    end = 8 + int.from_bytes(data[:8], "little")
    return bytes(data[:end] + data if chance.random() < 0.5 else data[:end] + data[8:end] + data[end:])


def other_length(chance: random.Random, data: bytearray) -> bytes:
    """Another length in front."""
    length = int.from_bytes(data[:8], "little")
    other = chance.choice([0, 1, length - 1, length + 1, length + 8, len(data), 2**32, 2**63, chance.randrange(2**64)])
    return other.to_bytes(8, "little") + bytes(data[8:])


def swap_offsets(chance: random.Random, data: bytearray) -> bytes:
    """Two tensors change places."""

    def change(document: Any) -> None:
        names = [name for name in document if name != "__metadata__"]
        if len(names) > 1:
            one, other = (document[name] for name in chance.sample(names, 2))
            one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]

    return rewritten(data, change)


def spoil_a_value(chance: random.Random, data: bytearray) -> bytes:
    """One value of the JSON becomes another."""

    def change(document: Any) -> None:
        place, key = chance.choice(list(leaves(document)))
        place[key] = chance.choice(HOSTILE)

    return rewritten(data, change)


def drop_or_rename(chance: random.Random, data: bytearray) -> bytes:
    """One key of the JSON is gone, or is called otherwise."""

    def change(document: Any) -> None:
        place, key = chance.choice([each for each in leaves(document) if isinstance(each[0], dict)])
        value = place.pop(key)
        if chance.random() < 0.7:
            place[chance.choice(["", "body", "scale", "kind", "dtype", "__metadata__", key * 2])] = value

    return rewritten(data, change)


def rewritten(data: bytearray, change: Callable[[Any], None]) -> bytes:
    """A safetensors frame with another JSON, its length right."""
    end = 8 + int.from_bytes(data[:8], "little")
    document = json.loads(data[8:end])
    change(document)
    text = json.dumps(document).encode()
    return len(text).to_bytes(8, "little") + text + data[end:]


def leaves(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    for key, each in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(each, dict | list):
            yield from leaves(each)


def gzipped(trick: Trick) -> Trick:
    """Tamper with what is inside, and compress it soundly again."""
    return lambda chance, data: gzip.compress(trick(chance, bytearray(gzip.decompress(data))), 1)


PLAIN: tuple[Trick, ...] = (flip_bits, cut_off, append, move_a_slice, other_number)
FRAMED: tuple[Trick, ...] = (*PLAIN, double_header, other_length, spoil_a_value, drop_or_rename, swap_offsets)


def frames() -> Target:
    """Shares of both paces, and receipts."""
    envelope = Envelope("0123456789abcdef" * 4, SiteId("Utrecht"), SiteId("Köln (Süd)"), 4)
    generator = torch.Generator().manual_seed(3)
    params = {
        "body": torch.randn(4, 3, generator=generator),
        "scale": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "wide": torch.randn(2, generator=generator, dtype=torch.float64),
        "head.bias": torch.randn(3, generator=generator),
    }
    share = Share(params, Mass(12.0, {"head.bias": (12.0, 4.0, 0.0)}))
    limits = Limits.of(share.params, share.mass)
    news = News((3, 2), (5, 4))
    sound: tuple[Message, ...] = (
        ShareMessage(envelope, share, 1), ShareMessage(envelope, share, 0, "swap", news), Receipt(envelope)
    )  # fmt: skip

    def is_wrong(message: Any) -> bool:
        names = (message.envelope.sender, message.envelope.receiver)
        if message.envelope.exchange < 0 or not all(0 < len(name) <= 200 for name in names):
            return True
        if isinstance(message, Receipt):
            return False
        masses = [message.share.mass.body, *message.share.mass.rows["head.bias"]]
        fits = Limits.of(message.share.params, message.share.mass) == limits
        return not fits or not all(0 <= mass < float("inf") for mass in masses)

    wholes = tuple(encode(message).to_bytes() for message in sound)
    return Target("frames", wholes, lambda data: decode(data, limits), WireError, is_wrong, FRAMED)


def notices() -> Target:
    """What sites tell everyone: only what its author signed counts."""
    author = new_identity("Utrecht")
    federation, topic, content = "ab" * 32, "result", b'{"release": "0.1.0"}'
    purpose = f"notice {federation} {topic}"
    whole = Notice(federation, topic, SiteId("Utrecht"), content, sign(author, purpose, content))

    def is_wrong(message: Any) -> bool:
        if not isinstance(message, Notice) or (message == whole):
            return not isinstance(message, Notice)
        said = f"notice {message.federation} {message.topic}"
        signed = is_signed(author.certificate, said, message.content, message.signature)
        return bool(signed and message.author == whole.author)

    return Target(
        "notices", (encode(whole).to_bytes(),), lambda data: decode(data, Limits({}, {})), WireError, is_wrong, FRAMED
    )


def line_words() -> Target:
    """What the two ends of a line say to each other."""
    hello = line_messages.Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
    wholes = tuple(
        line_messages.to_bytes(message)
        for message in (
            hello,
            line_messages.No(code="GOS-518", reason="another federation file"),
            line_messages.Offer(bytes(range(32)), 2**20, b"header"),
            line_messages.Want(bytes(range(32)), 7),
            line_messages.Chunk(bytes(range(32)), 7, memoryview(b"body" * 20)),
            line_messages.Done(bytes(range(32))),
        )
    )

    def is_wrong(message: Any) -> bool:
        return bool(line_messages.from_bytes(line_messages.to_bytes(message)) != message)

    return Target("words on lines", wholes, line_messages.from_bytes, WireError, is_wrong, PLAIN)


def sealed_letters() -> Target:
    """What lies in a mailbox: opened only as its sender sealed it."""
    sender, receiver = new_identity("Utrecht"), new_identity("Turin")
    hello = line_messages.Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
    content = letters.to_bytes(letters.Letter(hello=hello, heard=3), b"header")
    whole = seal_letter(content, 7, sender, receiver.certificate)

    def read(data: bytes) -> Any:
        number, opened = open_letter(data, receiver, sender.certificate)
        return number, letters.from_bytes(opened)

    return Target("sealed letters", (whole,), read, WireError, lambda _: True, PLAIN)


def journals() -> Target:
    """What a site keeps for itself; its SHA-256 is over all of it."""
    values = ({"a": torch.arange(6.0), 3: (1.5, "text", b"bytes", None)}, [torch.ones(2, 2)])
    whole = pack(values, ()).to_bytes()
    return Target(
        "journals",
        (whole,),
        lambda data: unpack(bytearray(data), ()),
        StorageError,
        lambda made: pack(made, ()).to_bytes() != whole,  # other spaces between the same words change nothing
        FRAMED,
    )


def plan_of_a_toy() -> Plan:
    """The smallest network."""
    return Plan(
        structures=("Kidney_L",),
        spacing_mm=(2.0, 2.0, 2.0),
        patch_size=(8, 8, 8),
        hu_low=-200.0,
        hu_high=300.0,
        hu_mean=0.0,
        hu_sd=100.0,
        position_channels=False,
        network=NetworkPlan("unet", (2, 4), ((2, 2, 2),)),
    )


def models(folder: Path) -> Target:
    """Model files; their SHA-256 is over all of them."""
    plan, path = plan_of_a_toy(), folder / "model.safetensors"
    record = ModelRecord(
        arm="gossip", seed=1, sites={"A": 2}, annotated={"Kidney_L": 2}, steps=1, rounds=1, gossamer_version="0.1.0"
    )
    write_model(path, parameters_of(build_network(plan, 1)), plan, record)
    return Target("models", (path.read_bytes(),), reader(path, read_model), ModelFileError, lambda _: True, FRAMED)


def images(folder: Path) -> Iterator[Target]:
    """NIfTI, as it is and compressed."""
    voxels = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    for name in ("image.nii", "image.nii.gz"):
        path = folder / name
        write_file(path, voxels, affine)

        def is_wrong(found: Any) -> bool:
            finite = bool(np.isfinite(found.ras_from_file).all())
            return found.array.ndim != 3 or not finite or found.array.nbytes > 2**20

        def is_other(found: Any) -> bool:
            return not np.array_equal(found.array, voxels) or not np.array_equal(found.ras_from_file, affine)

        whole, read = path.read_bytes(), reader(path, lambda path: read_file(path, "image"))
        if name == "image.nii":
            yield Target(name, (whole,), read, DataError, is_wrong, (*PLAIN, other_number, other_number))
        else:
            yield Target(name, (whole,), read, DataError, is_other, (flip_bits, cut_off, move_a_slice))
            inside: tuple[Trick, ...] = tuple(gzipped(trick) for trick in (*PLAIN, other_number))
            yield Target(f"inside {name}", (whole,), read, DataError, is_wrong, inside)


def federation_files(folder: Path) -> Target:
    """Federation files; whatever can be read still has to be approved by its hash."""
    path = folder / "FED.toml"
    new_federation(path, "Toy", ("Brainstem", "Parotid_L"), rounds=3, local_steps=2)

    def read(data: bytes) -> Any:
        path.write_bytes(data)
        return read_federation(path)

    return Target("federation files", (path.read_bytes(),), read, GossamerError, lambda _: False, PLAIN)


def reader(path: Path, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    """Reads bytes as a file."""

    def of(data: bytes) -> Any:
        path.write_bytes(data)
        return read(path)

    return of


WEIGHTS = {"frames": 50, "words on lines": 15, "notices": 10, "journals": 6, "sealed letters": 5}
"""How often each is tampered with; a file, which has to be written first, once."""


def hostile(size: int, seed: int, folder: Path) -> Result:
    """Tamper ``size`` times."""
    torch.set_num_threads(1)
    nibabel.imageglobals.logger.disabled = True
    chance, counts = random.Random(seed), Counter[str]()
    targets = [frames(), notices(), line_words(), sealed_letters(), journals(), models(folder), *images(folder)]
    targets.append(federation_files(folder))
    drawn = chance.choices(targets, [WEIGHTS.get(target.name, 1) for target in targets], k=size)
    for target in drawn:
        counts[target.name] += 1
        _tamper(target, chance, counts)
    bad = counts["crashes"] + counts["hangs"] + counts["acceptances"]
    files = size - counts["frames"] - counts["words on lines"]
    figure = f"{size - files:,} frames and words, {files:,} files, letters and notices: {counts['crashes']} crashes, "
    figure += f"{counts['hangs']} hangs, {counts['acceptances']} acceptances"
    found = {name: counts[name] for name in ("crashes", "hangs", "acceptances")}
    return Result(figure, bad == 0 and counts["refused"] > size / 2, {**counts, **found})


def _tamper(target: Target, chance: random.Random, counts: Counter[str]) -> None:
    whole = chance.choice(target.wholes)
    tampered = chance.choice(target.tricks)(chance, bytearray(whole))
    if tampered == whole:
        counts["unchanged"] += 1
        return
    began_s = time.thread_time()
    try:
        made = target.read(tampered)
    except target.refusal:
        counts["refused"] += 1
    except Exception as error:  # noqa: BLE001  # any other error is the finding
        counts["crashes"] += 1
        counts[f"{target.name}: {type(error).__name__}: {str(error)[:80]}"] += 1
    else:
        wrong = target.is_wrong(made)
        counts["acceptances"] += wrong
        counts["another message"] += not wrong
        if wrong:
            counts[f"accepted: {target.name}"] += 1
    if time.thread_time() - began_s > LONGEST_S:
        counts["hangs"] += 1
        counts[f"hung: {target.name}"] += 1


CAMPAIGNS = (
    Campaign(
        name="hostile",
        promise="malformed input",
        what="frames, words on lines, notices, sealed letters, journals, models, NIfTI and federation files are "
        "flipped, cut, moved about and rewritten, by seed. Each must be refused by its own error within a second of "
        "CPU time; what is accepted all the same must be within the limits, and must not bear a signature or a hash",
        run=hostile,
        small=50_000,
        full=1_000_000,
    ),
)
