"""The page of a sandbox in a real browser: what it shows as it happens, its buttons, sizes, schemes, keyboard."""

import asyncio
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from threading import Thread

import pytest

pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from fielding_async import FieldingSession
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Sandbox
from tests.tools.browsers import chromium
from tests.tools.waits import HANG

pytestmark = [pytest.mark.slow, pytest.mark.once]

expect.set_options(timeout=1000 * HANG)
WIDTHS = (360, 400, 1440, 2000)
BAD = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all tests of this module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox with a page."""
    with Sandbox(control=True) as sandbox:
        yield sandbox


class Opened:
    """Opens pages, and keeps what they ask for and complain about."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.asked: list[str] = []
        self.said: list[str] = []

    def __call__(self, url: str, *, width: int = 1440, scheme: str = "light") -> Page:
        size = {"width": width, "height": 900}
        context = self._browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(1000 * HANG)
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda message: self.said.append(message.text))
        page.goto(url)
        return page


@pytest.fixture
def opened(browser: Browser, box: Sandbox) -> Iterator[Opened]:
    """Opens pages; none may ask another server, or say anything on the console."""
    found = Opened(browser)
    origin = box.url.removesuffix("v1")
    yield found
    for context in browser.contexts:
        context.close()
    assert all(url.startswith((origin, "data:")) for url in found.asked), found.asked
    assert found.said == []


def pause(box: Sandbox, ref: RunRef) -> str:
    """Pause a run with the client, in a loop of its own, and return the trace id."""
    found: list[str] = []

    async def work() -> None:
        async with FieldingSession("any", base_url=box.url) as fielding:
            found.append((await fielding.run(ref).pause()).trace_id)

    thread = Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()
    return found[0]


def test_requests_and_writes_are_shown_as_they_come(opened: Opened, box: Sandbox) -> None:
    """A pause shows as its requests with If-Match, answer and trace id, as a write, and as the run's status."""
    ref = box.add_run("live", fielding_run_id="RUN1")
    page = opened(box.page_url)
    run = page.locator("#runs tbody tr")
    expect(run).to_contain_text("live")
    trace_id = pause(box, ref)
    request = page.locator("#requests tbody tr").first
    for text in ("POST", "pause", "RUN1", 'W/"1"', "204, applied", trace_id):
        expect(request).to_contain_text(text)
    write = page.locator("#writes tbody tr").first
    for text in ("client", "pause", "live to paused", 'W/"1" to W/"2"', trace_id):
        expect(write).to_contain_text(text)
    expect(run).to_contain_text("paused")
    expect(page.locator("#plot rect.ok").first).to_be_attached()
    expect(page.locator("#plot-text")).to_contain_text("In the last minute 2 requests")


def test_a_colleague_writes_by_keyboard(opened: Opened, box: Sandbox) -> None:
    """A button reached by the keyboard makes a colleague's write."""
    ref = box.add_run("live", fielding_run_id="RUN1")
    page = opened(box.page_url)
    button = page.get_by_role("button", name="Move end: RUN1")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#writes tbody tr")).to_contain_text("colleague")
    assert [write.by for write in box.history] == ["colleague"]
    expect(page.locator("#runs tbody tr")).to_contain_text('W/"2"')
    page.get_by_role("button", name="Pause: RUN1").click()
    expect(page.locator("#runs tbody tr")).to_contain_text("paused")
    assert box.inspect(ref).status == "paused"


def test_each_fault_has_a_button_that_works(opened: Opened, box: Sandbox) -> None:
    """Each button scripts one fault; those that need a choice say so."""
    box.add_run("live")
    page = opened(box.page_url)
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    buttons = page.locator("#faults button").all()
    for number, button in enumerate(buttons[:-1], 1):
        button.click()
        expect(page.locator("#unused li")).to_have_count(number)
        expect(page.locator("#said")).to_be_hidden()
    assert len(box.unused_faults) == len(buttons) - 1
    buttons[-1].click()
    expect(page.locator("#said")).to_contain_text("Choose the run")
    page.get_by_role("button", name="Clear unused faults").click()
    expect(page.locator("#unused")).to_have_text("none")
    page.get_by_label("Operation").select_option("pause")
    page.get_by_role("button", name="Cut after handling").click()
    expect(page.locator("#unused li")).to_contain_text("Cut(at='after')")
    assert box.unused_faults == [Cut("after")]


def test_limits_and_refusals_are_shown(opened: Opened, box: Sandbox) -> None:
    """A limit that is set on the page refuses requests, and both are in the plot."""
    ref = box.add_run("live")
    page = opened(box.page_url)
    page.get_by_label("Requests a second").fill("1")
    page.get_by_label("Kind").select_option("request-count")
    page.get_by_role("button", name="Set the limit").click()
    expect(page.locator("#figures")).to_contain_text("1 a second")
    pause(box, ref)
    expect(page.locator("#plot rect.refused").first).to_be_attached()
    expect(page.locator("#plot path.limit")).to_be_attached()
    expect(page.locator("#requests .refused").first).to_have_text("429")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_can_be_read_by_all(opened: Opened, box: Sandbox, width: int, scheme: str) -> None:
    """It is no wider than its window, and has no fault that axe finds, contrast included."""
    refs = [box.add_run("live") for _ in range(60)]
    pause(box, refs[0])
    page = opened(box.page_url, width=width, scheme=scheme)
    expect(page.locator("#runs tbody tr")).to_have_count(50)
    expect(page.locator("#requests tbody tr")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = Axe().run(page)
    assert faults.violations_count == 0, faults.generate_report()


def test_what_a_client_sent_is_text(opened: Opened, box: Sandbox) -> None:
    """Elements in paths are shown, and harmless."""
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"{box.url}/{urllib.parse.quote(BAD, safe='<>=()')}", timeout=HANG)
    refused.value.close()
    page = opened(box.page_url)
    expect(page.locator("#requests tbody tr")).to_contain_text("<img")
    assert page.locator("img").count() == 0


def test_the_token_leaves_the_address_and_can_be_typed(opened: Opened, box: Sandbox) -> None:
    """The token is in no bookmark. Without it the page asks for it."""
    page = opened(box.page_url)
    expect(page.locator("#link")).to_have_text("Connected.")
    assert "#" not in page.url
    other = opened(box.page_url.partition("#")[0])
    expect(other.locator("#link")).to_have_text("The control token is needed.")
    other.get_by_label("Control token").fill(box.control_token or "")
    other.keyboard.press("Enter")
    expect(other.locator("#link")).to_have_text("Connected.")


def test_the_page_says_that_the_sandbox_has_stopped(browser: Browser) -> None:
    """The stream ends with the sandbox, at once."""
    context = browser.new_context()
    with Sandbox(control=True) as sandbox:
        page = context.new_page()
        page.goto(sandbox.page_url)
        expect(page.locator("#link")).to_have_text("Connected.")
    expect(page.locator("#link")).to_have_text("The sandbox has stopped.")
    context.close()
