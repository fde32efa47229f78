"""Words that must not leak, planted wherever a hospital's files have room for a name, and a search for them.

Four kinds, because not all places are alike (docs/concepts/audit.md, "Who may read what"):

- ``zqpatient``: free text of headers, header extensions, names of files and folders, further columns. Nowhere at all.
- ``zqflag``: the column ``flags``, which people ask to be kept with the case. In the data set's folder, nowhere else.
- ``zqcase``: case ids, which are pseudonyms. In the site's own data set, and in what it tells its own people.
- ``zqroiname``: a site's own names of structures. In what an import says to who typed it, nowhere else.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from faults.net_hospitals import draw_patient

KINDS = ("zqpatient", "zqflag", "zqcase", "zqroiname")

FIELDS = {"descrip": 80, "aux_file": 24, "db_name": 18, "intent_name": 16}
"""Free text of a NIfTI header, with its room in bytes."""

COLUMNS = "id,site,split,image,labelmap,annotated,complete,flags,referrer,born\n"

OWN_NAMES = {1: "Kidney_L", 2: "Kidney_R"}


@dataclass
class Planted:
    """Counts the words, so that each is another one."""

    words: list[str] = field(default_factory=list)

    def one(self, kind: str) -> str:
        """A word that was not there before."""
        self.words.append(f"{kind}{len(self.words):04d}")
        return self.words[-1]


def write_source(folder: Path, planted: Planted, sites: str, cases_a_site: int) -> tuple[Path, Path, Path]:
    """Images and label maps with an index, labels and names, as a hospital exports them.

    Returns:
        Index, labels and the file for ``--names``.
    """
    own = {value: planted.one("zqroiname") for value in OWN_NAMES}
    rows = [COLUMNS]
    for site in sites:
        for number in range(cases_a_site):
            split = "val" if number == cases_a_site - 1 else "train"
            place = folder / planted.one("zqpatient")
            place.mkdir(parents=True)
            image, masks = draw_patient([ord(site), number])
            labels = sum(value * masks[name] for value, name in OWN_NAMES.items())
            files = []
            for voxels in (image.voxels, np.minimum(labels, max(OWN_NAMES)).astype(np.uint8)):
                files.append(place / f"{planted.one('zqpatient')}.nii.gz")
                write_image(files[-1], voxels, planted)
            columns = [planted.one("zqcase"), site, split, *(str(f.relative_to(folder)) for f in files)]
            names = "|".join(own.values())
            columns += [names, names, planted.one("zqflag"), planted.one("zqpatient"), planted.one("zqpatient")]
            rows.append(",".join(columns) + "\n")
    index, label_file, names_file = folder / "index.csv", folder / "labels.json", folder / "names.toml"
    index.write_text("".join(rows))
    label_file.write_text(json.dumps({str(value): name for value, name in own.items()}))
    known = "".join(f'"{own[value]}" = "{name}"\n' for value, name in OWN_NAMES.items())
    names_file.write_text(f"[names]\n{known}")
    return index, label_file, names_file


def write_image(path: Path, voxels_zyx: NDArray[Any], planted: Planted) -> None:
    """A NIfTI file with a word in each free field and in an extension."""
    made = nibabel.Nifti1Image(voxels_zyx.transpose(2, 1, 0), np.diag([-2.0, -2.0, 2.0, 1.0]))
    for name, room in FIELDS.items():
        made.header[name] = planted.one("zqpatient").encode()[:room]
    made.header.set_xyzt_units("mm")
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", planted.one("zqpatient").encode()))
    path.write_bytes(gzip.compress(made.to_bytes(), 1))


def forms(kind: str) -> Iterator[bytes]:
    """A kind of word as bytes may hold it: plainly, in 16 bits, in hexadecimal digits, in base64 at any place."""
    yield kind.encode()
    yield kind.encode("utf-16-le")
    yield kind.encode("utf-16-be")
    yield kind.encode().hex().encode()
    for before in range(3):
        coded = base64.b64encode(bytes(before) + kind.encode())
        first = -(-before * 8 // 6)  # letters that the bytes before have a part in
        yield coded[first : (before + len(kind)) * 8 // 6]


def hits(content: bytes, kinds: Iterable[str] = KINDS) -> list[str]:
    """The kinds of words in some bytes, also where they are compressed with gzip or zlib as a whole."""
    layers = [content, *_unpacked(content)]
    patterns = {kind: re.compile(b"|".join(map(re.escape, forms(kind))), re.IGNORECASE) for kind in kinds}
    return [kind for kind, pattern in patterns.items() if any(pattern.search(layer) for layer in layers)]


def hits_in_folder(folder: Path, kinds: Iterable[str] = KINDS) -> list[str]:
    """The kinds of words in the files below a folder and in their names, each with the file it is in."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        inside = hits(path.read_bytes(), kinds) if path.is_file() else []
        found += [f"{kind} in {name}" for kind in [*inside, *hits(path.name.encode(), kinds)]]
    return found


def _unpacked(content: bytes) -> Iterator[bytes]:
    try:
        if content[:2] == b"\x1f\x8b":
            yield gzip.decompress(content)
        elif content[:1] == b"\x78":
            yield zlib.decompress(content)
    except (OSError, EOFError, zlib.error):
        return
