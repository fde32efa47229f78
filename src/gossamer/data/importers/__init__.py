"""Importers: other layouts of CT and contours to dataset folders, one layout a file."""
