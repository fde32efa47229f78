"""From a patient to a CT: couch, kernel, noise, calibration, field of view.

Noise is that of filtered backprojection. Its spectrum rises with frequency and falls with the kernel (Riederer, Pelc
and Chesler, Phys Med Biol 23, 446, 1978). Rays that pass much tissue are noisier, and noise of horizontal rays makes
horizontal streaks, as between shoulders: white noise is split by the direction of its waves (Riesz transform), and
each part is scaled by the tissue that its rays pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter

from gossamer.data.phantom.fields import AxesZYX, FloatGrid
from gossamer.data.phantom.hospital import Scanner
from gossamer.units import AIR_HU, ZYX

REFERENCE_MM = 320.0
"""Water in which ``Scanner.noise_hu`` is measured: the body phantom of CT dosimetry."""

ATTENUATION_PER_MM = 0.010
"""Half of water's 0.02 per mm: tube current modulation makes up for the other half."""

OUTSIDE_HU = -1024
"""What scanners write where nothing was reconstructed."""

HIGHEST_HU = 3071

SIGMA_FROM_FWHM = 1 / 2.355


def scan(hu: FloatGrid, axes_mm: AxesZYX, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.int16]:
    """Take a CT.

    Args:
        hu: the patient, float32 [z, y, x].
        axes_mm: where the voxels are; x = y = 0 is the middle of the field of view.
        scanner: settings.
        rng: noise.

    Returns:
        HU int16 [z, y, x].
    """
    z, y, x = (float(axis[1] - axis[0]) for axis in axes_mm)
    sigma = scanner.blur_mm * SIGMA_FROM_FWHM
    image = gaussian_filter(hu, (0.35, sigma / y, sigma / x), mode="nearest", truncate=3.0)
    if scanner.sharpening:
        smooth = gaussian_filter(image, (0, 1.2 * sigma / y, 1.2 * sigma / x), mode="nearest", truncate=3.0)
        image += scanner.sharpening * (image - smooth)
    image += noise(image, (z, y, x), scanner, rng)
    image = np.maximum(image, AIR_HU) + scanner.shift_hu
    off_centre = np.hypot(axes_mm[1][:, None], axes_mm[2][None, :])
    image[:, off_centre > scanner.field_of_view_mm / 2] = OUTSIDE_HU
    return np.asarray(np.clip(np.rint(image), OUTSIDE_HU, HIGHEST_HU), np.int16)


def noise(hu: FloatGrid, spacing_mm: ZYX, scanner: Scanner, rng: np.random.Generator) -> FloatGrid:
    """Noise of an image.

    Args:
        hu: without noise, float32 [z, y, x].
        spacing_mm: along z, y, x.
        scanner: how strong, and how fine.
        rng: the numbers.

    Returns:
        HU to add.
    """
    water = np.maximum(hu + 1000, 0) / 1000
    vertical, horizontal = _noise_by_direction(hu.shape, spacing_mm, scanner.noise_grain_mm, rng)
    horizontal *= _strength(water.sum(axis=2, keepdims=True) * spacing_mm[2])
    vertical *= _strength(water.sum(axis=1, keepdims=True) * spacing_mm[1])
    return np.asarray(scanner.noise_hu * (horizontal + vertical), np.float32)


def _strength(path_mm: FloatGrid) -> FloatGrid:
    """Standard deviation against that in the reference, of rays that pass so much water."""
    return np.asarray(np.exp(ATTENUATION_PER_MM / 2 * (path_mm - REFERENCE_MM)))


def _noise_by_direction(
    shape: tuple[int, ...], spacing_mm: ZYX, grain_mm: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Noise of vertical and of horizontal rays; uncorrelated, their sum has unit variance."""
    slices, rows, columns = shape
    along_y = np.fft.fftfreq(rows, spacing_mm[1])[:, None]
    along_x = np.fft.rfftfreq(columns, spacing_mm[2])[None, :]
    frequency = np.hypot(along_y, along_x)
    frequency[0, 0] = 1.0
    crest = 1 / (2 * grain_mm)
    gain = np.sqrt(frequency) * np.exp(-((frequency / crest) ** 2) / 4)
    gain[0, 0] = 0.0
    both_halves = np.where((along_x == 0) | (2 * along_x * spacing_mm[2] == 1), 1.0, 2.0)
    gain /= np.sqrt((both_halves * gain**2).sum() / (rows * columns))
    white = fft.rfft2(rng.standard_normal((slices, rows, columns), dtype=np.float32))
    parts = [
        fft.irfft2(white * (1j * gain * along / frequency).astype(np.complex64), s=(rows, columns))
        for along in (along_x, along_y)
    ]
    return parts[0], parts[1]
