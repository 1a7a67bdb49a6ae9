"""What the two web apps share, without a framework: answers, guard, settings, board."""

import argparse
import os
import sys
from typing import Any

import pytest
from webapp_parts.answers import KINDS, kind_of, problem_of, read_problem
from webapp_parts.board import Board
from webapp_parts.command_line import serve
from webapp_parts.guard import LOOPBACK, MOST_BYTES, refusal
from webapp_parts.settings import settings_from

import fielding_async
from fielding_async import FieldingError, OutcomeUnknownError, RateLimitError, SessionClosedError
from tests.tools.sessions import REF, run_value

HOST = {"host": "localhost:8080"}
JSON = HOST | {"content-type": "application/json; charset=utf-8", "content-length": "2"}


def test_every_error_has_its_answer() -> None:
    """No error of the SDK is without an answer, and none but the unknown is answered with a success."""
    found: dict[str, int] = {}
    for name in fielding_async.__all__:
        kind = getattr(fielding_async, name)
        if isinstance(kind, type) and issubclass(kind, FieldingError):
            found[name] = next(answer.status for known, answer in KINDS.items() if issubclass(kind, known))
    unknown = {"OutcomeUnknownError", "OutcomeUnknownTimeoutError"}
    assert {name for name, status in found.items() if status < 300} == unknown
    assert found["DeadlineExceededError"] == 504
    assert found["SessionClosedError"] == 503
    assert found["ConfigurationError"] == 500


@pytest.mark.parametrize("error", [SessionClosedError("x"), RateLimitError("x", status=429), OutcomeUnknownError("x")])
def test_an_answer_says_what_was_done_and_what_to_do(error: FieldingError) -> None:
    """The text of the SDK, which is for logs, is not in it; nothing is left to fill in."""
    problem = problem_of(error, pause_left=7.2)
    start = "It is not known" if isinstance(error, OutcomeUnknownError) else "Nothing was done: "
    assert problem.message.startswith(start)
    assert "{" not in problem.message
    assert problem.retry_after == {"stopping": 5, "busy": 8}.get(problem.error)
    assert read_problem(error) == kind_of(error).reason


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", HOST, None),
        ("GET", {"host": "LOCALHOST."}, None),
        ("GET", {"host": "127.0.0.1"}, None),
        ("GET", {"host": "[::1]:8080"}, None),
        ("GET", {}, 400),
        ("GET", {"host": ""}, 400),
        ("GET", {"host": "localhost:8080:9"}, 400),
        ("GET", {"host": "a@localhost"}, 400),
        ("GET", {"host": "localhost\n"}, 400),
        ("GET", {"host": "evil.example"}, 421),
        ("GET", {"host": "localhost.evil.example"}, 421),
        ("GET", HOST | {"origin": "http://evil.example"}, None),
        ("POST", JSON, None),
        ("POST", JSON | {"origin": "http://localhost:8080"}, None),
        ("POST", JSON | {"origin": "https://localhost:8080"}, None),  # TLS ends at a proxy
        ("POST", JSON | {"origin": "http://localhost:9090"}, 403),
        ("POST", JSON | {"origin": "http://evil.example"}, 403),
        ("POST", JSON | {"origin": "null"}, 403),
        ("POST", JSON | {"sec-fetch-site": "same-origin"}, None),
        ("POST", JSON | {"sec-fetch-site": "none"}, None),
        ("POST", JSON | {"sec-fetch-site": "same-site"}, 403),
        ("POST", JSON | {"sec-fetch-site": "cross-site", "origin": "http://localhost:8080"}, 403),
        ("DELETE", JSON | {"origin": "http://evil.example"}, 403),
        ("POST", JSON | {"content-length": str(MOST_BYTES + 1)}, 413),
        ("POST", JSON | {"content-length": "many"}, 413),
        ("POST", JSON | {"content-type": "text/plain"}, 415),
        ("POST", HOST, 415),
    ],
)
def test_only_what_is_for_the_app_and_from_its_page_is_served(
    method: str, headers: dict[str, str], status: int | None
) -> None:
    """Other hosts, other sites, bodies too large and other types are refused, and nothing else."""
    problem = refusal(method, "/api/runs/x/pause", headers, LOOPBACK)
    assert (problem and problem.status) == status


def test_a_webhook_may_have_any_type() -> None:
    """The content type is that of the API only; and the app is served under the names of its settings."""
    headers = {"host": "runs.example.com", "content-length": "2"}
    assert refusal("POST", "/webhooks/cint", headers, {"runs.example.com"}) is None
    assert refusal("POST", "/webhooks/cint", headers, LOOPBACK) is not None


def test_the_command_line_wins_over_the_environment() -> None:
    """Settings come from the environment; an option that is given replaces its variable; the secret is not shown."""
    environment = {
        "WEBAPP_RUNS": f"{REF} {REF}",
        "WEBAPP_HOSTS": "Runs.example.com",
        "WEBAPP_EVERY": "7",
        "CINT_WEBHOOK_SECRET": "hidden",
    }
    settings = settings_from(environment)
    assert (settings.refs, settings.every, settings.drain) == ((REF, REF), 7, 10)
    assert settings.hosts == LOOPBACK | {"runs.example.com"}
    assert settings.secret == "hidden"
    assert "hidden" not in repr(settings)
    given = argparse.Namespace(refs=[str(REF)], allow_host=None, every="1.5", drain="0")
    settings = settings_from(environment, given)
    assert (settings.refs, settings.every, settings.drain) == ((REF,), 1.5, 0)


@pytest.mark.parametrize(
    ("variable", "text"),
    [("WEBAPP_RUNS", "101/P"), ("WEBAPP_EVERY", "0"), ("WEBAPP_DRAIN", "x"), ("WEBAPP_DRAIN", "nan")],
)
def test_a_wrong_setting_is_named(variable: str, text: str) -> None:
    """The message names the variable."""
    with pytest.raises(ValueError, match=f"^{variable}: "):
        settings_from({variable: text})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the runs to show, or give --demo"),
        (["--demo", str(REF)], "name the runs to show, or give --demo"),
        ([str(REF)], "FIELDING_TOKEN"),
        ([str(REF), "--every", "x"], "WEBAPP_EVERY: 'x' is not a number of seconds"),
    ],
)
def test_the_command_line_says_what_is_missing(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong arguments, and settings that are missing, end with status 2 and one message; nothing is served."""
    for name in [name for name in os.environ if name.startswith("FIELDING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["webapp.py", *arguments, "--port", "0"])
    with pytest.raises(SystemExit) as ended:
        serve("An app.", lambda *_: pytest.fail("served"))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


async def test_a_stream_says_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The view comes first and after each change; a silence is filled; a pause is shown as it starts and ends."""
    monkeypatch.setattr("webapp_parts.board.KEEP_ALIVE", 0.0)
    board = Board([REF])
    (entry,) = board.entries.values()
    stream = board.events()
    texts: list[Any] = [await anext(stream) for _ in range(3)]
    assert [text.partition(b":")[0] for text in texts] == [b"retry", b"data", b""]
    board.saw(entry, run_value())
    assert b'"status": "live"' in await anext(stream)
    board.listed(entry, run_value(), None, entry.writes)  # the same again
    assert (await anext(stream)).startswith(b": ")
    board.paused(30)
    assert b'"pause_left": 30.0' in await anext(stream)
    board.paused(29.5)
    assert (await anext(stream)).startswith(b": ")
    board.paused(0)
    assert b'"pause_left": 0.0' in await anext(stream)
    board.close()
    assert await anext(stream) == b"event: stopping\ndata: {}\n\n"
