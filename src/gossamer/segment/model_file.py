"""The model file: one safetensors file that says by itself what it is and what it is for.

Beside the parameters its header holds one JSON document (``__metadata__`` key ``gossamer``): format version, plan with
the label space, training record, licence, intended use, and a SHA-256. The hash is of the whole file with its own 64
digits as zeros, so that no byte can change unseen. It finds damage; it does not prove who wrote the file. What the
training data were like may stand there too (``data.learned``), so that a CT unlike them can be named.

Nothing that is read can run code: JSON and raw numbers only. A plan from outside is held against limits before memory
is taken, and against the tensors' shapes before they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from safetensors import SafetensorError
from torch import Tensor

from gossamer.atomic import write_atomically
from gossamer.data.learned import Learned
from gossamer.data.plan import Plan
from gossamer.documents import validate
from gossamer.errors import ConfigurationError, ModelFileError
from gossamer.nets import SegmentationNetwork, build_network, load_parameters
from gossamer.segment.model_limits import checked_plan, require_shapes

MODEL_FORMAT = 3
"""Since 2 the plan says how masks are made, since 3 the file what the training data were like. Older files are read and
mean what they meant: of format 1 every piece stays; before 3 nothing is known of the data but plan and record."""

READABLE_FORMATS = (1, 2, MODEL_FORMAT)

INTENDED_USE = (
    "Research on organ segmentation in radiotherapy CT. Not a medical device: not cleared for clinical use. "
    "Every contour needs review by a qualified person before it is used for any purpose."
)

NO_LICENCE = "None stated: ask the sites in the training record before using or passing on this model."

MAX_HEADER_BYTES = 2**23
MAX_FILE_BYTES = 2**32

_NO_HASH = "0" * 64


class ModelRecord(BaseModel):
    """How a model came to be. No dates, no patients.

    Attributes:
        arm: the study's arm.
        seed: of the run.
        sites: training cases by site.
        annotated: training cases that had each structure drawn.
        steps: optimiser steps of one site.
        rounds: exchanges; 0 where nothing was exchanged.
        gossamer_version: that trained it.
        licence: under which the model may be used.
        federation: SHA-256 of the federation's file, which its sites approved; "" of a study.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str
    seed: int
    sites: dict[str, NonNegativeInt]
    annotated: dict[str, NonNegativeInt] = Field(default_factory=dict)
    steps: NonNegativeInt
    rounds: NonNegativeInt
    gossamer_version: str
    licence: str = Field(default=NO_LICENCE, min_length=1)
    federation: str = Field(default="", pattern="([0-9a-f]{64})?")


class _Description(BaseModel):
    """The JSON document in the header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    intended_use: str
    plan: dict[str, Any]
    record: ModelRecord
    learned: Learned | None = None
    sha256: str = Field(pattern="[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Model:
    """What a model file holds.

    Attributes:
        params: the network's tensors by name.
        plan: preprocessing, label space (``plan.structures``) and network.
        record: how it came to be, and its licence.
        intended_use: in words.
        sha256: of the file.
        learned: what its training data were like; None where the file does not say.
    """

    params: Mapping[str, Tensor]
    plan: Plan
    record: ModelRecord
    intended_use: str
    sha256: str
    learned: Learned | None = None

    @cached_property
    def network(self) -> SegmentationNetwork:
        """The plan's network with these parameters, in evaluation mode; built when first asked for."""
        network = build_network(self.plan)
        load_parameters(network, self.params)
        return network.eval()


def write_model(
    path: Path, params: Mapping[str, Tensor], plan: Plan, record: ModelRecord, learned: Learned | None = None
) -> str:
    """Write a model file atomically.

    Args:
        path: where; by custom it ends in ``.safetensors``.
        params: the network's tensors by name (``gossamer.nets.parameters_of``).
        plan: what they were trained with.
        record: how they came to be.
        learned: what the training data were like, where it is known.

    Returns:
        The file's SHA-256. The same arguments give the same bytes.

    Raises:
        StorageError: the file cannot be written (``DiskFullError`` where there is no room).
    """
    description = _Description(
        format=MODEL_FORMAT,
        intended_use=INTENDED_USE,
        plan=json.loads(plan.to_json()),
        record=record,
        learned=learned,
        sha256=_NO_HASH,
    )
    # One key only: the library writes several in no fixed order.
    metadata = {"gossamer": json.dumps(description.model_dump(), sort_keys=True, allow_nan=False)}
    unsigned = safetensors.torch.save({name: tensor.contiguous() for name, tensor in params.items()}, metadata)
    sha256 = hashlib.sha256(unsigned).hexdigest()
    header_bytes = 8 + int.from_bytes(unsigned[:8], "little")
    header = unsigned[:header_bytes].replace(_NO_HASH.encode(), sha256.encode())
    write_atomically(path, [header, memoryview(unsigned)[header_bytes:]])
    return sha256


def read_model(path: Path) -> Model:
    """Read a model file, checking its hash, its format, and that plan and tensors fit.

    Raises:
        ModelFileError: the file is absent, damaged, not a model file, of another format, or does not fit its plan.
    """
    try:
        with path.open("rb") as file:
            header, tensors = _read_header(file)
            description = _description(header)
            _require_hash(file, header, description.sha256)
        plan = checked_plan(description.plan)
        require_shapes(tensors, plan)
        params = safetensors.torch.load_file(path)
    except OSError as error:
        raise ModelFileError(
            f"wanted a model file; found none that can be read ({error.strerror}); check the path given with -m"
        ) from error
    except SafetensorError as error:
        raise _damaged("tensors that lie wrongly in the file") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in params.values()):
        raise ModelFileError("wanted finite parameters; found nan or inf in the model file; its training has diverged")
    return Model(params, plan, description.record, description.intended_use, description.sha256, description.learned)


def _damaged(found: str) -> ModelFileError:
    return ModelFileError(f"wanted a Gossamer model file; found {found}; copy the file again from where it was written")


def _read_header(file: BinaryIO) -> tuple[bytes, dict[str, Any]]:
    """The bytes before the tensors, and what they say of each tensor."""
    size_bytes = file.seek(0, 2)
    file.seek(0)
    json_bytes = int.from_bytes(file.read(8), "little")
    if not 8 < size_bytes <= MAX_FILE_BYTES or json_bytes > min(MAX_HEADER_BYTES, size_bytes - 8):
        raise _damaged(f"{size_bytes} bytes that begin like no safetensors file within the limits")
    text = file.read(json_bytes)
    try:
        tensors = json.loads(text)
        metadata = tensors.pop("__metadata__")
        ends = [8 + json_bytes + tensor["data_offsets"][1] for tensor in tensors.values()]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _damaged("a header that is not safetensors'") from error
    if not isinstance(metadata, dict) or max(ends, default=0) != size_bytes:
        raise _damaged("a header that does not fit the file's length; it was cut off or something was added")
    return json_bytes.to_bytes(8, "little") + text, tensors


def _description(header: bytes) -> _Description:
    text = json.loads(header[8:])["__metadata__"].get("gossamer")
    if not isinstance(text, str):
        raise _damaged("a safetensors file without Gossamer's description; is it another program's model?")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged("a description that is not JSON") from error
    if not isinstance(raw, dict) or raw.get("format") not in READABLE_FORMATS:
        found = raw.get("format") if isinstance(raw, dict) else None
        raise ModelFileError(
            f"wanted a model file of format {MODEL_FORMAT}; found format {found!r:.20}; "
            "use the release of Gossamer that wrote it, or a newer one"
        )
    try:
        return validate(raw, _Description, "model file", ModelFileError)
    except ConfigurationError as error:
        raise _damaged(f"a description with a key that means nothing here ({error})") from error


def _require_hash(file: BinaryIO, header: bytes, sha256: str) -> None:
    """Hash the header with its digits as zeros, and what follows in the file."""
    if header.count(sha256.encode()) != 1:
        raise _damaged("a description whose SHA-256 stands elsewhere too")
    digest = hashlib.sha256(header.replace(sha256.encode(), _NO_HASH.encode()))
    while piece := file.read(2**20):
        digest.update(piece)
    if digest.hexdigest() != sha256:
        raise _damaged("bytes whose SHA-256 is not the one inside: the file is damaged or was changed")
