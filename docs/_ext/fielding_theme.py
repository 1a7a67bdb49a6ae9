"""What the theme and Sphinx leave out for screen readers.

Captions of the navigation are headings, and need a level. The arguments of a signature are no definitions.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_ARGUMENTS = re.compile(r'<dl>\n(<dd><em class="sig-param">.*?)</dl>', re.DOTALL)


def _give_levels(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    del app, page, template, doctree
    tree = context.get("furo_navigation_tree")
    if tree:
        context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def _plain_signatures(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Write the arguments of a signature of several lines as blocks.

    Sphinx writes a `<dl>` of nothing but `<dd>`, which screen readers announce as a list of definitions without terms.
    """
    if "body" in context:
        context["body"] = _ARGUMENTS.sub(_as_blocks, context["body"])


def _as_blocks(found: re.Match[str]) -> str:
    arguments = found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="sig-arguments">{arguments}</div>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx, after the theme."""
    app.connect("html-page-context", _give_levels, priority=900)
    app.connect("html-page-context", _plain_signatures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
