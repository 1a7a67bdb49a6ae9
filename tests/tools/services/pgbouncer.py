"""PgBouncer in transaction pooling, in front of every database of a PostgreSQL server."""

import socket
from collections.abc import Sequence
from contextlib import suppress

from .postgres import PostgresServer
from .process import Service, StartError, find, unprivileged_user

__all__ = ["PgBouncer"]


class PgBouncer(Service):
    """A pooler whose clients have a connection of the server for a transaction at a time. It asks for no password.

    `pool_size`: connections to the server for each database. `options`: more lines of its configuration.
    """

    program = "pgbouncer"

    def __init__(self, server: PostgresServer, *options: str, pool_size: int = 5) -> None:
        if (user := unprivileged_user()) is not None and find("setpriv") is None:
            raise StartError("pgbouncer refuses to run as root, and there is no setpriv to change the user")
        self.user = user
        super().__init__()
        self.server = server
        self.pool_size = pool_size
        self.options = options

    @property
    def url(self) -> str:
        """The URL of the database `postgres`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def command(self) -> Sequence[str]:
        """Write the configuration, and return the command that runs it in the foreground."""
        password = f" password={self.server.password}" if self.server.password is not None else ""
        lines = [
            "[databases]",
            f"* = host=127.0.0.1 port={self.server.port} user=postgres{password}",
            "[pgbouncer]",
            *("listen_addr = 127.0.0.1", f"listen_port = {self.port}", f"unix_socket_dir = {self.folder}"),
            *("auth_type = trust", f"auth_file = {self.folder / 'users.txt'}", "pool_mode = transaction"),
            *(f"default_pool_size = {self.pool_size}", "max_client_conn = 500", "admin_users = postgres"),
            *self.options,
        ]
        (self.folder / "users.txt").write_text('"postgres" ""\n')
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        return [self.path, str(self.folder / "pgbouncer.ini")]

    def is_ready(self) -> bool:
        """Tell whether it accepts connections."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=10):
            return True
        return False
