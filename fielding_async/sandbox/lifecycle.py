"""Starting and stopping the server: on the running event loop, or in a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from types import TracebackType
from typing import Any, Self, cast

from .control.door import Door
from .request_pipeline import RequestPipeline
from .server import Server
from .serving.host_check import HostCheck, is_wildcard
from .serving.routes import TOKEN_PATH

__all__ = ["ServerLifecycle"]


class ServerLifecycle:
    """The part of a `Sandbox` that starts and stops its server."""

    def __init__(self, pipeline: RequestPipeline, host: str, port: int, hosts: tuple[str, ...]) -> None:
        self._pipeline = pipeline
        self._hosts = HostCheck(host, hosts)
        self._door: Door | None = None
        self._host, self._port = host, port
        self._origin: str | None = None
        self._server: Server | None = None
        self._thread: Thread | None = None
        self._stop_thread: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        self._check_idle()
        self._server = Server(self._pipeline, self._hosts, self._door)
        try:
            self._set_origin(await self._server.start(self._host, self._port))
        except BaseException:
            self._server = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server, self._origin = self._server, None, None
        if server is not None:
            try:
                await server.stop()
            finally:
                self._pipeline.failures.raise_all(error)

    def start(self) -> Self:
        """Run the server in a thread of its own, and return when it listens.

        Does nothing if that thread is already running. Raises `RuntimeError` inside `async with`, and `OSError` if the
        sandbox cannot listen.
        """
        if self._thread is not None:
            return self
        self._check_idle()
        ready: Future[tuple[int, Callable[[], None]]] = Future()

        async def serve() -> None:
            server, stop = Server(self._pipeline, self._hosts, self._door), asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(self._on_loop_error)
            try:
                port = await server.start(self._host, self._port)
            except OSError as error:
                ready.set_exception(error)
                return
            ready.set_result((port, lambda: cast("None", loop.call_soon_threadsafe(stop.set))))
            await stop.wait()
            await server.stop()

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                elif isinstance(error, Exception):
                    self._pipeline.failures.add(error, "in its thread")
                else:
                    raise

        thread = Thread(target=run, name="fielding-sandbox", daemon=True)
        thread.start()
        try:
            port, self._stop_thread = ready.result()
        except Exception:
            thread.join()
            raise
        self._thread = thread
        self._set_origin(port)
        return self

    def stop(self) -> None:
        """Stop the server that `start()` started, and wait for its thread. Requests in progress are dropped.

        Does nothing if the server is not running in a thread. Does not check for unused faults; `assert_faults_used`
        does. Raises an `ExceptionGroup` of `failures` if exceptions were raised inside the sandbox.
        """
        self._stop(None)

    def _stop(self, error: BaseException | None) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and self._stop_thread is not None:
            self._origin = None
            self._stop_thread()
            thread.join()
            self._pipeline.failures.raise_all(error)

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep an exception that nobody awaits, such as one of a transport. A client that disconnects is none."""
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self._pipeline.failures.add(error, f"on its event loop: {context.get('message')}")
        else:
            loop.default_exception_handler(context)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(error)

    def _check_idle(self) -> None:
        if self._server is not None or self._thread is not None:
            raise RuntimeError("the sandbox is already started")

    def _set_origin(self, port: int) -> None:
        host = self._host
        if is_wildcard(host):  # the SDK speaks plain http to loopback addresses alone
            host = "::1" if ":" in host else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        self._origin = f"http://{host}:{port}"

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:PORT/v1`. Raises `RuntimeError` if the sandbox is not started.

        If the sandbox listens on all addresses (`0.0.0.0`, `::`), the URL has the loopback address.
        """
        return self._require_origin() + "/v1"

    @property
    def token_url(self) -> str:
        """The URL of the token endpoint. Raises `RuntimeError` if the sandbox is not started."""
        return self._require_origin() + TOKEN_PATH

    def _require_origin(self) -> str:
        if self._origin is None:
            raise RuntimeError("the sandbox is not started: use `async with`, `with` or start()")
        return self._origin
