"""A PostgreSQL cluster of its own, and databases in it that are made in milliseconds."""

import itertools
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from .process import Service, StartError, find, unprivileged_user

__all__ = ["PostgresServer"]


class PostgresServer(Service):
    """A cluster that `initdb` makes at the first start, and whose superuser is `postgres`.

    `kill()` and `restart()` end it as `pg_ctl stop -m immediate` does: without a checkpoint, it recovers from its log.
    `password`: of the superuser, asked for (SCRAM) on TCP; without one everybody is trusted. `max_connections`: of
    clients. `fsync`: whether commits are written through to the disk; without it they survive the end of the server's
    processes, though not of the machine. `options`: more settings, as `"log_statement=all"`.
    """

    program = "postgres"
    end_signal = signal.SIGQUIT

    def __init__(
        self, *options: str, password: str | None = None, max_connections: int = 100, fsync: bool = False
    ) -> None:
        if (user := unprivileged_user()) is not None and find("setpriv") is None:
            raise StartError("postgres refuses to run as root, and there is no setpriv to change the user")
        self.user = user
        super().__init__()
        settings = [
            *("listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "shared_buffers=64MB"),
            *(f"max_connections={max_connections}", "superuser_reserved_connections=3", "log_line_prefix=%m [%p] %d "),
            *(() if fsync else ("fsync=off", "full_page_writes=off")),
        ]
        self.settings = [*settings, *options]
        self.password = password
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, with the password."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, port: int | None = None) -> str:
        """Return the URL of a database; with another port it is a proxy's or a pooler's."""
        login = "postgres" if self.password is None else f"postgres:{quote(self.password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{port or self.port}/{database}"

    def command(self) -> Sequence[str]:
        """Return the command that runs it in the foreground."""
        settings = itertools.chain.from_iterable(("-c", setting) for setting in self.settings)
        return [self.path, "-D", str(self.folder / "data"), "-p", str(self.port), *settings]

    def start(self) -> "PostgresServer":
        """Make the cluster if there is none, and start it."""
        if not (self.folder / "data").exists():
            self._make_cluster()
        return super().start()

    def is_ready(self) -> bool:
        """Tell whether it accepts connections, as `pg_ctl` does."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, and return its rows as lines, columns separated by `|`."""
        psql = find("psql")
        assert psql is not None
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        login = ("-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database)
        return self.run(psql, *options, *login, "-c", sql).strip()

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Yield the name of an empty database, which is dropped afterwards, whoever is still connected to it."""
        self.ensure()
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.ensure()
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _make_cluster(self) -> None:
        initdb = find("initdb")
        if initdb is None:
            raise StartError("initdb is not installed")
        login = ["--auth-host=trust"]
        if self.password is not None:
            (self.folder / "password").write_text(self.password)
            login = ["--auth-host=scram-sha-256", f"--pwfile={self.folder / 'password'}"]
        where = ["-D", str(self.folder / "data"), "-U", "postgres", "-E", "UTF8", "--locale=C"]
        self.run(initdb, *where, "--no-sync", "--auth-local=trust", *login)
        (self.folder / "password").unlink(missing_ok=True)
