"""The files of the page: no build step, and nothing from elsewhere."""

from pathlib import Path

__all__ = ["FILES"]

_HERE = Path(__file__).parent

# what a browser asks for: the type and the bytes that it gets
FILES: dict[str, tuple[str, bytes]] = {
    "/": ("text/html", (_HERE / "page.html").read_bytes()),
    "/page.css": ("text/css", (_HERE / "page.css").read_bytes()),
    "/page.js": ("text/javascript", (_HERE / "page.js").read_bytes()),
}
