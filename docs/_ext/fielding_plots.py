"""The directive `fielding-plot NAME`: a plot of the benchmarks, or a word that it has not been measured yet.

Its content is the text for those who do not see the plot.
"""

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


class Plot(Directive):
    """An image out of `benchmarks/results`."""

    required_arguments: ClassVar[int] = 1
    has_content: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """Make the image."""
        name = f"{self.arguments[0]}.svg"
        self.state.document.settings.env.note_dependency(str(RESULTS / name))
        if not (RESULTS / name).exists():
            return [nodes.paragraph("", "There are no figures yet: nox -s bench -- --release measures them.")]
        return [nodes.paragraph("", "", nodes.image(uri=f"/../benchmarks/results/{name}", alt=" ".join(self.content)))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.add_directive("fielding-plot", Plot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
