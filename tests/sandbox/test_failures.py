"""Exceptions inside the sandbox: they fail the test that used it, whatever the client made of them."""

import asyncio
from datetime import UTC, datetime

import pytest

from fielding_async import FieldingSession, OutcomeUnknownError, Retry
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Behaviour, Sandbox

pytest_plugins = ["pytester"]


class Clock:
    """A clock that fails once, when it is told to."""

    def __init__(self) -> None:
        self.is_broken = False

    def __call__(self) -> datetime:
        if self.is_broken:
            self.is_broken = False
            raise LookupError("the clock of the test is broken")
        return datetime(2031, 5, 1, tzinfo=UTC)


async def pause(sandbox: Sandbox, ref: RunRef) -> str:
    """Pause a run with the client, which retries what a server error did to it."""
    async with FieldingSession("any", base_url=sandbox.url, retry=Retry(base=0.001, cap=0.01)) as fielding:
        return (await fielding.run(ref).pause()).effect


async def test_leaving_the_block_raises_what_the_client_healed() -> None:
    """The client retries and succeeds; the exception inside the sandbox is raised all the same."""
    clock, effects = Clock(), list[str]()
    sandbox = Sandbox(clock=clock)
    ref = sandbox.add_run("live")

    async def use() -> None:
        async with sandbox:
            clock.is_broken = True
            effects.append(await pause(sandbox, ref))
            assert len(sandbox.failures) == 1

    with pytest.raises(ExceptionGroup, match="an exception was raised inside the sandbox") as caught:
        await use()
    (inner,) = caught.value.exceptions
    assert isinstance(inner, LookupError)
    assert inner.__notes__ == [f"raised inside the sandbox, answering GET {path(ref)}"]
    assert effects == ["accepted"]
    assert sandbox.failures == ()


def path(ref: RunRef) -> str:
    """The path of a run."""
    return (
        f"/v1/demand/accounts/{ref.account_id}/projects/{ref.project_id}/target-groups/{ref.target_group_id}"
        f"/fielding-runs/{ref.fielding_run_id}"
    )


def test_stopping_a_thread_raises_it() -> None:
    """`stop()` raises as well, once: the sandbox can be used again."""
    clock = Clock()
    sandbox = Sandbox(clock=clock)
    sandbox.start()
    ref = sandbox.add_run("live")
    clock.is_broken = True
    asyncio.run(pause(sandbox, ref))
    with pytest.raises(ExceptionGroup):
        sandbox.stop()
    sandbox.start()
    sandbox.stop()


async def test_the_tests_own_exception_stands_beside_it() -> None:
    """What the block raised is in the group too, first."""
    clock = Clock()
    sandbox = Sandbox(clock=clock)
    ref = sandbox.add_run("live")

    async def use() -> None:
        async with sandbox:
            clock.is_broken = True
            await pause(sandbox, ref)
            raise AssertionError("the test's own")

    with pytest.raises(ExceptionGroup, match="the block failed") as caught:
        await use()
    assert [type(error) for error in caught.value.exceptions] == [AssertionError, LookupError]


async def test_a_cancellation_is_not_replaced() -> None:
    """Who waits for a cancelled task gets its cancellation, with a note."""
    clock = Clock()
    reached = asyncio.Event()

    async def work() -> None:
        async with Sandbox(clock=clock) as sandbox:
            ref = sandbox.add_run("live")
            clock.is_broken = True
            await pause(sandbox, ref)
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert "inside the sandbox" in caught.value.__notes__[0]


async def test_a_function_that_returns_no_text_fails_the_test() -> None:
    """What `retry_after` returns is checked when it is used."""
    sandbox = Sandbox()
    ref = sandbox.add_run("live")
    sandbox.rate_limit(1, kind="request-count", retry_after=lambda wait: wait)  # type: ignore[arg-type, return-value]
    with pytest.raises(ExceptionGroup) as caught:
        async with sandbox:
            await pause(sandbox, ref)
    own, *inside = caught.value.exceptions
    assert isinstance(own, OutcomeUnknownError)
    assert {type(error) for error in inside} == {ConfigurationError}
    assert "retry_after=1.0" in str(inside[0])


async def test_a_function_for_etags_that_fails_later_fails_the_test() -> None:
    """A function that works for the first versions and not for later ones is found out."""

    def etag(version: int) -> str:
        return f'"{version}"' if version < 5 else "two\r\nlines"

    sandbox = Sandbox(behaviour=Behaviour(etag=etag))
    ref = sandbox.add_run("live", version=4)
    with pytest.raises(ExceptionGroup) as caught:
        async with sandbox:
            await pause(sandbox, ref)
    assert "line breaks" in str(caught.value.exceptions[1])


async def test_a_test_may_expect_it() -> None:
    """`clear_failures` lets a test go on that meant it."""
    clock = Clock()
    async with Sandbox(clock=clock) as sandbox:
        ref = sandbox.add_run("live")
        clock.is_broken = True
        await pause(sandbox, ref)
        assert [type(error) for error in sandbox.failures] == [LookupError]
        sandbox.clear_failures()


def test_the_fixture_fails_the_test(pytester: pytest.Pytester) -> None:
    """A test that passes by itself fails at its end, with unused faults beside what was raised inside."""
    pytester.makepyfile(
        """
        import urllib.error, urllib.request
        import pytest
        from fielding_async.sandbox import Refuse

        def test_healed(fielding_sandbox):
            fielding_sandbox.rate_limit(1, kind="request-count", retry_after=lambda wait: wait)
            fielding_sandbox.script(Refuse(), on="pause")
            for _ in range(2):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(fielding_sandbox.url + "/nothing")
                refused.value.close()
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ExceptionGroup: the block failed, and an exception was raised inside the sandbox*"])
    result.stdout.fnmatch_lines(["*scripted faults that were never used: Refuse()*", "*retry_after=1.0*"])
