"""The OpenTelemetry providers of a session: its tracer and its instruments, if there are any."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Tracer, TracerProvider

from fielding_async.__about__ import __version__

from .log_lines import contained

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from .meters import Meters

__all__ = ["Providers", "TracerProvider"]


class _Entering:
    """Stands in for a call in log lines about the session's entry."""

    name = "session"
    trace_id = "-"


def _find_tracer(provider: TracerProvider | None) -> Tracer | None:
    tracer = trace.get_tracer("fielding_async", __version__, provider)
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


class Providers:
    """The tracer and the instruments of one session: `None` where they would do nothing.

    A provider left out is the global one, as it is now. One that raises is not used, and the log says so.
    """

    def __init__(
        self,
        getrandbits: Callable[[int], int],
        clock: Callable[[], float],
        tracer_provider: TracerProvider | None = None,
        meter_provider: "MeterProvider | None" = None,
    ) -> None:
        self.tracer: Tracer | None = None
        self.meters: Meters | None = None
        with contained(_Entering()):
            self.tracer = _find_tracer(tracer_provider)
        with contained(_Entering()):
            self.meters = _find_meters(meter_provider)
        self.is_observed: bool = self.tracer is not None or self.meters is not None
        self.getrandbits: Callable[[int], int] = getrandbits
        self.clock: Callable[[], float] = clock
