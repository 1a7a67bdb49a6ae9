"""The client of the store reaches every kind of server that an address can name, or says in a warning why it cannot."""

import asyncio
import gc
import logging
import random
from pathlib import Path

import pytest
import trustme

from fielding_async.coordination.address import resolve_address
from fielding_async.coordination.client import Script, StoreClient
from tests.proofs.secrets import frames
from tests.tools.fault_proxy import FaultProxy
from tests.tools.services import REDIS_PROGRAMS, RedisServer, find
from tests.tools.services.fixtures import StartRedis

# the kinds of servers and their refusals are the same for every version of Python
pytestmark = pytest.mark.once

PASSWORD = "p@ss/word?of#the:test"
ADD = Script("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")


def client_of(url: str) -> StoreClient:
    """Return a client of this address on the running loop, for which no server is too slow."""
    return StoreClient(resolve_address(url, {}), asyncio.get_running_loop(), random.Random(1).uniform, bound=30.0)


async def answer(url: str) -> object:
    """Return what a script answers that writes and reads; `None` if it cannot."""
    client = client_of(url)
    try:
        return await client.call(ADD, keys=["key"], args=["value"])
    finally:
        await client.aclose()


@pytest.mark.parametrize("program", REDIS_PROGRAMS)
async def test_every_program_is_reached_with_a_password_over_tcp_and_a_unix_socket(
    program: str, start_redis: StartRedis
) -> None:
    """The password has every character that means something in a URL."""
    server = start_redis(program=program, password=PASSWORD)
    login = server.url.removeprefix("redis://").partition("@")[0]
    assert await answer(server.url) == b"value"
    assert await answer(f"unix://{login}@{server.socket_path}?db=3") == b"value"
    assert await answer(f"{server.url}?client_name=test") == b"value"


async def test_a_server_with_an_address_of_ipv6_is_reached(start_redis: StartRedis) -> None:
    """In brackets, as in any URL."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    server = start_redis("--bind", "127.0.0.1", "::1")
    assert await answer(f"redis://[::1]:{server.port}/0") == b"value"


async def test_a_user_of_an_acl_needs_no_more_than_its_keys_and_scripts(start_redis: StartRedis) -> None:
    """A user who may not ask for INFO, and sees no other keys, is served."""
    server = start_redis()
    allowed = ("+eval", "+evalsha", "+get", "+set", "+ping", "+select", "+auth", "+hello")
    if "redis_version:7" in str(server.query("INFO", "server")):
        server.query("ACL", "SETUSER", "worker", "on", ">secret", "~key*", *allowed)
        assert await answer(f"redis://worker:secret@127.0.0.1:{server.port}/0") == b"value"


async def test_a_certificate_is_checked(start_redis: StartRedis, tmp_path: Path) -> None:
    """One of an authority that is not trusted, or of another name, is refused; with its authority it is reached."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    right = start_redis(certificate=authority.issue_cert("127.0.0.1"), password=PASSWORD)
    wrong = start_redis(certificate=authority.issue_cert("other.example"))
    trusting = f"ssl_ca_certs={tmp_path / 'authority.pem'}"
    assert await answer(right.url) is None
    assert await answer(f"{right.url}?{trusting}") == b"value"
    assert await answer(f"{wrong.url}?{trusting}") is None
    assert await answer(f"{wrong.url}?{trusting}&ssl_check_hostname=false") == b"value"
    assert await answer(f"{right.url}?ssl_cert_reqs=none") == b"value"


@pytest.mark.parametrize("said", ["wrong", "none", "user"])
async def test_a_refused_login_is_one_warning_without_the_password(
    said: str, start_redis: StartRedis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call is answered, nothing is raised, and no frame of what goes on shows a password."""
    monkeypatch.setattr("fielding_async.telemetry.log_lines._warned", set[str]())
    server = start_redis(password=PASSWORD)
    wrong = "Zq8pW-a-wrong-password"
    login = {"wrong": f":{wrong}@", "none": "", "user": f"somebody:{wrong}@"}[said]
    client = client_of(f"redis://{login}127.0.0.1:{server.port}/0")
    with caplog.at_level(logging.DEBUG):
        assert await client.call(ADD, keys=["key"], args=["value"]) is None
        assert not client.is_up
        shown = frames.of_tasks()
        await client.aclose()
    assert wrong not in caplog.text + shown
    assert [record.levelname for record in caplog.records if record.name.startswith("fielding")] == ["WARNING"]


@pytest.mark.parametrize("kind", ["replica", "memory"])
async def test_a_server_that_refuses_writes_counts_as_away(kind: str, start_redis: StartRedis) -> None:
    """A replica, and one whose memory is full: away until it takes writes, however often it is asked meanwhile."""
    leader = start_redis()
    server = start_redis(replica_of=leader) if kind == "replica" else leader
    if kind == "memory":
        server.query("CONFIG", "SET", "maxmemory", "1")
    client = client_of(server.url)
    try:
        changes: list[bool] = []
        client.on_change[lambda: changes.append(client.is_up)] = None
        client._uniform = lambda least, most: 0.01
        server.query("CONFIG", "RESETSTAT")
        assert await client.call(ADD, keys=["key"], args=["value"]) is None
        while "cmdstat_eval:calls=" not in (seen := str(server.query("INFO", "commandstats"))) or (
            int(seen.partition("cmdstat_eval:calls=")[2].partition(",")[0]) < 4
        ):
            await asyncio.sleep(0.001)
        assert changes == [False]
        if kind == "replica":
            server.promote()
        else:
            server.query("CONFIG", "SET", "maxmemory", "0")
        assert await answered(client) == b"value"
    finally:
        await client.aclose()


async def answered(client: StoreClient) -> object:
    """Call again each time that the client has found the server, until it answers."""
    changed = asyncio.Event()
    client.on_change[changed.set] = None
    while True:
        changed.clear()
        if client.is_up:
            reply = await client.call(ADD, keys=["key"], args=["value"])
            if reply is not None:
                return reply
        await changed.wait()


async def test_what_others_do_to_a_connection_is_survived(redis_server: RedisServer) -> None:
    """CLIENT KILL, SCRIPT FLUSH, a reset, and a reply that is cut in its middle: the next calls are answered."""
    async with FaultProxy(redis_server.port) as proxy:
        client = client_of(redis_server.url_at(proxy.port))
        try:
            assert await answered(client) == b"value"
            redis_server.query("SCRIPT", "FLUSH")
            assert await client.call(ADD, keys=["key"], args=["value"]) == b"value"
            redis_server.query("CLIENT", "KILL", "TYPE", "normal")
            assert await answered(client) == b"value"
            proxy.cut()
            assert await answered(client) == b"value"
            proxy.reply_bytes = 3
            assert await client.call(ADD, keys=["key"], args=["value"]) is None
            proxy.reply_bytes = None
            assert await answered(client) == b"value"
        finally:
            await client.aclose()


async def test_a_reply_that_comes_too_late_is_never_taken_for_another(redis_server: RedisServer) -> None:
    """The connection that it is under way on is not used again."""
    async with FaultProxy(redis_server.port) as proxy:
        client = client_of(redis_server.url_at(proxy.port))
        try:
            assert await client.call(ADD, keys=["key"], args=["1"]) == b"1"
            proxy.delay = 0.2
            cancelled = asyncio.create_task(client.call(ADD, keys=["key"], args=["2"]))
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert client.is_up  # a caller that gives up says nothing of the store
            client.bound = 0.05
            assert await client.call(ADD, keys=["key"], args=["3"]) is None
            client.bound, proxy.delay = 30.0, 0.0
            assert await answered(client) == b"value"
            for number in range(20):
                assert await client.call(ADD, keys=["key"], args=[number]) == b"%d" % number
        finally:
            await client.aclose()


# asyncio says this of a connection whose loop was closed first: it is closed when it is collected
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("state", ["idle", "under way", "returning"])
def test_a_loop_that_is_closed_under_a_client_is_not_asked_again(state: str) -> None:
    """`close_now` after the end of the loop raises nothing, whatever was under way."""
    if find("redis-server") is None:
        pytest.skip("not installed: redis-server")
    with RedisServer() as server:
        loop = asyncio.new_event_loop()

        async def use() -> StoreClient:
            client = client_of(server.url)
            if state != "returning":
                assert await client.call(ADD, keys=["key"], args=["value"]) == b"value"
            if state == "under way":
                server.pause()
                client.start(client.call(ADD, keys=["key"], args=["value"]))
                await asyncio.sleep(0)
            if state == "returning":
                server.kill()
                assert await client.call(ADD, keys=["key"], args=["value"]) is None
            return client

        client = loop.run_until_complete(use())
        if state != "idle":
            tasks = asyncio.all_tasks(loop)
            assert tasks
            client.close_now()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()
        client.close_now()
        client.close_now()
        del client
        gc.collect()


async def test_a_reply_that_comes_after_the_store_was_found_away_is_none(redis_server: RedisServer) -> None:
    """Whoever was told that it is away would else take it for there, and wait for it."""
    client = client_of(redis_server.url)
    try:
        replies: list[object] = []

        async def call() -> None:
            replies.append(await client.call(ADD, keys=["key"], args=["value"]))

        redis_server.pause()
        waiting = asyncio.create_task(call())
        client.on_change[lambda: replies.append(client.is_up)] = None
        await asyncio.sleep(0)  # it has its own bound
        client.bound = 0.01
        assert await client.call(ADD, keys=["key"], args=["value"]) is None
        assert replies == [False]
        redis_server.resume()
        await waiting
        assert replies[:2] in ([False, None], [False, True])
    finally:
        await client.aclose()
