"""The OpenTelemetry providers of a session: its tracer and its instruments, if there are any."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Tracer, TracerProvider

from fielding_async.__about__ import __version__
from fielding_async.core.errors import ConfigurationError

from .log_lines import contained
from .session_stats import SessionCounts, SessionWatch
from .signal_names import SCHEMA_URL

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from .meters import Meters

__all__ = ["Providers", "TracerProvider", "check_providers"]


def check_providers(tracer_provider: object, meter_provider: object) -> None:
    """Check these arguments of a session; raises `ConfigurationError`."""
    for name, provider, method in (
        ("tracer_provider", tracer_provider, "get_tracer"),
        ("meter_provider", meter_provider, "get_meter"),
    ):
        if provider is not None and not hasattr(provider, method):
            raise ConfigurationError(
                f"{name}: must be a provider of OpenTelemetry, not {type(provider).__name__}: leave it"
                " out for the global one"
            )


class _OfTheSession:
    """Stands in for a call in log lines about the session itself."""

    name = "session"
    trace_id = "-"

    def __init__(self, session: str | None) -> None:
        self.session = session


def _find_tracer(provider: TracerProvider | None) -> Tracer | None:
    tracer = trace.get_tracer("fielding_async", __version__, provider, SCHEMA_URL)
    if not hasattr(tracer, "start_span"):
        raise TypeError(f"the provider's tracer is a {type(tracer).__name__}")
    # the API's own tracer does nothing
    return None if type(tracer).__module__.startswith("opentelemetry.trace") else tracer


def _find_meters(provider: "MeterProvider | None") -> "Meters | None":
    # the metrics API takes long to load; unless it is loaded, no provider can have been set
    is_loaded = "opentelemetry.metrics" in sys.modules or "OTEL_PYTHON_METER_PROVIDER" in os.environ
    if provider is None and not is_loaded:
        return None
    from .meters import find_meters

    return find_meters(provider)


def _is_proxy(provider: object) -> bool:
    """Whether a global provider is the proxy of the API, which is there until one is set."""
    return "Proxy" in type(provider).__name__


class Providers:
    """The tracer and the instruments of one session: `None` where they would do nothing.

    A provider left out is the global one; one that is set while the session is open is taken up by the next call. One
    that raises is not used, and the log says so. `watch`: the view of the session that gauges read.
    """

    def __init__(
        self,
        getrandbits: Callable[[int], int],
        clock: Callable[[], float],
        tracer_provider: TracerProvider | None = None,
        meter_provider: "MeterProvider | None" = None,
        *,
        watch: SessionWatch | None = None,
    ) -> None:
        self.tracer: Tracer | None = None
        self.meters: Meters | None = None
        self.is_observed: bool = False
        self.getrandbits: Callable[[int], int] = getrandbits
        self.clock: Callable[[], float] = clock
        self._watch = watch
        self.session: str | None = None if watch is None else watch.name
        self.counts: SessionCounts = SessionCounts() if watch is None else watch.counts
        self.awaits_globals: bool = False
        """Whether a global provider that is set from now on is to be used: then each call asks `take_up_globals`."""
        self._awaits_tracers = self._awaits_meters = False
        self._use_tracers(tracer_provider)
        self._use_meters(meter_provider)

    def take_up_globals(self) -> None:
        """Use the global providers that were set after the session was entered. Cheap if there are none."""
        try:  # the private names spare reading the environment for each call, as the public functions do
            if self._awaits_tracers and trace._TRACER_PROVIDER is not None:  # pyright: ignore[reportPrivateUsage]
                self._use_tracers(None)
            if (
                self._awaits_meters
                and "opentelemetry.metrics" in sys.modules
                and sys.modules["opentelemetry.metrics._internal"]._METER_PROVIDER is not None
            ):
                self._use_meters(None)
        except (AttributeError, KeyError):
            self._use_set_globals()

    def _use_set_globals(self) -> None:
        if self._awaits_tracers and not _is_proxy(trace.get_tracer_provider()):
            self._use_tracers(None)
        if self._awaits_meters:
            self._use_meters(None)

    def _use_tracers(self, provider: TracerProvider | None) -> None:
        self._awaits_tracers = False  # unless it is found that there is none yet
        with contained(_OfTheSession(self.session)):
            self.tracer = _find_tracer(provider)
            self._awaits_tracers = provider is None and _is_proxy(trace.get_tracer_provider())
        self._note()

    def _use_meters(self, provider: "MeterProvider | None") -> None:
        self._awaits_meters = False
        with contained(_OfTheSession(self.session)):
            meters = _find_meters(provider)
            if meters is not None:
                self.meters = meters.named(self.session)
                if self._watch is not None:
                    meters.gauges.add(self._watch)
            elif provider is None:
                metrics = sys.modules.get("opentelemetry.metrics")
                self._awaits_meters = metrics is None or _is_proxy(metrics.get_meter_provider())
        self._note()

    def _note(self) -> None:
        self.is_observed = self.tracer is not None or self.meters is not None
        self.awaits_globals = self._awaits_tracers or self._awaits_meters
