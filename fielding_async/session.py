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

    It remembers the last ETag of each run. After a conflict or a lost reply it fetches the run and decides whether the
    action was applied or is still wanted. It paces all requests together. It may be built before any event loop runs;
    it is used on the loop, thread and process it was entered in.

    `auth`: a token, `BearerToken`, `ClientCredentials`, or an async callable that returns a token; `None` reads
    `FIELDING_TOKEN`, else `FIELDING_CLIENT_ID` and `FIELDING_CLIENT_SECRET`. `base_url`: `None` reads
    `FIELDING_BASE_URL`, else it is the exchange's own; plain http is for loopback hosts only. `etag_cache_size`: the
    most runs remembered. `http`: an `aiohttp.ClientSession` of the caller, whose connections are used, and which is
    never closed or changed. `proxy`: the URL of an HTTP proxy for https; left out, that of `http`, else that of the
    environment (`HTTPS_PROXY`, `ALL_PROXY`; not for hosts that `NO_PROXY` names, nor for loopback hosts). `ssl`: an
    `ssl.SSLContext` for connections; `True` verifies certificates, also where the connector of `http` does not; `False`
    verifies none, with a warning; left out, the connector of `http` decides, else they are verified.
    `tracer_provider`, `meter_provider`: of OpenTelemetry; left out, the global ones, also if these are set later.
    `name`: 1 to 100 printable characters, no blank at either end; it is in metrics, log lines and the `repr`.
    `shared`: a `Shared` of `fielding_async.coordination`, so that sessions in many processes keep one pace together.

    Raises `ConfigurationError` for a bad argument or a missing setting; on entering, also for a version of aiohttp that
    cannot be used.
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
        """The base URL in force."""
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
        """Close what the session opened. New calls are refused at once, with `SessionClosedError`.

        `drain`: the seconds, 0 to 1e9, that calls in progress, and writes whose callers were cancelled, get to end.
        Then those left are cut off: the calls end in `SessionClosedError`, or in `OutcomeUnknownError` for a write that
        may be applied. Leaving `async with` is `aclose()`.

        Returns when all is closed. If several tasks close the session, each waits, and the shortest `drain` counts. If
        it is cancelled, the session is still closed, and nothing more is sent. Closing again, or without having
        entered, does nothing. Raises `ConfigurationError` for a bad `drain`.
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
        """Perform an action on each of many runs; rows come back as they end, as `Done` values.

            from fielding_async import Complete

            async with fielding.perform_all((ref, Complete()) for ref in refs) as batch:
                async for done in batch:
                    print(done.ref, done.outcome.effect if done.error is None else done.error)

        `pairs` is read lazily: a row is taken when it could start. Rows of one run keep their order; after one that
        failed or is unknown the later ones of that run are a `SkippedError`, unless `on_row_failure="continue"`. A bad
        ref or action is a `ConfigurationError`. Without a journal a callable change may stand for an action, as for
        `Run.update`; what it raises is the error of its row. What the input raises is raised after the rows before.
        `concurrency`: the most rows in progress; left out, as many as there are slots for rows: those of `Limits`, of
        ten or more one less. `look_ahead`: the most rows that wait behind earlier ones of their run. `stop`: whether
        leaving early waits for what is in flight or cancels it; `batch.leftover` then lists what was taken and not
        yielded. `stop_on`: called with each row as it ends; once it returns true, no more rows start. `on_conflict` and
        `timeout` (seconds) are those of each row, as for `Run.perform`.

        `journal`: a file that makes the batch resumable, also after a crash. Each write is on record before it is sent.
        A later batch with the same rows skips those that ended (with or without success), continues with those in
        flight under the ETag they were sent under, and performs the others. After one that stays open, later rows of
        its run are skipped for now. A journal belongs to one exchange and one plan; `plan` (1 to 4096 characters) is a
        digest of it: without one, other rows are noticed only when they are read.

        `wait`: seconds, 0 to 1e9, that the batch waits at most in an outage. With a `journal` or a `wait` above 0,
        a row that did not cause its own failure is tried again: three times in all, or after the outage. After `wait`,
        or if waiting cannot help, the batch stops: open rows are yielded with their error; `batch.outage` says why.

        Raises `ConfigurationError` for a bad argument, and on entering for a journal that cannot be used;
        `SessionClosedError` on entering. Out of the iteration: `JournalError`, `SessionClosedError`, what the input or
        `stop_on` raised, and `ConfigurationError` for an input that is not what the journal holds.
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
