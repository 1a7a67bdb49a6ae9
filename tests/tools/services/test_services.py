"""The servers of the tests start, end, stop and continue as their description says, and leave nothing behind."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from . import PgBouncer, PostgresServer, RedisServer
from .fixtures import StartPostgres, StartRedis, needs, needs_postgres
from .redis import REDIS_PROGRAMS, RedisError


def test_a_redis_is_empty_at_its_url_after_a_restart(redis_server: RedisServer) -> None:
    """It comes back at the same port, as another process, without what was in it."""
    redis_server.query("SET", "key", "value")
    before = redis_server.url, redis_server.pid
    redis_server.restart()
    assert redis_server.query("GET", "key") is None
    assert (redis_server.url, redis_server.pid) != before
    assert redis_server.url == before[0]


def test_a_redis_that_was_left_dead_lives_in_the_next_test(redis_server: RedisServer) -> None:
    """`ensure()` is what the fixtures call: it continues what is stopped, and starts what is killed."""
    redis_server.pause()
    redis_server.ensure()
    assert redis_server.query("PING") == "PONG"
    redis_server.kill()
    with pytest.raises(ConnectionRefusedError):
        redis_server.query("PING")
    redis_server.ensure()
    assert redis_server.query("PING") == "PONG"


def test_a_stopped_redis_accepts_and_does_not_answer(redis_server: RedisServer) -> None:
    """SIGSTOP leaves connections open; what was sent is answered once it continues."""
    redis_server.pause()
    with socket.create_connection(("127.0.0.1", redis_server.port), timeout=0.05) as connection:
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.settimeout(60)
        redis_server.resume()
        assert connection.recv(100) == b"+PONG\r\n"


def test_a_replica_has_the_data_and_takes_over(start_redis: StartRedis) -> None:
    """A replica refuses writes until it is promoted."""
    leader = start_redis(password="a word / and more")
    leader.query("SET", "key", "value")
    replica = start_redis(replica_of=leader, password="another")
    assert replica.query("GET", "key") == "value"
    with pytest.raises(RedisError, match="READONLY"):
        replica.query("SET", "key", "2")
    leader.kill()
    replica.promote()
    assert replica.query("SET", "key", "2") == "OK"


def test_a_redis_asks_for_its_password_and_speaks_tls(start_redis: StartRedis) -> None:
    """The URL says both."""
    server = start_redis(password="p@ss", certificate=trustme.CA().issue_cert("127.0.0.1"))
    assert server.url == f"rediss://:p%40ss@127.0.0.1:{server.port}/0"
    assert server.query("PING") == "PONG"
    server.password = None
    with pytest.raises(RedisError, match="NOAUTH"):
        server.query("PING")


@pytest.mark.parametrize("program", REDIS_PROGRAMS)
def test_every_program_is_started_like_a_redis(start_redis: StartRedis, program: str) -> None:
    """The programs are others, the protocol is the same."""
    server = start_redis(program=program)
    info = str(server.query("INFO", "server"))
    assert {"valkey-server": "valkey_version:", "redis-server-6.2": "redis_version:6.2."}.get(program, "") in info


def test_a_database_is_empty_and_survives_an_immediate_restart(postgres_server: PostgresServer) -> None:
    """What was committed is there after the restart; the next test has another database."""
    with postgres_server.fresh_database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT 1 AS a", name)
        before = postgres_server.pid
        postgres_server.restart()
        assert postgres_server.pid != before
        assert postgres_server.execute("SELECT a FROM t", name) == "1"
    with postgres_server.fresh_database() as name:
        assert postgres_server.execute("SELECT to_regclass('t') IS NULL", name) == "t"


def test_a_stopped_postgres_goes_on_where_it_was(postgres_server: PostgresServer) -> None:
    """The server and all its processes stop, and continue."""
    postgres_server.pause()
    state = Path(f"/proc/{postgres_server.pid}/stat")
    if state.exists():
        assert state.read_text().rsplit(")", 1)[1].split()[0] == "T"
    postgres_server.resume()
    assert postgres_server.execute("SELECT 1") == "1"


def test_a_postgres_asks_for_its_password(start_postgres: StartPostgres) -> None:
    """The URL has it; without it nobody comes in over TCP."""
    server = start_postgres(password="p@ss", max_connections=7)
    assert server.url == f"postgresql://postgres:p%40ss@127.0.0.1:{server.port}/postgres"
    assert server.execute("SHOW max_connections") == "7"
    url = server.url.replace("p%40ss", "wrong")
    psql = subprocess.run(["psql", url, "-c", "SELECT 1"], capture_output=True, text=True, check=False)
    assert "password authentication failed" in psql.stderr


def test_two_connections_of_pgbouncer_share_one_of_the_server(postgres_url: str, pgbouncer_server: PgBouncer) -> None:
    """What a client sets for its session is seen by the next: the pooling is by transaction."""
    url = pgbouncer_server.url_of(postgres_url.rsplit("/", 1)[1])
    pids = [
        subprocess.run(["psql", url, "-Atc", "SELECT pg_backend_pid()"], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert pids[0].stdout == pids[1].stdout != ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_nothing_runs_on_after_the_tests_are_killed(number: signal.Signals) -> None:
    """The kernel ends the servers of a process that is killed, and every child of PostgreSQL with it."""
    needs("redis-server", "setpriv")
    needs_postgres()
    script = """if True:
        import asyncio, sys
        from tests.tools.services import PostgresServer, RedisServer
        # as tests do that start servers beside their loop: the threads of its pool do not last
        async def start():
            return [await asyncio.to_thread(make().start) for make in (RedisServer, PostgresServer)]
        servers = asyncio.run(start())
        assert all(server.is_running for server in servers)
        print(*(server.pid for server in servers), end=" ")
        print(*(server.port for server in servers), *(server.folder for server in servers), flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        words = tests.stdout.readline().split()
        redis, postgres, *ports = map(int, words[:4])
        os.kill(redis, 0)
        handles = [os.pidfd_open(pid) for pid in (redis, postgres)]
        tests.send_signal(number)
    for handle in handles:
        with os.fdopen(handle):
            assert select.select([handle], [], [], 60)[0]
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
    for folder in words[4:]:
        shutil.rmtree(folder)
