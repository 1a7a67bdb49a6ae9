"""Opens the built documentation in Chromium, and fails for what does not hold.

- No page is wider than its window, at 360, 400 and 1440 pixels.
- No page writes to the console, asks another server, or has a fault that axe calls serious or critical, light and dark.
- At 1440 pixels, lines of code of up to 112 characters are shown whole.
- Search finds the pages that answer a question first.

A few pages are checked; `--all` checks each. `--pictures FOLDER` keeps a picture of each page that is checked.
"""

import argparse
import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request

from tests.tools.browsers import chromium

WIDTHS = (360, 400, 1440)
FEW = ("index", "tutorial", "explanation/conflicts", "how-to/limits", "reference/api", "reference/webhooks")
SEARCHES = {
    "retry-after": ("how-to/limits", "explanation/pacing"),
    "429": ("how-to/limits", "explanation/pacing"),
    "etag": ("explanation/conflicts",),
    "proxy": ("how-to/network",),
}
_TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(one).position !== 'fixed'
    && !one.closest('.highlight, .table-wrapper, .scrolled, .sidebar-drawer, .toc-drawer'))
  .slice(0, 3).map((one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 60)}`)"""
_CLIPPED = """() => [...document.querySelectorAll('.highlight pre')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1)
  .filter((one) => one.textContent.split("\\n").every((line) => line.length < 113))
  .map((one) => `${one.scrollWidth - one.clientWidth} px of: ${one.textContent.trim().slice(0, 60)}`)"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the standard library
        """Print nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _faults(page: Page, scheme: str) -> Iterator[str]:
    for one in Axe().run(page).response["violations"]:
        if one["impact"] in {"serious", "critical"}:
            where = one["nodes"][0]["html"][:160]
            yield f"axe, {scheme}: {one['id']} ({len(one['nodes'])}): {where}"


def _watched(context: BrowserContext, root: str, wrong: list[str]) -> Page:
    """Open a page whose messages, errors and requests to elsewhere are added to `wrong`."""

    def asked(request: Request) -> None:
        if not request.url.startswith((root, "data:")):
            wrong.append(f"asks {request.url}")

    page = context.new_page()
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("request", asked)
    return page


def check_page(browser: Browser, root: str, name: str, pictures: Path | None) -> list[str]:
    """Return what is wrong with a page."""
    wrong: list[str] = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
        page = _watched(context, root, wrong)
        page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
        page.goto(f"{root}/{name}.html")
        for width in WIDTHS if scheme == "light" or pictures else WIDTHS[-1:]:
            page.set_viewport_size({"width": width, "height": 900})
            is_wide = page.evaluate("document.documentElement.scrollWidth") > width
            for one in page.evaluate(_TOO_WIDE) if is_wide else []:
                wrong.append(f"wider than {width}: {one}")
            if width == WIDTHS[0] and scheme == "light":
                wrong += _faults(page, f"{width}, light")
            if width == WIDTHS[-1] and scheme == "light":
                wrong += [f"clipped at {width}: {one}" for one in page.evaluate(_CLIPPED)]
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                path = pictures / f"{name.replace('/', '-')}-{width}-{scheme}.png"
                page.screenshot(path=path, full_page=True)
        if scheme == "dark":
            wrong += _faults(page, f"{width}, dark")
        context.close()
    return wrong


def check_search(browser: Browser, root: str, words: str, wanted: tuple[str, ...]) -> list[str]:
    """Return what is wrong with the first results of a search."""
    page = browser.new_page()
    page.goto(f"{root}/search.html?q={words}")
    page.wait_for_selector("#search-results ul.search li a")
    page.wait_for_function("document.querySelector('#search-results h2, .search-summary')?.textContent.length > 0")
    links = page.eval_on_selector_all("#search-results ul.search li a", "all => all.map((one) => one.pathname)")
    page.close()
    first = {link.removesuffix(".html").lstrip("/") for link in links[: len(wanted)]}
    return [] if first == set(wanted) else [f"search for {words}: {links[:5]}, wanted first: {wanted}"]


def main() -> int:
    """Check, and print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    folder: Path = options.folder
    every = sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.html"))
    names = [name for name in every if options.all or name in FEW]
    count = 0

    def report(wrong: list[str]) -> None:
        nonlocal count
        count += len(wrong)
        for line in wrong:
            print(line, flush=True)

    try:
        with served(folder) as root, chromium() as browser:
            for words, wanted in SEARCHES.items():
                report(check_search(browser, root, words, wanted))
            for name in names:
                report([f"{name}: {one}" for one in check_page(browser, root, name, options.pictures)])
    except pytest.skip.Exception as skipped:
        print(f"not checked: {skipped}")
        return 0
    print(f"{len(names)} pages, {len(SEARCHES)} searches: {count} faults")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
