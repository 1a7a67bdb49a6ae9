"""A sandbox on a network: which hosts and origins it answers to, and how much it reads and keeps."""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Sandbox

from .api import run_path, serving

MIB = 1 << 20


async def raw(sandbox: Sandbox, data: Iterable[bytes]) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a connection of their own; return status, headers and body of the reply, read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(sandbox.url).port)
    try:
        try:
            for piece in data:
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass  # the sandbox need not read to the end
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        headers = {name.lower(): value for name, value in re.findall(r"([\w-]+): (.*)\r\n", head)}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            assert await reader.read() == b""
        return status, headers, body
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def get(sandbox: Sandbox, *lines: str, path: str = "/v1/nothing") -> tuple[int, str]:
    """GET with these header lines alone; return the status and the detail of the error body."""
    status, headers, body = await raw(sandbox, ["\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()])
    assert not [name for name in headers if name.startswith("access-control-")]
    return status, str(json.loads(body)["detail"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8080", "localhost.", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:65535", "127.0.0.1:"],
)
async def test_loopback_hosts_are_served(host: str) -> None:
    """Names and addresses of this machine itself pass, with any port: a tunnel may have another one."""
    async with Sandbox() as sandbox:
        assert (await get(sandbox, f"Host: {host}"))[0] == 404


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "192.168.1.5",
        "0.0.0.0",
        "[::]",
        "[2001:db8::1]:8080",
        "0x7f.1",
        "127.1",
        "exchange:80",
    ],
)
async def test_another_host_is_refused_before_anything_is_done(host: str) -> None:
    """A page that rebinds its own name to this machine reads nothing and changes nothing; the error names the way."""
    async with serving(require_token="abc") as api:
        ref = api.sandbox.add_run("live")
        status, detail = await get(api.sandbox, f"Host: {host}")
        assert (status, "hosts=" in detail) == (421, True)
        got = await api.act(ref, "pause", Host=host, Authorization="Bearer abc")
        assert (got.status, got.json["object"]) == (421, "misdirected_request_error")
        assert api.sandbox.history == ()
        assert [(request.status, request.body) for request in api.sandbox.requests] == [(421, b"")] * 2


@pytest.mark.parametrize(
    "lines",
    [
        ("Host: ",),
        ("Host: local host",),
        ("Host: localhost:99999",),
        ("Host: localhost:x",),
        ("Host: user@localhost",),
        ("Host: [::1",),
        ("Host: ::1",),
        ("Host: [::1]x",),
        ("Host: [localhost]",),
        ("Host: localhost, localhost",),
        ("Host: localhost/",),
    ],
)
async def test_a_missing_or_malformed_host_is_a_bad_request(lines: tuple[str, ...]) -> None:
    """What cannot be read is refused as well, with 400 (RFC 9112, 3.2)."""
    async with Sandbox() as sandbox:
        assert (await get(sandbox, *lines)) == (400, "The Host header is missing, doubled or malformed.")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_request_without_host_is_refused(version: str) -> None:
    """No browser leaves it out, and nobody is served without, in either version of HTTP."""
    async with Sandbox() as sandbox:
        path = run_path(sandbox.add_run("live"))
        head = f"GET /v1{path} HTTP/{version}\r\nCint-API-Version: 2025-12-18\r\n\r\n"
        assert (await raw(sandbox, [head.encode()]))[0] == 400


async def test_more_hosts_can_be_named() -> None:
    """`hosts` names others, such as that of a container; `host` itself passes, where it is one address or name."""
    async with serving(hosts=("Exchange", "10.0.0.7", "2001:DB8::1")) as api:
        for host in ("exchange:8080", "EXCHANGE.", "10.0.0.7", "[2001:db8:0::1]:80", "localhost"):
            assert (await get(api.sandbox, f"Host: {host}"))[0] == 404
        assert (await get(api.sandbox, "Host: exchange.evil.example"))[0] == 421
    async with Sandbox(host="0.0.0.0") as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert (await get(sandbox, "Host: localhost"))[0] == 404
        assert (await get(sandbox, "Host: 0.0.0.0"))[0] == 421


@pytest.mark.parametrize(
    "hosts", ["exchange", ("exchange:80",), ("",), ("http://x",), ("a b",), (7,), ("*",), None, ("[::1]",)]
)
def test_hosts_that_are_none_are_refused(hosts: Any) -> None:
    """A name of `hosts` is a host name or an address, without scheme or port."""
    with pytest.raises(ConfigurationError, match="hosts="):
        Sandbox(hosts=hosts)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", 403),
        ("null", 403),
        ("http://localhost:3000", 403),
        ("http://localhost", 403),
        ("http://127.0.0.1:8080", 403),
        ("file://", 403),
        ("http://localhost:8080", 404),
        ("HTTPS://LOCALHOST:8080", 404),
    ],
)
async def test_pages_of_other_origins_are_refused(origin: str, status: int) -> None:
    """A browser says where a page came from: only the sandbox's own may ask, and none gets leave to read."""
    async with Sandbox() as sandbox:
        assert (await get(sandbox, "Host: localhost:8080", f"Origin: {origin}"))[0] == status


async def test_a_preflight_gets_no_leave() -> None:
    """`OPTIONS` with another origin is refused, and with none it is an unknown method, without a CORS header."""
    async with serving() as api:
        path = run_path(api.sandbox.add_run("live"))
        for headers, status in (({"Origin": "http://evil.example"}, 403), ({}, 405)):
            got = await api.send("OPTIONS", path, **headers)
            assert got.status == status
            assert not [name for name in got.headers if name.lower().startswith("access-control-")]


def body_of(size: int) -> Iterable[bytes]:
    return (b" " * min(65_536, size - start) for start in range(0, size, 65_536))


def chunked(size: int) -> Iterable[bytes]:
    for piece in body_of(size):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def put(sandbox: Sandbox, length: str) -> bytes:
    path = run_path(sandbox.add_run("live"))
    return f"PUT /v1{path} HTTP/1.1\r\nHost: localhost\r\nCint-API-Version: 2025-12-18\r\n{length}\r\n\r\n".encode()


async def test_a_body_that_is_too_long_is_refused_and_not_kept() -> None:
    """More than 1 MiB is 413, told or found out while reading; the connection is closed, and nothing is on record."""
    async with Sandbox() as sandbox:
        for length, data in (
            (f"Content-Length: {4 * MIB}", body_of(4 * MIB)),
            (f"Content-Length: {10**18}", [b"x"]),
            ("Transfer-Encoding: chunked", chunked(4 * MIB)),
        ):
            status, headers, body = await raw(sandbox, [put(sandbox, length), *data])
            assert (status, headers["connection"]) == (413, "close")
            assert "at most 1048576 bytes" in json.loads(body)["detail"]
        assert [(request.status, request.body) for request in sandbox.requests] == [(413, b"")] * 3
        for length, data in (
            (f"Content-Length: {MIB}", body_of(MIB)),
            ("Transfer-Encoding: chunked", chunked(MIB)),
        ):
            status, _, _ = await raw(sandbox, [put(sandbox, length), *data])
            assert status == 400
        assert [len(request.body) for request in sandbox.requests][-2:] == [MIB, MIB]


async def test_a_body_is_not_unpacked() -> None:
    """A compressed body stays as it came: a bomb of a kilobyte remains one."""
    import gzip

    bomb = gzip.compress(bytes(8 * MIB))
    async with Sandbox() as sandbox:
        head = put(sandbox, f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}")
        assert (await raw(sandbox, [head, bomb]))[0] == 400
        assert sandbox.requests[0].body == bomb


async def test_a_head_that_is_too_long_is_refused() -> None:
    """Headers of more than 64 KiB in all are 431, however many there are."""
    async with Sandbox() as sandbox:
        lines = ["Host: localhost", *(f"X-{number}: {'x' * 8000}" for number in range(9))]
        status, detail = await get(sandbox, *lines)
        assert (status, "65536 bytes" in detail) == (431, True)
        assert sandbox.requests[0].headers == ()


async def test_requests_and_writes_are_kept_up_to_a_number_of_bytes() -> None:
    """The oldest fall out, and are counted; numbers go on, and the latest is always kept."""
    async with serving(keep_bytes=25_000) as api:
        ref = api.sandbox.add_run("live")
        for _ in range(3):
            await api.send("PUT", run_path(ref), body=b" " * 8_000, If_Match="x")
        assert [request.id for request in api.sandbox.requests] == [2, 3]
        await api.send("PUT", run_path(ref), body=b" " * 50_000, If_Match="x")
        assert [request.id for request in api.sandbox.requests] == [4]
        assert api.sandbox.dropped_requests == 3
        for _ in range(100):
            api.sandbox.touch(ref)
        kept = [write.seq for write in api.sandbox.history]
        assert 1 < len(kept) < 100
        assert kept == list(range(101 - len(kept), 101))
        assert api.sandbox.dropped_writes == 100 - len(kept)
    sandbox = Sandbox(keep=2)
    ref = sandbox.add_run("live")
    for _ in range(3):
        sandbox.touch(ref)
    assert (len(sandbox.history), sandbox.dropped_writes, sandbox.dropped_requests) == (2, 1, 0)


def test_bad_bounds_are_refused() -> None:
    """`keep_bytes` is a whole number of 1 or more, or `None`."""
    for bad in (0, -1, 1.5, True, "1"):
        with pytest.raises(ConfigurationError, match="keep_bytes="):
            Sandbox(keep_bytes=bad)  # type: ignore[arg-type]
    assert Sandbox(keep_bytes=None)


def test_a_made_up_token_is_another_each_time() -> None:
    """It cannot be known from the seed; ids can, with a token or without."""
    tokens = {Sandbox(require_token=True).token for _ in range(3)}
    assert len(tokens) == 3
    assert all(re.fullmatch(r"sandbox\.[\w-]{43}", str(token)) for token in tokens)
    assert Sandbox(require_token=True).add_run() == Sandbox().add_run()


async def test_the_url_is_one_that_can_be_used() -> None:
    """Listening everywhere, the URL names the loopback address; listening at one address, that one."""
    for host, expected in (("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("localhost", "localhost")):
        async with Sandbox(host=host) as sandbox:
            assert urlsplit(sandbox.url).hostname == expected
            assert urlsplit(sandbox.token_url).hostname == expected
