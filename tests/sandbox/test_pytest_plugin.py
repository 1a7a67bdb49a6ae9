"""The pytest fixture `fielding_sandbox`."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from fielding_async import FieldingSession
from fielding_async.sandbox import Sandbox, Status
from tests.tools.raw_proxy import RawProxy

from .api import status_of

pytest_plugins = ["pytester"]


def test_the_fixture_gives_a_started_sandbox(fielding_sandbox: Sandbox) -> None:
    """The fixture's sandbox listens, in a thread of its own."""
    ref = fielding_sandbox.add_run()
    assert '"scheduled"' in status_of(fielding_sandbox, ref)
    fielding_sandbox.script(Status(500))
    with pytest.raises(OSError, match="500"):
        status_of(fielding_sandbox, ref)


async def test_the_fixture_works_where_the_environment_names_a_proxy(
    fielding_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's proxy in the environment sees nothing of a session with the sandbox."""
    async with RawProxy() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        async with FieldingSession("any-token", base_url=fielding_sandbox.url) as fielding:
            outcome = await fielding.run(fielding_sandbox.add_run("live")).pause()
        assert (outcome.effect, proxy.heads) == ("accepted", [])


def test_the_fixture_fails_a_test_that_leaves_faults(pytester: pytest.Pytester) -> None:
    """A scripted fault that never struck is an error at the end of the test that scripted it."""
    pytester.makepyfile(
        """
        from fielding_async.sandbox import Cut

        def test_good(fielding_sandbox):
            assert fielding_sandbox.url

        def test_bad(fielding_sandbox):
            fielding_sandbox.script(Cut())
        """
    )
    options = ("-o", "asyncio_default_fixture_loop_scope=function")
    result = pytester.runpytest_inprocess(*options, *plugin_option())
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*scripted faults that were never used: Cut(at='after')*"])


def plugin_option() -> tuple[str, ...]:
    """Load the plugin by name where the package is not installed with its entry points."""
    points = entry_points(group="pytest11")
    known = any(point.value == "fielding_async.pytest_plugin" for point in points)
    return () if known else ("-p", "fielding_async.pytest_plugin")


def test_the_plugin_is_light() -> None:
    """Importing the plugin imports neither the sandbox nor aiohttp."""
    code = (
        "import sys, fielding_async.pytest_plugin\n"
        "heavy = [n for n in sys.modules if n in ('aiohttp', 'attrs', 'cattrs') or n.startswith('fielding_async.s')]\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
