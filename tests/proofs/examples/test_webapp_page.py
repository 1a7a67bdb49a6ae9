"""The page of the web app in a real browser, wide and narrow, light and dark, by keyboard and by mouse."""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from attrs import frozen

from fielding_async import RunRef
from fielding_async.sandbox import Cut, Sandbox, SecondWriter, Status
from tests.tools.waits import HANG

from .conftest import Start, ended
from .served import FRAMEWORKS

pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from webapp_demo import sign

from tests.tools.browsers import chromium

WEBHOOK_SECRET = "FP7UPZpATKBcYJj4va95PYud+a3gCidRERiLO+9MoFE="
expect.set_options(timeout=1000 * HANG)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all tests of this module."""
    with chromium() as browser:
        yield browser


@frozen
class App:
    """The app in a process, and the exchange that it speaks to."""

    child: "subprocess.Popen[str]"
    url: str
    box: Sandbox
    live: RunRef
    paused: RunRef
    over: RunRef


@pytest.fixture(params=FRAMEWORKS[:1])
def app(box: Sandbox, start: Start, request: pytest.FixtureRequest) -> Iterator[App]:
    """The app, with three runs; it fetches them again only when a webhook tells it to."""
    if request.param == "fastapi":
        pytest.importorskip("fastapi", reason="needs FastAPI")
        pytest.importorskip("uvicorn", reason="needs Uvicorn")
    file = {"aiohttp": "webapp.py", "fastapi": "fastapi_app.py"}[request.param]
    live, paused, over = box.add_run("live"), box.add_run("paused"), box.add_run("completed")
    child = start(file, live, paused, over, "--port", 0, "--every", 3600, CINT_WEBHOOK_SECRET=WEBHOOK_SECRET)
    assert child.stdout is not None
    yield App(child, child.stdout.readline().split()[0], box, live, paused, over)
    child.terminate()
    assert ended(child).status == 0


@pytest.fixture
def page(browser: Browser, app: App) -> Iterator[Page]:
    """The page, which must ask nobody but the app for anything, and log no errors."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(1000 * HANG)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if is_refused_by_policy(line.text) else None)
    page.goto(app.url)
    expect(page.get_by_role("article")).to_have_count(3)
    yield page
    assert all(url.startswith((app.url, "data:")) for url in asked), asked
    assert errors == []
    context.close()


def is_refused_by_policy(text: str) -> bool:
    """Whether the console tells of something that the page's own policy does not allow."""
    return "Content Security Policy" in text or "Refused to" in text


def card(page: Page, ref: RunRef) -> Locator:
    """Return what the page shows of a run."""
    return page.get_by_role("article").filter(has_text=ref.fielding_run_id)


@pytest.mark.parametrize("app", FRAMEWORKS, indirect=True)
def test_the_page_shows_the_runs_and_acts_on_them(app: App, page: Page) -> None:
    """Each run is there with its state; pause and resume are done, and shown to be."""
    live, paused = card(page, app.live), card(page, app.paused)
    expect(live.locator(".status")).to_have_text("live")
    expect(paused.locator(".status")).to_have_text("paused")
    expect(page.locator("#summary")).to_have_text("1 live · 1 paused · 1 completed")
    expect(page.locator("#connection")).to_have_text("up to date")
    live.get_by_role("button", name="Pause run").click()
    expect(live.get_by_role("status")).to_have_text("Paused.")
    expect(live.locator(".status")).to_have_text("paused")
    assert app.box.inspect(app.live).status == "paused"
    paused.get_by_role("button", name="Resume run").click()
    expect(paused.get_by_role("status")).to_have_text("Resumed.")
    assert app.box.inspect(app.paused).status == "live"
    expect(card(page, app.over).get_by_role("button")).to_be_disabled()


def test_the_page_follows_what_others_do(app: App, page: Page) -> None:
    """A colleague's change comes in by a webhook, without a reload, and what was said before is taken back."""
    live = card(page, app.live)
    live.get_by_role("button").click()
    expect(live.get_by_role("status")).to_have_text("Paused.")
    app.box.touch(app.live, status="completed")
    body = '{"event": "target-group-updated"}'
    delivered = page.request.post(
        f"{app.url}/webhooks/cint", data=body, headers=sign(body.encode(), WEBHOOK_SECRET, time.time())
    )
    assert delivered.status == 204
    expect(live.locator(".status")).to_have_text("completed")
    expect(live.get_by_role("status")).to_have_text("")
    expect(live.get_by_role("button")).to_be_disabled()


def test_a_click_on_what_is_no_longer_so_does_nothing(app: App, page: Page) -> None:
    """The run was changed since the page showed it: the user is told, and may click again."""
    live = card(page, app.live)
    app.box.script(SecondWriter(), on="pause")
    live.get_by_role("button").click()
    expect(live.get_by_role("status")).to_contain_text("Nothing was done: the run has changed")
    assert app.box.inspect(app.live).status == "live"
    live.get_by_role("button").click()
    expect(live.locator(".status")).to_have_text("paused")


def test_in_a_pause_the_page_says_how_long(app: App, page: Page) -> None:
    """A click that would wait too long is answered, with the seconds; the page counts them, and a new one does, too."""
    app.box.script(Status(429, retry_after="100"), on="pause")
    live = card(page, app.live)
    live.get_by_role("button").click()
    expect(live.get_by_role("status")).to_contain_text("Nothing was done: the exchange accepts no requests for now.")
    expect(live.get_by_role("status")).to_have_text(re.compile(r"Try again in \d+ s\.$"))
    expect(page.locator("#pause")).to_have_text(re.compile(r"accepts them\s+again: \d+ s left\.$"))
    page.reload()
    expect(page.locator("#pause")).to_be_visible()
    assert Axe().run(page).violations_count == 0


def test_what_is_unknown_is_said_to_be(app: App, page: Page) -> None:
    """A write whose effect cannot be told is not shown as a success."""
    app.box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause")
    live = card(page, app.live)
    live.get_by_role("button").click()
    expect(live.get_by_role("status")).to_contain_text("It is not known whether this was done.")
    expect(live.locator(".status")).to_have_text("completed")


def test_the_page_is_used_by_keyboard(app: App, page: Page) -> None:
    """Tab leads to the first button, Enter presses it, and the focus stays where it is."""
    page.keyboard.press("Tab")
    button = card(page, app.live).get_by_role("button")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, app.live).locator(".status")).to_have_text("paused")
    expect(button).to_be_focused()
    expect(button).to_have_accessible_name(f"Resume run {app.live.fielding_run_id}")


@pytest.mark.parametrize("width", [320, 800, 1920])
def test_nothing_is_cut_off_at_any_width(page: Page, width: int) -> None:
    """There is nothing to scroll sideways, from a small telephone to a large screen."""
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(page: Page, scheme: str) -> None:
    """Axe finds nothing to object to, contrast included."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_an_app_that_is_gone_is_said_to_be(app: App, page: Page) -> None:
    """Once the app has stopped the page says that it is not up to date, and that a click may have done nothing."""
    connection = page.locator("#connection")
    expect(connection).to_have_text("up to date")
    app.child.terminate()
    app.child.wait(HANG)
    expect(connection).to_have_text("the app was stopped, trying again…")
    live = card(page, app.live)
    live.get_by_role("button").click()
    expect(live.get_by_role("status")).to_contain_text("The app did not answer. It is not known whether this was done.")
    expect(live.locator(".status")).to_have_text("live")
