"""The page in a real browser: search, sort, pages, wide and narrow, light and dark, on paper, and nothing asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")

from attrs import evolve
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from fielding_async.cli.shared.page.document import page as text_of
from fielding_async.cli.shared.page.values import Report
from tests.tools.browsers import chromium
from tests.tools.waits import HANG

from .journals import BAD, large_report, report, row

pytestmark = [pytest.mark.slow, pytest.mark.once]

expect.set_options(timeout=1000 * HANG)
ROWS = 2500
LARGE = large_report(ROWS)
NOTES = tuple(
    f"row no. {number}: {'worker-on-a-host-with-a-long-name' * 2}:4711:ab12cd34 learned after its lease was over, at"
    f" 2031-05-17 09:00:00 UTC: accepted, trace id {number:032x}; on record: unknown"
    for number in range(3)
)
"""As a plan in PostgreSQL has them."""
SIZES = {"wide": {"width": 1440, "height": 900}, "narrow": {"width": 400, "height": 800}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all tests of this module."""
    with chromium() as browser:
        yield browser


class Opened:
    """Opens pages, and keeps what they ask for and complain about."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self.asked: list[str] = []
        self.said: list[str] = []

    def __call__(self, report: Report, *, size: str = "wide", scheme: str = "light") -> Page:
        path = self._folder / "report.html"
        path.write_text(text_of(report), encoding="utf-8")
        context = self._browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(1000 * HANG)
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.goto(path.as_uri())
        return page


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Opens pages; none may ask for anything but itself, or say anything on the console."""
    found = Opened(browser, tmp_path)
    yield found
    for context in browser.contexts:
        context.close()
    assert set(found.asked) == {(tmp_path / "report.html").as_uri()}
    assert found.said == []


def column(page: Page, at: int) -> list[str]:
    """The texts of a column of the rows that are shown."""
    return page.locator(f"#table tbody td:nth-child({at})").all_inner_texts()


def test_pages_of_rows_are_turned(opened: Opened) -> None:
    """200 rows are shown at a time; the buttons lead to the others, and end at the ends."""
    page = opened(LARGE)
    shown = page.locator("#shown")
    expect(shown).to_have_text("Rows 1 to 200 of 2,500")
    expect(page.locator("#table tbody tr")).to_have_count(200)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.get_by_role("button", name="Next").click()
    expect(shown).to_have_text("Rows 201 to 400 of 2,500")
    page.get_by_role("button", name="Last").click()
    expect(shown).to_have_text("Rows 2,401 to 2,500 of 2,500")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    assert column(page, 1)[-1] == str(ROWS - 1)


def test_rows_are_searched(opened: Opened) -> None:
    """Every word must be in a row, in any letter case; an effect can be chosen as well."""
    page = opened(LARGE)
    one = LARGE.rows[1234]
    assert one.ref is not None
    page.get_by_label("Search", exact=True).fill(one.ref.fielding_run_id.lower())
    expect(page.locator("#shown")).to_have_text("Rows 1 to 1 of 1 (of 2,500)")
    assert column(page, 1) == ["1234"]
    assert column(page, 9)[0] == one.trace_id
    page.get_by_label("Search", exact=True).fill(f"{one.ref.target_group_id} nothing")
    expect(page.locator("#shown")).to_have_text("No row matches (of 2,500)")
    page.get_by_label("Search", exact=True).fill("")
    page.get_by_label("Effect", exact=True).select_option("failed")
    failed = sum(row.state == "failed" for row in LARGE.rows)
    expect(page.locator("#shown")).to_have_text(f"Rows 1 to {failed} of {failed} (of 2,500)")
    assert set(column(page, 7)) == {"failed"}


def test_rows_are_sorted_by_keyboard(opened: Opened) -> None:
    """Enter on a head sorts by its column, once more the other way; the head says so to a screen reader."""
    page = opened(LARGE)
    head = page.get_by_role("columnheader", name="Run", exact=True)
    button = head.get_by_role("button")
    button.focus()
    names = sorted(row.ref.fielding_run_id for row in LARGE.rows if row.ref is not None)
    for way, found in (("ascending", names[:200]), ("descending", names[::-1][:200])):
        page.keyboard.press("Enter")
        expect(head).to_have_attribute("aria-sort", way)
        assert column(page, 4) == found
        expect(button).to_be_focused()
    page.get_by_role("columnheader", name="Conflicts").get_by_role("button").click()
    page.get_by_role("columnheader", name="Conflicts").get_by_role("button").click()
    assert column(page, 8)[0] == "1"
    assert head.get_attribute("aria-sort") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_can_be_read_by_all(opened: Opened, size: str, scheme: str) -> None:
    """It is no wider than its window, and has no fault that axe finds, contrast included."""
    page = opened(evolve(LARGE, name="a plan in PostgreSQL", notes=NOTES), size=size, scheme=scheme)
    expect(page.locator("#table tbody tr")).to_have_count(200)
    expect(page.get_by_role("region", name="Learned after a lease was over").locator("li")).to_have_count(len(NOTES))
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    faults = Axe().run(page)
    assert faults.violations_count == 0, faults.generate_report()


def test_a_narrow_page_is_sorted_by_a_choice(opened: Opened) -> None:
    """Where the heads have no room, two choices do the same."""
    page = opened(LARGE, size="narrow")
    page.get_by_label("Sort by", exact=True).select_option("No.")
    page.get_by_label("Order", exact=True).select_option("descending")
    expect(page.locator("#table tbody tr").first).to_contain_text(str(ROWS - 1))


def test_the_page_is_printed_without_its_controls(opened: Opened) -> None:
    """On paper there are the figures and the rows, and nothing to press."""
    page = opened(LARGE)
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.get_by_role("button", name="Next")).to_be_hidden()
    expect(page.locator("#shown")).to_be_visible()
    expect(page.locator("#table tbody tr").first).to_be_visible()


def test_nothing_from_outside_runs(opened: Opened) -> None:
    """Elements in messages and ids are texts: shown, searched and harmless."""
    page = opened(report(row(0, state="failed", effect=None, error="Error", message=BAD, trace_id=BAD)))
    expect(page.locator("#table tbody td").last).to_contain_text("</script><img src=x onerror=alert(1)>")
    page.get_by_label("Search", exact=True).fill("<IMG")
    expect(page.locator("#shown")).to_have_text("Rows 1 to 1 of 1")
    assert page.locator("img").count() == 0
