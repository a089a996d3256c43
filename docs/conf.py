"""Sphinx settings: MyST pages, furo, warnings are errors (see `make docs`)."""

from importlib.metadata import version as installed

project = "rarefy"
author = "the rarefy maintainers"
release = version = installed("rarefy")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "rarefy"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
exclude_patterns = ["build"]
