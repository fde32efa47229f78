"""Dose grids, and which of them belongs to a CT."""
