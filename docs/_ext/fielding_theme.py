"""What the theme leaves out for screen readers: captions of the navigation are headings, and need a level."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def _give_levels(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    del app, page, template, doctree
    tree = context.get("furo_navigation_tree")
    if tree:
        context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx, after the theme."""
    app.connect("html-page-context", _give_levels, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
