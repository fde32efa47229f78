import csv
import json
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.data.fingerprint import Fingerprint, fingerprint_of_case, merged
from gossamer.data.plan import Plan
from gossamer.data.planning import PlanRules, plan_from_fingerprint
from gossamer.errors import PlanError

SHARED = Path(__file__).parents[3] / "shared" / "data"
OPENKBP = SHARED / "openkbp"

STRUCTURES = ("Liver", "Spleen")


def a_site(draw_seed, cases):
    """A fingerprint as a site might have it: varied scanners, both structures drawn."""
    rng = np.random.default_rng(draw_seed)
    return merged(
        Fingerprint(
            cases=1,
            annotated=dict.fromkeys(STRUCTURES, 1),
            hu={int(hu): int(n) for hu, n in zip(rng.integers(-200, 300, 9), rng.integers(1, 999, 9), strict=True)},
            spacing=tuple({int(rng.integers(10, 100)): 1} for _ in range(3)),
            extent=tuple({int(rng.integers(60, 600)): 1} for _ in range(3)),
        )
        for _ in range(cases)
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_merged_fingerprints_give_the_pooled_plan_bit_for_bit(seeds, order):
    sites = [a_site(seed, 3) for seed in seeds]
    pooled = plan_from_fingerprint(merged(sites), STRUCTURES)
    order.shuffle(sites)
    cut = order.randint(1, len(sites) - 1)
    grouped = merged(sites[:cut]) + merged(sites[cut:])
    sent = Fingerprint.from_json(grouped.to_json())
    assert plan_from_fingerprint(sent, STRUCTURES).to_json() == pooled.to_json()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(12**3, 96**3))
def test_any_plan_can_be_trained(seed, patch_voxels):
    plan = plan_from_fingerprint(a_site(seed, 5), STRUCTURES, PlanRules(patch_voxels=patch_voxels))
    assert prod(plan.patch_size) <= patch_voxels
    assert all(n % k == 0 for n, k in zip(plan.patch_size, plan.total_stride, strict=True))
    deepest = [n // k for n, k in zip(plan.patch_size, plan.total_stride, strict=True)]
    assert prod(deepest) > 1  # instance normalisation needs more than one voxel
    assert plan.hu_low < plan.hu_high
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).hash == plan.hash


def even(spacing_bins, extent_mm, hu=None):
    return Fingerprint(
        cases=4,
        annotated=dict.fromkeys(STRUCTURES, 4),
        hu=hu or dict.fromkeys(range(1000), 1),
        spacing=tuple({s: 4} for s in spacing_bins),
        extent=tuple({e: 4} for e in extent_mm),
    )


def test_spacing_is_the_median_where_the_case_is_small_enough():
    plan = plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), STRUCTURES)
    assert plan.spacing_mm == (3.0, 2.0, 2.0)


def test_the_finest_axes_are_coarsened_until_the_case_fits():
    """0.9 x 0.9 x 3 mm, 250 x 500 x 500 mm: in plane alone it grows past 3 mm, then all axes together."""
    plan = plan_from_fingerprint(even((60, 18, 18), (250, 500, 500)), STRUCTURES)
    assert max(plan.spacing_mm) - min(plan.spacing_mm) <= 0.05
    # 250 * 500 * 500 mm^3 in 2^20 voxels: (59.6 mm^3)^(1/3) = 3.91 mm
    assert plan.spacing_mm[0] == pytest.approx(3.91, abs=0.06)


def test_window_and_spread_are_percentiles_and_moments_of_the_foreground():
    plan = plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), STRUCTURES)
    assert (plan.hu_low, plan.hu_high) == (4.0, 994.0)  # of 0 ... 999, each once
    values = np.arange(1000).clip(4, 994)
    assert (plan.hu_mean, plan.hu_sd) == pytest.approx((values.mean(), values.std()))


def test_the_patch_has_the_aspect_of_the_case():
    plan = plan_from_fingerprint(even((40, 40, 40), (96, 192, 192)), STRUCTURES, PlanRules(patch_voxels=48**3))
    z, y, x = plan.patch_size
    assert y == x
    assert 1.5 <= y / z <= 2.5


def test_slices_far_apart_are_not_halved_with_the_rest():
    rules = PlanRules(spacing_mm=(5.0, 1.0, 1.0))
    plan = plan_from_fingerprint(even((100, 20, 20), (300, 200, 200)), STRUCTURES, rules)
    assert plan.network.strides[:2] == ((1, 2, 2), (1, 2, 2))
    assert plan.network.strides[2] == (2, 2, 2)  # 5 mm by then against 4


def test_what_is_given_beforehand_is_kept():
    rules = PlanRules(network="dynunet", channels=(8, 16), spacing_mm=(4.0, 4.0, 4.0), patch_size=(32, 48, 48))
    plan = plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), STRUCTURES, rules)
    assert plan.spacing_mm == (4.0, 4.0, 4.0)
    assert plan.patch_size == (32, 48, 48)
    assert (plan.network.name, plan.network.channels, plan.network.strides) == ("dynunet", (8, 16), ((2, 2, 2),))


def test_a_window_given_beforehand_takes_the_place_of_the_percentiles():
    plan = plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), STRUCTURES, PlanRules(window_hu=(100, 500)))
    assert (plan.hu_low, plan.hu_high) == (100.0, 500.0)
    values = np.arange(1000).clip(100, 500)
    assert (plan.hu_mean, plan.hu_sd) == pytest.approx((values.mean(), values.std()))


def test_a_window_upside_down_is_refused():
    with pytest.raises(PlanError, match="found 450 to -250 HU"):
        plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), STRUCTURES, PlanRules(window_hu=(450, -250)))


ORGANS = ("Parotid_L", "Ribs", "Liver")


def drawn(structures):
    return replace(even((60, 40, 40), (150, 200, 200)), annotated=dict.fromkeys(structures, 1))


def test_what_is_one_piece_by_anatomy_keeps_its_main_piece():
    assert plan_from_fingerprint(drawn(ORGANS), ORGANS).one_piece == ("Parotid_L", "Liver")


def test_pieces_given_beforehand_take_the_place_of_anatomy():
    assert plan_from_fingerprint(drawn(ORGANS), ORGANS, PlanRules(one_piece=())).one_piece == ()
    rules = PlanRules(one_piece=("Liver", "Ribs"))
    assert plan_from_fingerprint(drawn(ORGANS), ORGANS, rules).one_piece == ("Ribs", "Liver")


def test_a_piece_of_no_structure_is_refused_by_name():
    with pytest.raises(PlanError, match="found Spleen; choose among Parotid_L, Ribs, Liver"):
        plan_from_fingerprint(drawn(ORGANS), ORGANS, PlanRules(one_piece=("Spleen",)))


@pytest.mark.parametrize("overlap", [-0.1, 0.9, 1.0, float("nan")])
def test_windows_that_do_not_get_on_are_refused(overlap):
    with pytest.raises(PlanError, match=r"0 to 0\.875"):
        plan_from_fingerprint(drawn(ORGANS), ORGANS, PlanRules(overlap=overlap))


def test_a_plan_of_format_1_keeps_its_text_and_says_that_every_piece_stays():
    new = plan_from_fingerprint(drawn(ORGANS), ORGANS)
    raw = json.loads(new.to_json())
    del raw["one_piece"], raw["overlap"]
    text = json.dumps(raw | {"format": 1}, sort_keys=True, separators=(",", ":"))
    old = Plan.from_json(text)
    assert (old.one_piece, old.overlap) == ((), 0.5)
    assert old.to_json() == text
    assert old.hash != new.hash


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"format": 3}, "format 3; use the release"), ({"format": 1}, "put together wrongly"), ({"format": None}, "None")],
)
def test_a_plan_of_an_unknown_format_or_with_another_s_keys_is_refused(changes, found):
    raw = json.loads(plan_from_fingerprint(drawn(ORGANS), ORGANS).to_json())
    with pytest.raises(PlanError, match=found):
        Plan.from_json(json.dumps(raw | changes))


def test_a_plan_of_format_2_that_does_not_say_how_masks_are_made_is_refused():
    raw = json.loads(plan_from_fingerprint(drawn(ORGANS), ORGANS).to_json())
    del raw["one_piece"]
    with pytest.raises(PlanError, match="put together wrongly"):
        Plan.from_json(json.dumps(raw))


def test_a_patch_that_cannot_be_halved_is_refused_with_what_can():
    with pytest.raises(PlanError, match=r"multiples of \(8, 8, 8\)"):
        plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), STRUCTURES, PlanRules(patch_size=(44, 48, 48)))


def test_a_structure_nobody_drew_is_refused_by_name():
    with pytest.raises(PlanError, match="Stomach"):
        plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), ("Liver", "Stomach"))


def test_an_empty_fingerprint_or_no_structure_is_refused():
    with pytest.raises(PlanError, match="drawn: nothing"):
        plan_from_fingerprint(Fingerprint(), STRUCTURES)
    with pytest.raises(PlanError):
        plan_from_fingerprint(even((60, 40, 40), (150, 200, 200)), ())


def test_a_foreground_of_one_value_is_refused():
    with pytest.raises(PlanError, match="contrast"):
        plan_from_fingerprint(even((60, 40, 40), (150, 200, 200), hu={40: 9}), STRUCTURES)


def test_suppression_that_leaves_nothing_says_so():
    fingerprint = replace(even((60, 40, 40), (150, 200, 200)), spacing=({}, {}, {}))
    with pytest.raises(PlanError, match="minimum cell size"):
        plan_from_fingerprint(fingerprint, STRUCTURES)


@pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")
def test_four_real_hospitals_find_the_plan_of_their_pooled_patients():
    import nibabel

    with (OPENKBP / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    names = json.loads((OPENKBP / "labels.json").read_text())
    prints = {site: [] for site in "ABCD"}
    for row in rows:
        if len(prints[row["site"]]) < 4:
            image = nibabel.load(OPENKBP / row["image"])
            marks = np.asarray(nibabel.load(OPENKBP / row["labelmap"]).dataobj).T
            drawn = row["annotated"].split("|")
            masks = {name: marks == int(value) for value, name in names.items() if name in drawn}
            spacing = tuple(float(s) for s in image.header.get_zooms()[::-1])
            prints[row["site"]].append(fingerprint_of_case(np.asarray(image.dataobj).T, masks, spacing))
    structures = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Bone_Mandible")
    at_sites = [merged(site) for site in prints.values()]
    pooled = merged(print_ for site in prints.values() for print_ in site)
    federated = at_sites[3] + (at_sites[1] + at_sites[0]) + at_sites[2]
    plan = plan_from_fingerprint(federated, structures)
    assert plan.hash == plan_from_fingerprint(pooled, structures).hash
    assert plan.hash != plan_from_fingerprint(at_sites[1], structures).hash
    assert 2.0 <= plan.spacing_mm[0] <= 3.3  # as the data's description has it
    assert 3.9 <= plan.spacing_mm[1] == plan.spacing_mm[2] <= 5.1
    assert plan.hu_low < -100  # air in the larynx' surroundings and at skin
    assert plan.hu_high > 1000  # cortical bone of the mandible
