"""The study's report: one self-contained HTML file."""

from gossamer.study.report.page import render, write_report
from gossamer.study.report.pictures import CasePicture, ChosenCase, SlicePicture, choose_cases, picture_of

__all__ = ["CasePicture", "ChosenCase", "SlicePicture", "choose_cases", "picture_of", "render", "write_report"]
