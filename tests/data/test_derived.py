"""Structures made of others: the grammar, and margins against what geometry says of them."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.data import derived
from gossamer.data.derived import Joined, Moved, Operand, derive, derive_all, moved, operands, parse_formula
from gossamer.errors import ConfigurationError

A, B, OWN = Operand("A", own=False), Operand("B", own=False), Operand("Lungs - GTV", own=True)
SPACING = (3.0, 1.0, 0.5)


def ball(radius_mm, shape=(25, 71, 141), spacing_mm=SPACING):
    """Voxels whose centres lie within a radius of the middle voxel's."""
    away = [(np.arange(n) - n // 2) * step for n, step in zip(shape, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*away, indexing="ij", sparse=True)
    return z**2 + y**2 + x**2 <= radius_mm**2 + 1e-9


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("A", A),
        ("A + B", Joined(A, B, less=False)),
        ("A - B + A", Joined(Joined(A, B, less=True), A, less=False)),
        ("A-(B+'Lungs - GTV')", Joined(A, Joined(B, OWN, less=False), less=True)),
        ('A + "Lungs - GTV"', Joined(A, OWN, less=False)),
        (" A + 5 mm ", Moved(A, 5.0)),
        ("A -2.5mm - B", Joined(Moved(A, -2.5), B, less=True)),
    ],
)
def test_a_formula_is_read_from_left_to_right(text, formula):
    assert parse_formula(text, "here") == formula


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wanted a structure's name at character 1; found its end"),
        ("A B", "wanted '.', '-' or the end at character 3; found 'B'"),
        ("A +", "wanted a structure's name, or a length in mm at character 4; found its end"),
        ("A + 5 cm", "or a length in mm at character 5; found '5 cm'"),
        ("A + 0 mm", "wanted a margin above 0 mm, at most 100 mm at character 5; found '0 mm'"),
        ("A - 200 mm", "wanted a margin above 0 mm, at most 100 mm at character 5"),
        ("(A + B", "wanted '[)]' at character 7"),
        ("A + B)", "or the end at character 6; found '[)]'"),
        ("A ** B", "or the end at character 3"),
        ("__import__('os')", "wanted a structure's name at character 1"),
        ("(" * 40 + "A", "wanted at most 20 parentheses at character 21"),
        ("A + " * 200 + "A", "wanted a formula of at most 500 characters; found 801"),
    ],
)
def test_a_wrong_formula_is_refused_with_its_place(text, message):
    with pytest.raises(ConfigurationError, match=f"^here: .*{message}"):
        parse_formula(text, "here")


@given(st.text(alphabet="AB+-() '5m", max_size=30))
def test_whatever_is_written_is_read_or_refused(text):
    with suppress(ConfigurationError):
        assert all(one.name for one in operands(parse_formula(text, "here")))


def test_operands_are_joined_and_taken_away_voxel_by_voxel():
    rng = np.random.default_rng(5)
    masks = {name: rng.random((3, 4, 5)) < 0.5 for name in ("A", "B", "'Lungs - GTV'")}
    found = derive(parse_formula("A - B + ('Lungs - GTV' - A)", "here"), masks, SPACING)
    a, b, own = (masks[name].tolist() for name in ("A", "B", "'Lungs - GTV'"))
    expected = [
        (a[z][y][x] and not b[z][y][x]) or (own[z][y][x] and not a[z][y][x])
        for z in range(3) for y in range(4) for x in range(5)
    ]  # fmt: skip
    assert found.ravel().tolist() == expected


@pytest.mark.parametrize("slab_voxels", [derived.SLAB_VOXELS, 1])
@pytest.mark.parametrize("mm", [6.0, 7.5])
def test_a_ball_grows_and_shrinks_to_balls_within_a_voxels_diagonal(monkeypatch, mm, slab_voxels):
    monkeypatch.setattr(derived, "SLAB_VOXELS", slab_voxels)
    diagonal_mm = float(np.linalg.norm(SPACING))
    grown, shrunk = moved(ball(15.0), mm, SPACING), moved(ball(15.0 + mm), -mm, SPACING)
    assert (ball(15.0 + mm - diagonal_mm) <= grown).all()
    assert (grown <= ball(15.0 + mm)).all()
    assert (ball(15.0 - 1e-6) <= shrunk).all()
    assert (shrunk <= ball(15.0 + diagonal_mm)).all()


@pytest.mark.parametrize(("radius_mm", "mm"), [(10.0, 5.0), (14.0, -4.0)])
def test_on_a_fine_grid_a_ball_has_the_volume_of_its_new_radius(radius_mm, mm):
    spacing = (0.5, 0.4, 0.4)
    grown = moved(ball(radius_mm, (67, 81, 81), spacing), mm, spacing)
    volume_mm3 = np.count_nonzero(grown) * float(np.prod(spacing))
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * (radius_mm + mm) ** 3, rel=0.03)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 1.5, 3.0, 4.2]))
def test_a_margin_is_what_measuring_each_pair_of_voxels_gives(seed, mm):
    mask = np.random.default_rng(seed).random((4, 5, 7)) < 0.1
    places = np.argwhere(np.ones_like(mask)) * np.array(SPACING)
    inside = mask.ravel()
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    grown = (apart[:, inside] <= mm + 1e-6).any(axis=1).reshape(mask.shape)
    shrunk = ~(apart[:, ~inside] <= mm + 1e-6).any(axis=1).reshape(mask.shape) if not inside.all() else mask
    assert (moved(mask, mm, SPACING) == grown).all()
    assert (moved(mask, -mm, SPACING) == (shrunk & mask)).all()


def test_the_images_edge_takes_nothing_away_from_an_organ_that_it_cuts():
    mask = np.zeros((6, 12, 12), bool)
    mask[:4, 2:10, 2:10] = True
    assert moved(mask, -3.0, (3.0, 1.0, 1.0)).any(axis=(1, 2)).tolist() == [True, True, True, False, False, False]


def test_a_structure_is_derived_only_where_all_its_operands_are_drawn():
    formulas = {name: parse_formula(text, name) for name, text in {
        "Lungs": "Lung_L + Lung_R", "Heart": "'Cor' - 3 mm", "Chestwall": "Lungs + 3 mm", "Liver": "Spleen",
        "Trachea": "Lung_L - Lungs",
    }.items()}  # fmt: skip
    one = np.zeros((3, 8, 8), bool)
    one[1, 2:4, 2:4] = True
    drawn = {"Lung_L": one, "Lung_R": np.roll(one, 3, axis=2), "Spleen": one, "Liver": one}
    derivation = derive_all(formulas, drawn, (3.0, 1.0, 1.0))
    assert set(derivation.masks) == {"Lungs", "Chestwall"}
    assert (derivation.masks["Lungs"] == (drawn["Lung_L"] | drawn["Lung_R"])).all()
    assert derivation.made_of == {"Lungs": ("Lung_L", "Lung_R"), "Chestwall": ("Lungs",)}
    assert derivation.notes == (
        "Lungs: derived by its formula in the names file",
        "Heart: not derived, since a ROI of its formula is not drawn",
        "Chestwall: derived by its formula in the names file",
        "Liver: drawn itself, so not derived",
        "Trachea: not derived, since its formula leaves nothing",
    )
