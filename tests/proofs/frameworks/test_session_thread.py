"""The recipe for code that is not async: `examples/frameworks/session_thread.py`."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fielding_async import ConfigurationError, FieldingSession, SessionClosedError
from fielding_async.sandbox import Hold
from tests.tools.sessions import session
from tests.tools.waits import HANG

from .conftest import World
from .programs import APPLICATIONS, SECRET

pytestmark = pytest.mark.once

sys.path.append(str(APPLICATIONS))

from session_thread import SessionThread, session_thread  # noqa: E402


def test_threads_share_one_session(world: World) -> None:
    """Calls of many threads go through one session: no conflict, and one GET for each run."""
    thread = SessionThread(lambda: session(world.box, auth=SECRET))
    thread.start()
    try:
        with ThreadPoolExecutor(20) as pool:
            effects = set(
                pool.map(lambda ref: thread.call(lambda fielding: fielding.run(ref).pause()).effect, world.refs)
            )
        assert effects == {"accepted"}
        assert sum(request.operation == "get" for request in world.box.requests) == len(world.refs)
    finally:
        thread.stop()


def test_a_stop_lets_calls_under_way_end(world: World) -> None:
    """A call under way returns its outcome to its thread; a new one is refused."""
    thread = SessionThread(lambda: session(world.box, auth=SECRET))
    thread.start()
    hold = Hold("after")
    world.box.script(hold, on="pause")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(thread.call, lambda fielding: fielding.run(world.refs[0]).pause())
        hold.wait_arrived(HANG)
        stop = pool.submit(thread.stop, HANG)
        while not thread._stopped:
            pass
        hold.release()
        assert call.result(HANG).effect == "accepted"
        stop.result(HANG)
    with pytest.raises(SessionClosedError):
        thread.call(lambda fielding: fielding.run(world.refs[0]).get())


def test_a_call_that_is_cut_by_a_stop_raises_its_error(world: World) -> None:
    """Without time to end, a call under way ends in the session's own error, in its thread."""
    thread = SessionThread(lambda: session(world.box, auth=SECRET))
    thread.start()
    hold = Hold("before")
    world.box.script(hold, on="get")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(thread.call, lambda fielding: fielding.run(world.refs[0]).get())
        hold.wait_arrived(HANG)
        thread.stop(drain=0)
        assert isinstance(call.exception(HANG), SessionClosedError)


def test_a_missing_setting_is_raised_at_the_start() -> None:
    """The session is made in the thread, and what that raises is raised by `start`."""
    thread = SessionThread(FieldingSession)
    with pytest.raises(ConfigurationError, match="FIELDING_TOKEN"):
        thread.start()
    with pytest.raises(ConfigurationError, match="FIELDING_TOKEN"):
        session_thread()
