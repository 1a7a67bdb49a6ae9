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
    "fielding_commands",
    "fielding_links",
    "fielding_plots",
]
exclude_patterns = ["_build", "_ext", "diagrams/*.py"]
nitpicky = True
# Other projects' names: their inventories would have to be fetched, and a build must not need the network.
nitpick_ignore_regex = [
    (r"py:.*", r"(aiohttp|opentelemetry|ssl|asyncio|collections|datetime|typing|enum|os|pathlib|types)\..*"),
    (r"py:.*", r"fielding_async\.core\.models\.JobResult"),  # what the two results have in common
    (r"py:.*", r"fielding_async\.core\.config\.Default"),  # in overloads
    (r"py:.*", r"(str|int|float|bool|bytes|bytearray|memoryview|object|None|tuple|list|dict|type|optional)"),
    (r"py:.*", r"(BaseException|Exception|ValueError|RuntimeError|TimeoutError|AssertionError|KeyError|OSError)"),
    (r"py:.*", r"(MeterProvider|TracerProvider|SSLContext|ClientSession)"),
    (r"py:.*", r"(datetime|timedelta|Callable|Awaitable|Iterable|AsyncIterable|Iterator|Mapping|Never|StrEnum)"),
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
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "

# `nox -s linkcheck` follows the links that lead out; the build itself checks those that stay.
linkcheck_ignore = [r"http://(localhost|127\.0\.0\.1).*"]
linkcheck_timeout = 15
linkcheck_retries = 2
