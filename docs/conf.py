"""Sphinx settings: MyST pages, the Furo theme, the API and the command line read from the code."""

from __future__ import annotations

from gossamer import __version__

project = "Gossamer"
author = "the Gossamer developers"
release = version = __version__
copyright = "the Gossamer developers; Apache-2.0"  # noqa: A001  # the name that Sphinx reads

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinxcontrib.typer",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autosummary_generate = True

html_theme = "furo"
html_title = "Gossamer"
html_static_path = ["_static"]
html_theme_options = {"sidebar_hide_name": False}
