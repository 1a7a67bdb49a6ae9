"""What a session leans on of aiohttp is tried on entry: each part, taken away, is noticed there and nowhere later."""

import ast
import gc
import sys
import warnings
from collections.abc import Callable
from inspect import getattr_static
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

import fielding_async.http
from fielding_async import ConfigurationError, FieldingSession, TransportError
from fielding_async.http import fast_path
from fielding_async.http.connection import names_of_limits
from fielding_async.http.fast_path import FastPath
from fielding_async.http.self_check import PUBLIC_PARTS
from fielding_async.telemetry import log_lines
from tests.proofs.faults.raw_server import RawServer
from tests.tools.sessions import QUICK, REF, TOKEN

# What the fast path looks up where aiohttp documents nothing.
PRIVATE: dict[type, tuple[str, ...]] = {
    ResponseHandler: ("closed", "read", "set_response_params", "should_close", "start_timeout"),
    Connection: ("add_callback", "protocol"),
    aiohttp.StreamReader: ("exception", "is_eof", "set_exception"),
}
# What can be seen of a caller's session in no public way.
OF_CALLER: dict[type, tuple[str, ...]] = {
    aiohttp.ClientSession: ("_default_proxy", "_default_proxy_auth", *(f"_{name}" for name in names_of_limits())),
    aiohttp.BaseConnector: ("_loop",),
    aiohttp.TCPConnector: ("_ssl",),
}
# Documented parts of what a connector and a session return; the classes have no documented name of their own.
OF_INSTANCES: dict[type, tuple[str, ...]] = {
    Connection: ("release", "transport"),
    aiohttp.ClientRequest: ("headers",),
}


class _Hidden:
    """An attribute that is there for aiohttp, and for nothing in this package: as if it had another name."""

    def __init__(self, original: object, name: str) -> None:
        self._original, self._name = original, name

    def __get__(self, instance: Any, owner: type) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("fielding_async."):
            raise AttributeError(f"no {self._name}")
        if self._name in getattr(instance, "__dict__", ()):
            return vars(instance)[self._name]
        if hasattr(self._original, "__get__"):
            return self._original.__get__(instance, owner)
        return self._original

    def __set__(self, instance: Any, value: object) -> None:
        if hasattr(self._original, "__set__"):
            self._original.__set__(instance, value)
        else:
            vars(instance)[self._name] = value


def hide(patch: pytest.MonkeyPatch, cls: type, name: str) -> None:
    """Take an attribute of a class of aiohttp, or of its instances, away from this package."""
    patch.setattr(cls, name, _Hidden(getattr_static(cls, name, None), name), raising=False)


def _hide_traces(patch: pytest.MonkeyPatch) -> None:
    original = aiohttp.BaseConnector.connect

    async def connect(self: Any, req: Any, traces: list[Any], timeout: Any) -> Any:
        known = [trace for trace in traces if type(trace).__module__.startswith("aiohttp")]
        return await original(self, req, known, timeout)

    patch.setattr(aiohttp.BaseConnector, "connect", connect)


def _rename_fields(patch: pytest.MonkeyPatch) -> None:
    original = ResponseHandler.read

    async def read(self: Any) -> Any:
        found = await original(self)
        if not sys._getframe(1).f_globals["__name__"].startswith("fielding_async."):
            return found
        return object(), found[1]

    patch.setattr(ResponseHandler, "read", read)


def _rename_request(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fast_path, "_REQUEST", None)


def _change_parameters(patch: pytest.MonkeyPatch) -> None:
    original = ResponseHandler.set_response_params

    def changed(self: Any, **arguments: Any) -> None:
        if sys._getframe(1).f_globals["__name__"].startswith("fielding_async."):
            raise TypeError("unexpected keyword argument")
        original(self, **arguments)

    patch.setattr(ResponseHandler, "set_response_params", changed)


OTHERS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "traces": _hide_traces,
    "fields of a message": _rename_fields,
    "_request": _rename_request,
    "parameters": _change_parameters,
}


def _parts(found: dict[type, tuple[str, ...]]) -> list[Any]:
    return [pytest.param(cls, name, id=f"{cls.__name__}.{name}") for cls, names in found.items() for name in names]


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning is written once in a process."""
    monkeypatch.setattr(log_lines, "_warned", set())


async def _pause(server: RawServer, caplog: pytest.LogCaptureFixture, **arguments: Any) -> None:
    """Two sessions: a pause is accepted, and one warning in all names the version."""
    for _ in range(2):
        async with FieldingSession(TOKEN, base_url=server.url, retry=QUICK, **arguments) as fielding:
            outcome = await fielding.run(REF).pause()
            assert (outcome.effect, outcome.requests) == ("accepted", 2)
            server.status = "live"
    assert server.applied == ["pause", "pause"]
    (record,) = [record for record in caplog.records if record.name == "fielding_async"]
    assert record.levelname == "WARNING"
    assert f"aiohttp {aiohttp.__version__} have changed" in record.getMessage()


@pytest.fixture
def no_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request goes the fast path to a server."""
    original = FastPath.send

    async def send(self: FastPath, outgoing: Any, path: str, connect_time: Any) -> Any:
        assert path == "/run", "a request to a server"
        return await original(self, outgoing, path, connect_time)

    monkeypatch.setattr(FastPath, "send", send)


@pytest.mark.usefixtures("no_fast_path")
@pytest.mark.parametrize(("cls", "name"), _parts(PRIVATE))
async def test_without_a_private_part_requests_go_the_public_path(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cls: type, name: str
) -> None:
    """One warning, and the pause is accepted."""
    hide(monkeypatch, cls, name)
    async with RawServer() as server:
        await _pause(server, caplog)


@pytest.mark.usefixtures("no_fast_path")
@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
async def test_with_a_private_part_that_behaves_otherwise_requests_go_the_public_path(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """One warning, and the pause is accepted: traces that nobody calls, a renamed field, another parameter."""
    change(monkeypatch)
    async with RawServer() as server:
        await _pause(server, caplog)


@pytest.mark.usefixtures("no_fast_path")
@pytest.mark.parametrize(("cls", "name"), _parts(OF_CALLER))
async def test_a_callers_session_that_cannot_be_looked_into(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cls: type, name: str
) -> None:
    """One warning, and the pause is accepted."""
    hide(monkeypatch, cls, name)
    async with RawServer() as server, aiohttp.ClientSession() as http:
        await _pause(server, caplog, http=http)


async def _refused(server: RawServer, missing: str) -> None:
    fielding = FieldingSession(TOKEN, base_url=server.url)
    with pytest.raises(ConfigurationError) as caught:
        await fielding.__aenter__()
    assert f"aiohttp {aiohttp.__version__} " in str(caught.value)
    assert missing in str(caught.value)
    assert server.connections == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # what was tried in memory, and could not be released


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        *(pytest.param(getattr(aiohttp, cls), name) for cls, names in PUBLIC_PARTS.items() for name in names),
        *_parts(OF_INSTANCES),
    ],
)
async def test_without_a_public_part_a_session_is_not_entered(
    monkeypatch: pytest.MonkeyPatch, cls: type, name: str
) -> None:
    """`ConfigurationError`, with the version in it, and no connection."""
    hide(monkeypatch, cls, name)
    async with RawServer() as server:
        await _refused(server, name)


@pytest.mark.parametrize("name", PUBLIC_PARTS)
async def test_without_a_public_name_a_session_is_not_entered(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """`ConfigurationError`, with the version in it, and no connection."""
    monkeypatch.delattr(aiohttp, name)
    async with RawServer() as server:
        await _refused(server, name)


@pytest.mark.parametrize(("cls", "name"), _parts(PRIVATE))
async def test_a_part_that_is_gone_after_entry_leaves_no_doubt(
    monkeypatch: pytest.MonkeyPatch, cls: type, name: str
) -> None:
    """A write that aiohttp cannot send any more is not told as sent: nothing is unknown that never left."""
    async with RawServer() as server, FieldingSession(TOKEN, base_url=server.url, retry=QUICK) as fielding:
        await fielding.run(REF).get()
        hide(monkeypatch, cls, name)
        try:
            outcome = await fielding.run(REF).pause()
        except TransportError:
            assert server.sent("pause") == []
        else:
            assert outcome.effect in {"accepted", "unconfirmed"}
            assert server.applied == ["pause"]
        monkeypatch.undo()


async def test_as_it_is_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """With a version of aiohttp that fits, no warning."""
    async with RawServer() as server, aiohttp.ClientSession() as http:
        for of_caller in (None, http):
            async with FieldingSession(TOKEN, base_url=server.url, http=of_caller) as fielding:
                await fielding.run(REF).get()
    assert caplog.records == []


# Attributes of other values, which aiohttp's classes have as well: of our own, asyncio, yarl, mappings and modules;
# of the protocol that the transport in memory drives; of a message, which `_rename_fields` takes away; and of the
# sessions that the command line makes for itself. Only aiohttp asks a request for its key into the pool.
_OF_OTHERS = frozenset(
    """
    abort body clear connection_key host method path port send ssl start url connection_lost connection_made
    data_received code get on_request_end on_request_headers_sent response session errno reason strerror version
    """.split()  # noqa: SIM905 - words, not a table
)


def test_the_parts_are_all_that_is_used() -> None:
    """Each attribute and each name of aiohttp that the code looks up is among the parts that the tests take away."""
    sources = [path.read_text() for path in Path(fielding_async.http.__path__[0]).glob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    nodes = [node for node in nodes if not (isinstance(node.value, ast.Name) and node.value.id == "self")]
    names = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "aiohttp"}
    assert names - set(PUBLIC_PARTS) - {"__version__"} == set()
    classes = [*PRIVATE, *OF_CALLER, *(getattr(aiohttp, name) for name in PUBLIC_PARTS)]
    of_aiohttp = {name for cls in classes for name in dir(cls) if not name.startswith("__")}
    listed = {name for found in (PRIVATE, OF_CALLER, OF_INSTANCES) for names in found.values() for name in names}
    listed |= {name for names in PUBLIC_PARTS.values() for name in names}
    used = {node.attr for node in nodes} & of_aiohttp
    assert used - listed - _OF_OTHERS == set()
