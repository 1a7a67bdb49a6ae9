"""The files of the page, and the headers that they are sent with."""

from functools import cache
from importlib.resources import files

from attrs import frozen

__all__ = ["PAGE_HEADERS", "PageFile", "file_of"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
PAGE_HEADERS: dict[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing but the page's own files runs, and the page is shown in no frame."""

_TYPES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}


@frozen
class PageFile:
    """A file, and its media type."""

    data: bytes
    type: str


def file_of(path: str) -> PageFile | None:
    """Return the file of a path; `None` if there is none."""
    return _read(path) if path in _TYPES else None


@cache
def _read(path: str) -> PageFile:
    name, kind = _TYPES[path]
    return PageFile((files(__name__.rpartition(".")[0]) / name).read_bytes(), kind)
