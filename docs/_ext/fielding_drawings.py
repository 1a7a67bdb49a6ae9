"""SVG drawings become part of the HTML page, so that they follow the page's light or dark colours.

A drawing has its dark colours in a style sheet of its own (`@media (prefers-color-scheme: dark) {…}`), for where the
repository is browsed. On the site the reader may choose the other scheme: the same rules are written for that choice.
Where there is a `NAME-narrow.svg` beside `NAME.svg`, small screens show that one.
"""

import re
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

_DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n?\}\n?</style>", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def _scoped(rules: str, scope: str) -> str:
    return "".join(
        f"{','.join(f'{scope} {one.strip()}' for one in selectors.split(','))}{{{declarations}}}\n"
        for selectors, declarations in _RULE.findall(rules)
    )


def inline(path: Path, text: str, name: str) -> str:
    """Return a drawing as an element of a page. `text` is for those who do not see it."""
    svg = path.read_text(encoding="utf-8")
    dark = _DARK.search(svg)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<title>.*?</title>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    in_points = re.search(r'<svg[^>]* width="[\d.]+pt"', svg) is not None
    width = float(view[1]) * (4 / 3 if in_points else 1) if view else 800
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) role="img"', r"\1", svg, count=1)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(text)}" style="width:{width:g}px"', 1)
    if dark is None:
        return svg
    by_choice = _scoped(dark[1], "body[data-theme=dark] .drawing")
    by_system = _scoped(dark[1], "body:not([data-theme=light]) .drawing")
    return f"<style>{by_choice}@media (prefers-color-scheme: dark) {{\n{by_system}}}</style>{svg}"


class InlineDrawings(SphinxPostTransform):
    """Puts drawings into pages of HTML."""

    default_priority = 50
    formats: ClassVar[tuple[str, ...]] = ("html",)

    def run(self, **kwargs: Any) -> None:  # noqa: ARG002 - Sphinx's own signature
        """Replace images that are SVG."""
        for number, image in enumerate(list(self.document.findall(nodes.image))):
            path = Path(self.env.srcdir, str(image["uri"])).resolve()
            if path.suffix != ".svg" or not path.exists():
                continue
            text = str(image.get("alt", ""))
            narrow = path.with_name(f"{path.stem}-narrow.svg")
            drawn = inline(path, text, f"d{number}")
            if narrow.exists():
                drawn = f'<div class="wide">{drawn}</div><div class="narrow">{inline(narrow, text, f"n{number}")}</div>'
            else:
                # what does not fit is scrolled, with the keyboard too
                drawn = f'<div class="scrolled" tabindex="0" role="region" aria-label="Plot">{drawn}</div>'
            html = nodes.raw("", f'<div class="drawing">{drawn}</div>', format="html")
            parent = image.parent
            if isinstance(parent, nodes.paragraph) and len(parent.children) == 1:
                parent.replace_self(html)
            else:
                image.replace_self(html)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.add_post_transform(InlineDrawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
