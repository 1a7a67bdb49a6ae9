"""Redis or Valkey, with or without a password, TLS, or a server that it copies."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trustme

from .process import Service

__all__ = ["REDIS_PROGRAMS", "RedisError", "RedisServer"]

REDIS_PROGRAMS = ("redis-server", "redis-server-6.2", "valkey-server")
"""The distribution's Redis, the oldest Redis that is supported, and Valkey."""

Reply = str | int | list[Any] | None


class RedisError(Exception):
    """An error that the server replied."""


class RedisServer(Service):
    """A server that keeps nothing on disk: it is empty after a restart.

    `program`: one of `REDIS_PROGRAMS`. `password`: of the default user. `replica_of`: the server whose data
    it copies; `start()` returns when it has them. `certificate`: it speaks TLS alone, with this certificate.
    `options`: more of the command line, as `"--maxmemory", "1mb"`.
    """

    program = "redis-server"

    def __init__(
        self,
        *options: str,
        program: str = "redis-server",
        password: str | None = None,
        replica_of: "RedisServer | None" = None,
        certificate: trustme.LeafCert | None = None,
    ) -> None:
        self.program = program
        super().__init__()
        self.options = options
        self.password = password
        self.replica_of = replica_of
        self.certificate = certificate
        if certificate is not None:
            certificate.private_key_pem.write_to_path(self.folder / "key.pem")
            for blob in certificate.cert_chain_pems:
                blob.write_to_path(self.folder / "cert.pem", append=True)

    @property
    def url(self) -> str:
        """The URL of database 0, with the password."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Return the URL with another port: a proxy's."""
        login = f":{quote(self.password, safe='')}@" if self.password is not None else ""
        return f"{'rediss' if self.certificate is not None else 'redis'}://{login}127.0.0.1:{port}/0"

    @property
    def socket_path(self) -> Path:
        """The Unix socket that it listens on as well."""
        return self.folder / "redis.sock"

    def command(self) -> Sequence[str]:
        """Return the command that runs it in the foreground."""
        listen = ["--port", str(self.port)]
        if self.certificate is not None:
            files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem"]
            listen = ["--port", "0", "--tls-port", str(self.port), *files, "--tls-auth-clients", "no"]
        login = ["--requirepass", self.password] if self.password is not None else []
        if (leader := self.replica_of) is not None:
            listen += ["--replicaof", "127.0.0.1", str(leader.port), "--repl-diskless-sync-delay", "0"]
            login += ["--masterauth", leader.password] if leader.password is not None else []
        return [
            *(self.path, *listen, *login, "--bind", "127.0.0.1", "--unixsocket", str(self.socket_path)),
            *("--save", "", "--appendonly", "no", "--dir", str(self.folder), "--daemonize", "no"),
            *("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"),
            *self.options,
        ]

    def is_ready(self) -> bool:
        """Tell whether our own process answers, and has the data of the server that it copies."""
        with suppress(OSError, RedisError):
            if f"process_id:{self.pid}\r" not in str(self.query("INFO", "server")):
                return False
            return self.replica_of is None or "master_link_status:up" in str(self.query("INFO", "replication"))
        return False

    def promote(self) -> None:
        """Have a replica become a server of its own: `REPLICAOF NO ONE`."""
        self.query("REPLICAOF", "NO", "ONE")
        self.replica_of = None

    def query(self, *words: str) -> Reply:
        """Send one command over a connection of its own, and return its reply. Raises `RedisError`, `OSError`."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        with plain, self._secured(plain) as connection, connection.makefile("rwb") as file:
            if self.password is not None:
                _send(file, ("AUTH", self.password))
                _read(file)
            _send(file, words)
            return _read(file)

    def flush(self) -> None:
        """Delete everything, settings and users aside, and close the connections of clients."""
        self.query("FLUSHALL")
        self.query("SCRIPT", "FLUSH")
        self.query("CLIENT", "KILL", "TYPE", "normal")

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self.certificate is None:
            return plain
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain)


def _send(file: Any, words: Sequence[str]) -> None:
    parts = [word.encode() for word in words]
    file.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    file.flush()


def _read(file: Any) -> Reply:
    line: bytes = file.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError("the server closed the connection")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"-":
        raise RedisError(rest)
    if kind == b":":
        return int(rest)
    if kind == b"*":
        return [_read(file) for _ in range(int(rest))]
    if kind == b"$":
        return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode()
    return rest
