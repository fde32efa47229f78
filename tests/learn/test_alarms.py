from pathlib import Path

from gossamer.data.prepared import PreparedCase
from gossamer.learn.alarms import stuck_organs

STRUCTURES = ("Brainstem", "Esophagus", "Larynx")


def case(number, annotated, voxels):
    return PreparedCase(f"p{number}", "train", annotated, annotated, (1, 1, 1), voxels, (0.0, 0.0), Path())


def cases():
    return [case(n, (True, n < 2, True), (900, 400 if n < 2 else 0, 40)) for n in range(50)]


def test_an_organ_at_zero_after_a_fifth_is_named_with_its_causes():
    found = stuck_organs({"Brainstem": 0.6, "Esophagus": 0.0, "Larynx": 0.0}, cases(), STRUCTURES, done=0.2)
    assert [organ.structure for organ in found] == ["Esophagus", "Larynx"]
    assert "only 2 of 50" in found[0].causes[0]
    assert "40 voxels" in found[1].causes[0]


def test_nothing_is_said_before_a_fifth_and_nothing_of_organs_nobody_has():
    assert stuck_organs({"Larynx": 0.0}, cases(), STRUCTURES, done=0.19) == ()
    assert stuck_organs({"Larynx": None}, cases(), STRUCTURES, done=0.5) == ()


def test_an_organ_lost_by_a_coarse_spacing_is_called_so():
    lost = [case(n, (True, True, True), (900, 0, 50)) for n in range(10)]
    (organ,) = stuck_organs({"Esophagus": 0.0}, lost, STRUCTURES, done=0.5)
    assert "too coarse" in organ.causes[0]


def test_an_organ_drawn_nowhere_is_called_so():
    none = [case(n, (True, False, True), (900, 0, 50)) for n in range(10)]
    (organ,) = stuck_organs({"Esophagus": 0.0}, none, STRUCTURES, done=0.5)
    assert "none of 10" in organ.causes[0]
