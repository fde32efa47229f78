"""Draws the pictures of ``how-to/synthetic-cohort`` and prints statistics: ``python docs/synthetic_cohort.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw
from scipy.ndimage import binary_erosion

from gossamer.data.phantom import HOSPITALS, Habit, Hospital, Patient, Phase, Region, Scanner, draw_patient

COLOURS = (
    (255, 90, 90),
    (90, 230, 90),
    (90, 170, 255),
    (255, 230, 60),
    (255, 110, 255),
    (90, 240, 240),
    (255, 165, 60),
)
LEVEL_HU, WIDTH_HU = 40, 400
PIXELS_PER_MM = 0.68
TILE = {"abdomen": (290, 250), "head-neck": (290, 230)}
HEIGHTS_MM = {"abdomen": (-60.0, 0.0, 45.0), "head-neck": (-95.0, -20.0, 25.0)}
FROM_BACK = {"abdomen": 0.6, "head-neck": 0.52}
SEED = {"abdomen": 4, "head-neck": 0}
COUNT = 40


def tile(patient: Patient, axis: int, index: int, size: tuple[int, int]) -> Picture.Image:
    """One slice with its contours, centred on a tile."""
    spacing = [s for a, s in enumerate(patient.image.frame.spacing_mm) if a != axis]
    upwards = slice(None, None, -1 if axis else 1)
    hu = np.take(patient.image.voxels, index, axis)[upwards].astype(float)
    shape = (round(hu.shape[1] * spacing[1] * PIXELS_PER_MM), round(hu.shape[0] * spacing[0] * PIXELS_PER_MM))
    grey = np.clip((hu - LEVEL_HU) / WIDTH_HU + 0.5, 0, 1) * 255
    pixels = np.array(Picture.fromarray(grey.astype(np.uint8)).resize(shape, Picture.Resampling.BICUBIC).convert("RGB"))
    for name, mask in patient.masks.items():
        flat = np.take(mask, index, axis)[upwards].astype(np.uint8) * 255
        inside = np.array(Picture.fromarray(flat).resize(shape, Picture.Resampling.BICUBIC)) > 127
        pixels[inside & ~binary_erosion(inside)] = COLOURS[STRUCTURES.index(name) % len(COLOURS)]
    picture = Picture.new("RGB", size)
    picture.paste(Picture.fromarray(pixels), ((size[0] - shape[0]) // 2, (size[1] - shape[1]) // 2))
    return picture


STRUCTURES = (
    *("Liver", "Kidney_L", "Kidney_R", "Spleen", "Stomach", "Bone_Mandible", "SpinalCord"),
    *("Parotid_L", "Parotid_R", "Brainstem", "Larynx", "Esophagus"),
)


def draw_sheet(region: Region, path: Path) -> None:
    """One row a hospital: three axial slices, from below upwards, and a coronal one."""
    wide, high = TILE[region]
    sheet = Picture.new("RGB", (4 * wide, 4 * high))
    for row, hospital in enumerate(HOSPITALS):
        patient = draw_patient(region, hospital, (SEED[region], row))
        frame = patient.image.frame
        lowest, step = frame.world_from_voxel[2, 3], frame.spacing_mm[0]
        places = [(0, int(np.clip((z - lowest) / step, 0, frame.shape[0] - 1))) for z in HEIGHTS_MM[region]]
        places.append((1, int(FROM_BACK[region] * frame.shape[1])))
        for column, (axis, index) in enumerate(places):
            sheet.paste(tile(patient, axis, index, (wide, high)), (column * wide, row * high))
        ImageDraw.Draw(sheet).text((8, row * high + 6), hospital.name, fill=(255, 255, 255), font_size=18)
    sheet.quantize(128, dither=Picture.Dither.NONE).save(path, optimize=True)


def statistics(region: Region, phase: Phase) -> list[str]:
    """Volume, place and HU of each organ over ``COUNT`` patients, as rows of a table."""
    scanner = Scanner(
        spacing_mm=(4.0, 3.0, 3.0),
        field_of_view_mm=520.0,
        phase=phase,
        noise_hu=0.0,
        reach_mm={"abdomen": (-250.0, 160.0), "head-neck": (-220.0, 148.0)},
        reach_sd_mm=0.0,
    )
    patients = [draw_patient(region, Hospital("X", scanner, Habit(wobble_mm=0.0)), seed) for seed in range(COUNT)]
    middle = "Liver" if region == "abdomen" else "Brainstem"
    rows = []
    for name in patients[0].masks:
        volumes = [p.masks[name].sum() * np.prod(p.image.frame.spacing_mm) / 1000 for p in patients]
        places = np.array([centroid(p, name) - centroid(p, middle) for p in patients]) * (-1, -1, 1)
        inner = [
            np.mean(p.image.voxels[binary_erosion(p.masks[name]) | (~_thick(p, name) & p.masks[name])])
            for p in patients
        ]
        low, median, high = np.percentile(volumes, [5, 50, 95])
        right, front, head = (f"{m:.0f}±{s:.0f}" for m, s in zip(places.mean(axis=0), places.std(axis=0), strict=True))
        rows.append(
            f"| {name} | {median:.0f} ({low:.0f}–{high:.0f}) | {right} / {front} / {head} | {np.mean(inner):.0f} |"
        )
    return rows


def _thick(patient: Patient, name: str) -> np.ndarray:
    return np.broadcast_to(binary_erosion(patient.masks[name]).any(), patient.masks[name].shape)


def centroid(patient: Patient, name: str) -> np.ndarray:
    """Centre (x, y, z) in mm."""
    return patient.image.frame.world_from_index(np.argwhere(patient.masks[name]).mean(axis=0))


if __name__ == "__main__":
    folder = Path(__file__).parent / "_static"
    folder.mkdir(exist_ok=True)
    draw_sheet("abdomen", folder / "phantom-abdomen.png")
    draw_sheet("head-neck", folder / "phantom-head-neck.png")
    for region, phase in (("abdomen", "portal"), ("abdomen", "plain"), ("head-neck", "plain")):
        sys.stdout.write("\n".join([f"{region}, {phase}", *statistics(region, phase)]) + "\n")
