"""The fixtures that this folder's `__init__` describes: a server for each process of the tests, fresh for each test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest
import trustme

from .pgbouncer import PgBouncer
from .postgres import PostgresServer
from .process import find
from .redis import RedisServer

__all__ = [
    "StartPostgres",
    "StartRedis",
    "needs",
    "needs_postgres",
    "pgbouncer_of_process",
    "pgbouncer_server",
    "pgbouncer_url",
    "postgres_module_url",
    "postgres_of_process",
    "postgres_server",
    "postgres_url",
    "redis_of_process",
    "redis_server",
    "redis_url",
    "start_postgres",
    "start_redis",
]


def needs(*programs: str) -> None:
    """Skip the test, with the reason, where one of these programs is not installed."""
    if missing := [program for program in programs if find(program) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")


def needs_postgres(*more: str) -> None:
    """Skip the test where PostgreSQL cannot be run."""
    # PostgreSQL and PgBouncer refuse to run as root
    needs("postgres", "initdb", "psql", *more, *(["setpriv"] if os.geteuid() == 0 else []))


class StartRedis(Protocol):
    """Starts another Redis, or Valkey, which is ended after the test: see `RedisServer`."""

    def __call__(
        self,
        *options: str,
        program: str = ...,
        password: str | None = ...,
        replica_of: RedisServer | None = ...,
        certificate: trustme.LeafCert | None = ...,
    ) -> RedisServer: ...


class StartPostgres(Protocol):
    """Starts another PostgreSQL, which is ended after the test: see `PostgresServer`."""

    def __call__(
        self, *options: str, password: str | None = ..., max_connections: int = ..., fsync: bool = ...
    ) -> PostgresServer: ...


@pytest.fixture(scope="session")
def redis_of_process() -> Iterator[RedisServer]:
    """The Redis that the tests of a process share."""
    needs("redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(redis_of_process: RedisServer) -> RedisServer:
    """A running, empty Redis, which the test may kill, stop and restart."""
    redis_of_process.ensure()
    redis_of_process.flush()
    return redis_of_process


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of a running, empty Redis."""
    return redis_server.url


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Start other servers, with a password, as replicas, behind TLS, or of Valkey."""
    with ExitStack() as stack:

        def start(
            *options: str,
            program: str = "redis-server",
            password: str | None = None,
            replica_of: RedisServer | None = None,
            certificate: trustme.LeafCert | None = None,
        ) -> RedisServer:
            needs(program)
            server = RedisServer(
                *options, program=program, password=password, replica_of=replica_of, certificate=certificate
            )
            return stack.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def postgres_of_process() -> Iterator[PostgresServer]:
    """The PostgreSQL that the tests of a process share."""
    needs_postgres()
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_server(postgres_of_process: PostgresServer) -> PostgresServer:
    """A running PostgreSQL, which the test may kill, stop and restart."""
    postgres_of_process.ensure()
    return postgres_of_process


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    with postgres_server.fresh_database() as name:
        yield postgres_server.url_of(name)


@pytest.fixture(scope="module")
def postgres_module_url(postgres_of_process: PostgresServer) -> Iterator[str]:
    """The URL of a database that is empty at a module's first test."""
    with postgres_of_process.fresh_database() as name:
        yield postgres_of_process.url_of(name)


@pytest.fixture
def start_postgres() -> Iterator[StartPostgres]:
    """Start other servers, with a password, few connections, or commits that are written through."""
    with ExitStack() as stack:

        def start(
            *options: str, password: str | None = None, max_connections: int = 100, fsync: bool = False
        ) -> PostgresServer:
            needs_postgres()
            server = PostgresServer(*options, password=password, max_connections=max_connections, fsync=fsync)
            return stack.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def pgbouncer_of_process(postgres_of_process: PostgresServer) -> Iterator[PgBouncer]:
    """The PgBouncer that the tests of a process share."""
    needs_postgres("pgbouncer")
    with PgBouncer(postgres_of_process) as pooler:
        yield pooler


@pytest.fixture
def pgbouncer_server(pgbouncer_of_process: PgBouncer) -> PgBouncer:
    """A running PgBouncer, which the test may kill, stop and restart."""
    pgbouncer_of_process.ensure()
    return pgbouncer_of_process


@pytest.fixture
def pgbouncer_url(postgres_url: str, pgbouncer_server: PgBouncer) -> str:
    """The URL of the database of `postgres_url` behind PgBouncer."""
    return pgbouncer_server.url_of(postgres_url.rsplit("/", 1)[1])
