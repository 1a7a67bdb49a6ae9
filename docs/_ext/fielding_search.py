"""Words that readers search for, and the pages that answer them: entries of the index, which search puts first.

Search ranks a page by how often a word occurs in it. So long references come before the page that explains a subject.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

TERMS: dict[str, tuple[str, ...]] = {
    "Retry-After": ("how-to/limits", "explanation/pacing"),
    "429": ("how-to/limits", "explanation/pacing"),
    "rate limit": ("how-to/limits", "explanation/pacing"),
    "Limits": ("how-to/limits",),
    "concurrency": ("how-to/limits",),
    "412": ("explanation/conflicts",),
    "ETag": ("explanation/conflicts",),
    "If-Match": ("explanation/conflicts",),
    "conflict": ("explanation/conflicts",),
    "Idempotency-Key": ("explanation/lost-replies",),
    "lost reply": ("explanation/lost-replies", "explanation/what-can-happen-to-a-write"),
    "unknown outcome": ("explanation/what-can-happen-to-a-write",),
    "timeout": ("reference/settings", "how-to/network"),
    "deadline": ("reference/settings",),
    "retry": ("explanation/lost-replies", "reference/settings"),
    "proxy": ("how-to/network",),
    "TLS": ("how-to/network",),
    "certificate": ("how-to/network",),
    "token": ("how-to/tokens",),
    "authentication": ("how-to/tokens",),
    "401": ("how-to/tokens", "reference/errors"),
    "403": ("reference/errors",),
    "404": ("reference/errors",),
    "422": ("reference/errors", "explanation/what-can-happen-to-a-write"),
    "error message": ("reference/error-catalogue", "reference/errors"),
    "exception": ("reference/errors", "reference/error-catalogue"),
    "FIELDING_TOKEN": ("reference/settings", "how-to/tokens"),
    "environment variable": ("reference/settings",),
    "logging": ("reference/telemetry", "how-to/tracing"),
    "OpenTelemetry": ("how-to/tracing", "reference/telemetry"),
    "trace": ("how-to/tracing",),
    "metrics": ("reference/telemetry",),
    "Grafana": ("reference/telemetry", "how-to/tracing"),
    "Redis": ("how-to/several-workers",),
    "PostgreSQL": ("how-to/plan-on-many-hosts",),
    "crash": ("reference/journal", "how-to/batch"),
    "resume": ("reference/journal", "how-to/batch"),
    "CSV": ("how-to/batch", "reference/command-line"),
    "test": ("how-to/pytest", "how-to/testing", "reference/sandbox"),
    "pytest": ("how-to/pytest", "how-to/testing"),
    "mock": ("reference/sandbox", "how-to/pytest", "how-to/testing"),
    "install": ("installation",),
    "pip": ("installation",),
    "SIGTERM": ("how-to/web-app", "how-to/batch"),
    "Flask": ("how-to/django", "faq"),
    "Jupyter": ("how-to/jupyter",),
    "notebook": ("how-to/jupyter",),
    "asgi": ("how-to/django", "how-to/fastapi"),
    "wsgi": ("how-to/django",),
}


class SearchTerms(SphinxTransform):
    """Puts the entries on their pages."""

    default_priority = 500  # before the domains read the entries

    def apply(self, **kwargs: Any) -> None:  # noqa: ARG002 - Sphinx's own signature
        """Add the entries of this page."""
        section = next(self.document.findall(nodes.section), None)
        terms = [term for term, pages in TERMS.items() if self.env.docname in pages]
        if section is None or not terms:
            return
        anchor = section["ids"][0]
        section.insert(1, addnodes.index(entries=[("single", term, anchor, "main", None) for term in terms]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.add_transform(SearchTerms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
