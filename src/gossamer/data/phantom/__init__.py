"""A synthetic cohort: CT-like patients of hospitals that differ, for first steps and tests. Nothing in it is real."""

from gossamer.data.phantom.cohort import write_cohort
from gossamer.data.phantom.hospital import HOSPITALS, Habit, Hospital, Phase, Region, Scanner
from gossamer.data.phantom.patient import Patient, draw_patient

__all__ = ["HOSPITALS", "Habit", "Hospital", "Patient", "Phase", "Region", "Scanner", "draw_patient", "write_cohort"]
