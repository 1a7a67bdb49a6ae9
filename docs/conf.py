"""How the documentation is built: `nox -s docs`. It reads the package and these pages, and nothing from the network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from fielding_async import __version__  # noqa: E402

project = "fielding-async"
author = "the fielding-async authors"
copyright = author  # noqa: A001 - Sphinx's own name
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "fielding_docstrings",
    "fielding_drawings",
    "fielding_commands",
    "fielding_index",
    "fielding_inventories",
    "fielding_links",
    "fielding_notebook",
    "fielding_plots",
    "fielding_search",
    "fielding_theme",
]
exclude_patterns = ["_build", "_ext", "diagrams/*.py", "prose", "inventories"]
nitpicky = True
# Names of other projects that `inventories` does not have, and names behind the public ones.
nitpick_ignore_regex = [
    (r"py:.*", r"fielding_async\.engine\.engine\.EngineSource"),  # a FieldingSession, as what lies below it sees it
    (r"py:.*", r"(App|Task|RedisStreamBroker|AsyncTaskiqDecoratedTask)"),  # of procrastinate and taskiq
    (r"py:.*", r"SharedSource"),  # a Shared, as what lies below it sees it
    (r"py:.*", r"fielding_async\.handles\.lists\.T"),  # what a list is a list of
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_fence_as_directive: list[str] = []
suppress_warnings: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"fielding-async {version}"
html_static_path = ["_static"]
html_css_files = ["fielding.css"]
html_js_files = ["fielding.js"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "

# `nox -s linkcheck` follows the links that lead out; the build itself checks those that stay.
linkcheck_ignore = [r"http://(localhost|127\.0\.0\.1).*"]
linkcheck_timeout = 15
linkcheck_retries = 2
