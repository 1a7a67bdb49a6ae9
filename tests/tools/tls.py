"""Certificates of the tests' own authority, and an exchange with its token endpoint behind TLS."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import trustme

from tests.proofs.faults.raw_server import RawRequest, RawServer, head

__all__ = ["TlsServer", "authority", "failing_handshakes", "server_context", "trusting"]

NAMES = ("exchange.example", "auth.example", "localhost", "127.0.0.1")


@cache
def authority() -> trustme.CA:
    """The authority that signs the certificates of the tests, and that no other context trusts."""
    return trustme.CA()


@cache
def _issued() -> trustme.LeafCert:
    return authority().issue_cert(*NAMES)


def server_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return the context of a server with this certificate, or with one for all names of the tests."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    (certificate or _issued()).configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    """Return the context of a client that trusts the authority of the tests alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


class TlsServer(RawServer):
    """The raw server behind TLS, which also hands out tokens at `/oauth/token`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.context = context or server_context()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"https://127.0.0.1:{self.port}/v1"

    def handle(self, request: RawRequest) -> bytes:
        """Carry a request out, and return the reply that belongs to it."""
        if request.path != "/oauth/token":
            return super().handle(request)
        body = json.dumps({"access_token": "a-token-of-the-endpoint", "expires_in": 86_400}).encode()
        return head("200 OK", "Content-Type: application/json", length=len(body)) + body


@contextmanager
def failing_handshakes(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """Listen in a thread with a context that no client of the test comes to terms with.

    Yields the port, and a list that gets an entry for each connection: what was read after the handshake, if that came
    to an end. asyncio's servers do not send the alert that ends a handshake; this one does.
    """
    connections: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(b"")
            with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
                try:
                    tls.do_handshake()
                    connections[-1] = tls.recv(65_536)
                except OSError:
                    # read what is under way: a reset would overtake the alert
                    with suppress(OSError):
                        socket.socket.shutdown(tls, socket.SHUT_WR)
                        while socket.socket.recv(tls, 65_536):
                            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], connections
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
