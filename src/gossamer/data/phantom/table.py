"""The patient couch: two thin shells with foam between."""

from __future__ import annotations

import numpy as np

from gossamer.data.phantom.canvas import Canvas


def draw_table(canvas: Canvas, top_mm: float) -> None:
    """Paint the couch under the body, straight in the world however the patient lies.

    Args:
        canvas: with the patient.
        top_mm: y of the body's hindmost point in mm.
    """
    y, x = canvas.axes_mm[1][:, None], canvas.axes_mm[2][None, :]
    sag = top_mm + 4 - 0.0006 * x * x
    upper = np.abs(y - sag) - 1.4
    lower = np.abs(y - sag - 22 + 0.0004 * x * x) - 1.4
    shell = canvas.inside(np.minimum(upper, lower)) * (np.abs(x) < 205)
    foam = canvas.inside(np.maximum(-upper - 1.8, 0) + np.maximum(sag - y, y - sag - 22)) * (np.abs(x) < 205)
    air = np.clip((-500 - canvas.hu) / 300, 0, 1)
    canvas.hu += air * (40 * foam + 1400 * shell)
