"""`FieldingSession`: the entry to the SDK.

Batches are loaded when they are first used, as many programs need none.
"""

import os
import random
import ssl as ssl_module
import sys
import warnings
from collections.abc import AsyncIterable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve

from .core.actions import Action, Change
from .core.addresses import check_api_version, resolve_base_url
from .core.config import DEFAULT_TIMEOUT, Limits, Retry, Timeout, TimeoutArg, check_drain, check_name, check_session
from .core.credentials import Auth, ClientCredentials, TokenSource, resolve_auth, settings_of
from .core.errors import SessionClosedError
from .core.models import OnConflict, RunRef, SessionStats
from .core.redaction import Secret
from .engine.engine import Engine, open_engine
from .engine.membership import check_shared
from .engine.settings import Settings
from .handles.raw_request import request as raw_request
from .handles.session_handles import SessionHandles
from .http.caller_session import ClientSession, check_client_session
from .http.proxies import PROXY_VARIABLES, resolve_proxies
from .http.tls import check_ssl
from .http.transport import Transport
from .telemetry.otel_providers import TracerProvider, check_providers

if TYPE_CHECKING:
    from .batch.perform_all import PerformAll
    from .core.batch_values import Done, OnRowFailure, StopMode
    from .engine.membership import SharedSource
    from .handles.run import Run
    from .telemetry.meters import MeterProvider

__all__ = ["FieldingSession", "session_over"]


class FieldingSession(SessionHandles):
    """A session with the exchange: `async with FieldingSession() as fielding: …`

    A session remembers the last ETag of each run. After a conflict or a lost reply, it fetches the run, and decides
    whether the action was applied or is still wanted. It keeps one pace (a limit of requests a second) for all
    requests. You may create a session before an event loop runs. You may use it only on the event loop, in the thread
    and in the process in which you entered it.

    `auth`: a token, a `BearerToken`, `ClientCredentials`, or an async callable that returns a token. With `None`, the
    session reads `FIELDING_TOKEN` or, if this is not set, `FIELDING_CLIENT_ID` and `FIELDING_CLIENT_SECRET`.
    `base_url`: with `None`, the session reads `FIELDING_BASE_URL` or, if this is not set, uses the address of the
    exchange. Plain http is allowed for loopback hosts only. `etag_cache_size`: the greatest number of runs that the
    session remembers. `http`: an `aiohttp.ClientSession` of yours. The session uses its connections, and never closes
    or changes it. `proxy`: the URL of an HTTP proxy for https. If left out, the session uses the proxy of `http` or, if
    there is none, the proxy of the environment (`HTTPS_PROXY`, `ALL_PROXY`). It does not use the proxy of the
    environment for hosts that `NO_PROXY` names, or for loopback hosts. `ssl`: an `ssl.SSLContext` for connections.
    `True` verifies certificates, even if the connector of `http` does not. `False` verifies no certificates, and causes
    a warning. If left out, the connector of `http` decides. Without `http`, certificates are then verified.
    `tracer_provider`, `meter_provider`: providers of OpenTelemetry. If left out, the session uses the global providers,
    even if these are set later. `name`: 1 to 100 printable characters, with no blank at either end. The name is in
    metrics, in log lines and in the `repr`. `shared`: a `Shared` of `fielding_async.coordination`, with which sessions
    in many processes keep one pace together.

    Raises `ConfigurationError` for a bad argument or a missing setting. Entering the session also raises it if the
    installed version of aiohttp cannot be used.
    """

    __module__ = "fielding_async"
    request = raw_request

    def __init__(
        self,
        auth: str | Auth | TokenSource | None = None,
        *,
        base_url: str | None = None,
        api_version: str = "2025-12-18",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        retry: Retry = Retry(),  # noqa: B008
        timeout: Timeout = Timeout(),  # noqa: B008
        etag_cache_size: int = 65_536,
        http: ClientSession | None = None,
        proxy: str | None = None,
        ssl: ssl_module.SSLContext | bool | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: "MeterProvider | None" = None,
        name: str | None = None,
        shared: "SharedSource | None" = None,
    ) -> None:
        self._engine: Engine | None = None  # first: a session whose arguments are refused has a `repr`, too
        self._closed = False
        auth, proxy = Secret.of(auth), Secret.of(proxy)  # a traceback may show local variables
        check_session(limits, retry, timeout, etag_cache_size)
        check_providers(tracer_provider, meter_provider)
        http = check_client_session(http)
        environment = settings_of(os.environ, PROXY_VARIABLES)
        auth = resolve_auth(auth, environment)
        base_url = resolve_base_url(base_url, environment)
        token_urls = [("token_url", auth.token_url)] if isinstance(auth, ClientCredentials) else []
        self._settings = Settings(
            auth=auth,
            base_url=base_url,
            api_version=check_api_version(api_version),
            limits=limits,
            retry=retry,
            timeout=timeout,
            etag_cache_size=etag_cache_size,
            http=http,
            proxies=resolve_proxies(proxy, http, environment, [("base_url", base_url), *token_urls]),
            ssl=check_ssl(ssl),
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            name=check_name(name),
            shared=check_shared(shared, base_url, auth),
        )

    def __repr__(self) -> str:
        engine: Engine | None = getattr(self, "_engine", None)
        is_closed: bool = getattr(self, "_closed", False)
        state = engine.state if engine is not None else "closed" if is_closed else "not entered"
        settings: Settings | None = getattr(self, "_settings", None)
        name = f"{settings.name!r} " if settings is not None and settings.name is not None else ""
        return f"<FieldingSession {name}{settings and settings.base_url} ({state})>"

    @property
    def base_url(self) -> str:
        """The base URL that the session uses."""
        return self._settings.base_url

    def stats(self) -> SessionStats:
        """Return the state of the session now, and its counts since it was entered. No request is sent.

        May be called from any thread, and never raises. Before the session is entered all numbers are zero and `pace`
        is `None`. After it is closed the counts stay, and `pace` and `pause_left` are those at the time of closing. In
        a forked child the counts are those at the fork.
        """
        return SessionStats() if self._engine is None else self._engine.watch.stats()

    async def __aenter__(self) -> Self:
        if self._closed:
            raise SessionClosedError("the session is closed, and can be entered once: make a new FieldingSession")
        if self._engine is not None:
            raise SessionClosedError(
                "the session has been entered already, and can be entered once: make another FieldingSession"
            )
        self._engine = await open_engine(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, *, drain: float = 0.0) -> None:
        """Close what the session opened. From now on, new calls raise `SessionClosedError`.

        `drain`: the seconds, 0 to 1e9, that calls in progress, and writes whose callers were cancelled, have to end.
        After this time, a call that has not ended raises `OutcomeUnknownError` if its write may be applied, and
        `SessionClosedError` if not.

        Returns when all is closed. The end of an `async with` block calls `aclose()`. If several tasks close the
        session, each of them waits, and the shortest `drain` applies. If `aclose` is cancelled, the session is still
        closed, and sends nothing more. For a session that is already closed, or was never entered, there is nothing to
        wait for. Raises `ConfigurationError` for a bad `drain`.
        """
        check_drain(drain)
        engine = self._engine
        if engine is not None and not engine.is_over:
            engine.check_place()
        self._closed = True
        if engine is not None:
            await engine.aclose(drain)

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        engine: Engine | None = getattr(self, "_engine", None)
        if engine is not None and not sys.is_finalizing() and engine.abandon():
            _warn(f"unclosed {self!r}: leave its `async with`, or await its aclose()", ResourceWarning, source=self)

    def engine(self) -> Engine:
        """Return the live engine: for the handles. Raises `SessionClosedError` if there is none."""
        if self._engine is None:
            raise SessionClosedError(
                "the session is closed: make a new one for what comes after"
                if self._closed
                else "the session has not been entered: use `async with FieldingSession() as fielding`"
            )
        return self._engine

    # -- batches

    def perform_all(
        self,
        pairs: "Iterable[tuple[RunRef | Run, Action | Change]] | AsyncIterable[tuple[RunRef | Run, Action | Change]]",
        *,
        concurrency: int | None = None,
        look_ahead: int = 1000,
        on_row_failure: "OnRowFailure" = "skip",
        stop: "StopMode" = "drain",
        stop_on: "Callable[[Done], object] | None" = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
        journal: "str | os.PathLike[str] | None" = None,
        plan: str | None = None,
        wait: float = 0.0,
    ) -> "PerformAll":
        """Perform many rows, each an action on a run. Each row comes back as a `Done` when it has ended.

            from fielding_async import Complete

            async with fielding.perform_all((ref, Complete()) for ref in refs) as batch:
                async for done in batch:
                    print(done.ref, done.outcome.effect if done.error is None else done.error)

        `pairs`: the rows. The batch takes a row from `pairs` only when the row could start. It performs the rows of one
        run in their order. If a row failed, or if its outcome is unknown, the later rows of its run end in
        `SkippedError`, unless you pass `on_row_failure="continue"`. A row with a bad ref or action ends in
        `ConfigurationError`. Without a journal, a callable change can take the place of an action, as for `Run.update`.
        If it raises an exception, this is the error of the row. If `pairs` raises an exception, the iteration first
        yields the rows that were taken before, and then raises the exception. `concurrency`: the greatest number of
        rows in progress. If left out, it is `Limits.concurrency`, or one less if that is ten or more. `look_ahead`: the
        greatest number of rows that wait for earlier rows of their run. `stop`: whether a batch that is left early
        waits for the rows in flight or cancels them. `batch.leftover` then has the rows that were taken and not
        yielded. `stop_on`: a function that is called with each row that has ended. When it has returned true, no more
        rows start. `on_conflict`, `timeout`: as for `Run.perform`, for each row (`timeout` in seconds).

        `journal`: the path of a file, with which a later batch can continue this batch, even after a crash. Each write
        is recorded in the file before it is sent. A later batch with the same rows skips the rows that have ended, with
        or without success. It continues the rows that were in flight, under the ETags with which they were sent, and
        performs the other rows. If a row stays open, the later rows of its run are skipped for now. `plan`: a digest of
        the plan, 1 to 4096 characters. A journal belongs to one exchange and one plan. Without a digest, the batch
        notices a changed row only when it takes the row.

        `wait`: the seconds, 0 to 1e9, for which the batch waits at most in an outage. With a `journal`, or with a
        `wait` above 0, the batch tries a row again that did not cause its own failure: up to three times in all, or
        after the outage. After `wait`, or if waiting cannot help, the batch stops. It then yields the open rows with
        their errors, and `batch.outage` has the reason.

        Raises `ConfigurationError` for a bad argument. Entering the batch raises `ConfigurationError` if the journal
        cannot be used, and `SessionClosedError`. The iteration raises `JournalError`, `SessionClosedError`, the
        exceptions of `pairs` and of `stop_on`, and `ConfigurationError` if `pairs` is not what the journal has.
        """
        from .batch.options import Options
        from .batch.perform_all import journal_file, perform_all

        options = Options(
            concurrency=concurrency,
            look_ahead=look_ahead,
            on_row_failure=on_row_failure,
            stop=stop,
            stop_on=stop_on,
            on_conflict=on_conflict,
            timeout=timeout,
            wait=wait,
        )
        return perform_all(self, pairs, options, storage=journal_file(journal), plan=plan)


def session_over(transport: Transport, *, dice: random.Random | None = None, **arguments: Any) -> FieldingSession:
    """Return a session that sends through another transport: the seam for simulations, tests and benchmarks.

    `transport`: performs the requests in place of aiohttp. `dice`: the source of jitter, trace ids and span ids; left
    out, they are random. `arguments`: those of `FieldingSession`. Raises `ConfigurationError` for a bad argument.
    """
    arguments = {name: Secret.of(value) for name, value in arguments.items()}
    session = FieldingSession(**arguments)
    settings = session._settings  # pyright: ignore[reportPrivateUsage] - of this module
    session._settings = evolve(settings, transport=transport, dice=dice)  # pyright: ignore[reportPrivateUsage]
    return session
