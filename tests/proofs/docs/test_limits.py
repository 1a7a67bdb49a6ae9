"""The recipe for a page in docs/how-to/limits.md: behind a 429 it answers in the time that the page names."""

import ast
import asyncio
import inspect
from types import CodeType
from typing import Any

import pytest

import fielding_async
from fielding_async import DeadlineExceededError, FieldingSession, Limits, RateLimitError
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over
from tests.tools.fake_exchange import FakeExchange, ref_of
from tests.tools.virtual_time import run

from .pages import ROOT, blocks

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason="not run from a checkout")


class Refusing(FakeExchange):
    """An exchange that refuses the first request with a Retry-After of 12 seconds."""

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        if not self.requests:
            self.requests[action] += 1
            return Response(429, {"Retry-After": "12"})
        return super().answer(outgoing, name, action)


def block_with(text: str) -> CodeType:
    """Return the block of the page that holds this text."""
    (found,) = [block for block in blocks(ROOT / "how-to" / "limits.md") if text in block.text]
    code: CodeType = compile(found.text, "limits.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def page_session(monkeypatch: pytest.MonkeyPatch, exchange: FakeExchange, **more: Any) -> FieldingSession:
    """Return the session for a page, as the page makes it, over this exchange."""

    def make(token: str, **arguments: Any) -> FieldingSession:
        return session_over(exchange, auth=token, **{**arguments, **more})

    with monkeypatch.context() as patch:
        patch.setattr(fielding_async, "FieldingSession", make, raising=False)
        names: dict[str, Any] = {}
        exec(block_with("for_a_page = "), names)
    made: FieldingSession = names["for_a_page"]
    return made


@pytest.mark.parametrize("waits_for", ["permission", "turn", "slot"])
def test_a_page_behind_a_pause_of_twelve_seconds_answers_in_six(
    monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    """With the settings for a page, a call ends within 6 seconds, whether it meets the 429 itself, waits for its turn
    behind a call that did, or for a slot.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        more = {"limits": Limits(concurrency=1)} if waits_for == "slot" else {}
        async with page_session(monkeypatch, Refusing(latency=0.5), **more) as fielding:
            names = {"permission": "one two three", "turn": "one one one", "slot": "one two three"}[waits_for].split()

            async def call(name: str, after: float) -> float:
                await asyncio.sleep(after)
                began = loop.time()
                with pytest.raises(RateLimitError):
                    await fielding.run(ref_of(name)).pause()
                return loop.time() - began

            took = await asyncio.gather(*(call(name, after) for name, after in zip(names, (0, 0.1, 3), strict=True)))
            assert max(took) <= 6
            assert took[2] == 0  # the pause is known: it is told at once

    run(main())


def test_a_page_in_a_long_queue_answers_in_six_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings for a page, 500 calls at once each end within 6 seconds, at a pace of 5 a second."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limits = Limits(rate=5)
        said: set[str] = set()
        async with page_session(monkeypatch, FakeExchange(latency=0.3), limits=limits) as fielding:
            began = loop.time()

            async def call(number: int) -> float:
                try:
                    await fielding.run(ref_of(number)).pause()
                except DeadlineExceededError as error:
                    said.add(error.message.partition(": ")[2].partition(",")[0].partition(" ")[2])
                return loop.time() - began

            assert max(await asyncio.gather(*(call(number) for number in range(500)))) <= 6
        assert said == {"requests were ahead"}

    run(main())


def test_the_lines_for_a_page_answer_behind_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own lines, run behind a 429 with a Retry-After of 12 s, come to an answer at once; without one too."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with page_session(monkeypatch, Refusing()) as fielding:
            first = asyncio.create_task(fielding.run(ref_of("first")).get(timeout=None))
            await asyncio.sleep(1)
            for pause, answer in (
                (True, "The exchange asks for a pause of 12.0 s. Nothing was changed."),
                (False, "accepted"),
            ):
                if not pause:
                    await first
                names: dict[str, Any] = {"run": fielding.run(ref_of("second"))}
                began = loop.time()
                block = eval(block_with("timeout=6"), names)
                if inspect.iscoroutine(block):
                    await block
                assert names["answer"] == answer
                assert loop.time() - began <= (0 if pause else 6)

    run(main())
