"""Sphinx settings: MyST pages, the Furo theme, the API and the command line read from the code."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

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
# Each object is described once, where it is defined; a package that hands names on only names them.
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autosummary_generate = True
# A frame of a CT and a frame on a line: docstrings' types name either; the link goes to one, the text is right.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = "Gossamer"
html_static_path = ["_static"]
html_theme_options = {"sidebar_hide_name": False}


def name_what_is_handed_on(  # noqa: PLR0917  # Sphinx calls it so
    app: Sphinx, what: str, name: str, described: Any, options: Any, lines: list[str]
) -> None:
    """Under a package's docstring: its public names that are described elsewhere, with links."""
    if what != "module":
        return
    homes = {each: getattr(getattr(described, each), "__module__", "") for each in getattr(described, "__all__", ())}
    links = [
        f":py:obj:`{each} <{home}.{each}>`" if home.startswith("gossamer.") else f"``{each}``"
        for each, home in homes.items()
        if home != name
    ]
    if links:
        lines += ["", f"Public names: {', '.join(links)}."]


def keep_sentences_whole(  # noqa: PLR0917  # Sphinx calls it so
    app: Sphinx, what: str, name: str, described: Any, options: Any, lines: list[str]
) -> None:
    """Undo what Napoleon does to an attribute's first line "text: more text": takes it for "type: description"."""
    types = [place for place, line in enumerate(lines) if line.startswith(":type: ")]
    if what in {"attribute", "data"} and types:
        lines[0] = f"{lines[types[0]].removeprefix(':type: ')}: {lines[0]}"
        del lines[types[0] :]


def keep_modules_out_of_the_sidebar(app: Sphinx, doctree: nodes.document) -> None:
    """Modules are found from the page of their room: in each page's sidebar they cost minutes of building."""
    page = app.env.docname
    if page.startswith("reference/api"):
        for tree in list(doctree.findall(addnodes.toctree)):
            tree.parent.remove(tree)
    if page.startswith("reference/api/"):
        app.env.metadata[page]["orphan"] = True


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", keep_modules_out_of_the_sidebar, priority=400)  # before the collectors' 500
    app.connect("autodoc-process-docstring", name_what_is_handed_on)
    app.connect("autodoc-process-docstring", keep_sentences_whole, priority=600)  # after Napoleon's 500
