"""The instruments of OpenTelemetry metrics, made from the rows of `signal_names`."""

from collections.abc import Mapping
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider, UpDownCounter

from fielding_async.__about__ import __version__

from .gauges import Gauges
from .signal_names import METRICS, SCHEMA_URL, SESSION_NAME, Metric

__all__ = ["MeterProvider", "Meters", "find_meters"]

Attributes = Mapping[str, str | int]

_found: "WeakKeyDictionary[Meter, Meters]" = WeakKeyDictionary()
_finding = Lock()  # sessions may be entered in several threads at once


def find_meters(provider: MeterProvider | None) -> "Meters | None":
    """Return the instruments of a provider, or of the global one; `None` if they would record nothing."""
    meter = metrics.get_meter("fielding_async", __version__, provider, SCHEMA_URL)
    if type(meter).__module__.startswith("opentelemetry.metrics"):
        return None  # the API's own meter records nothing
    with _finding:
        found = _found.get(meter)
        if found is None:  # some SDKs warn about an instrument that is made twice
            found = _found[meter] = Meters(meter)
    return found


def _histogram(meter: Meter, row: Metric) -> Histogram:
    create: Any = meter.create_histogram
    try:
        made: Histogram = create(row.name, row.unit, row.description, explicit_bucket_boundaries_advisory=row.buckets)
    except TypeError:  # APIs before 1.30 take no advice
        made = create(row.name, row.unit, row.description)
    return made


class Meters:
    """The instruments of one meter, for all sessions of the process that use it."""

    def __init__(self, meter: Meter) -> None:
        self.gauges: Gauges = Gauges(meter)
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter | UpDownCounter] = {}
        for row in METRICS.values():
            if row.kind == "histogram":
                self._histograms[row.name] = _histogram(meter, row)
            elif row.kind == "counter":
                self._counters[row.name] = meter.create_counter(row.name, row.unit, row.description)
            else:
                self._counters[row.name] = meter.create_up_down_counter(row.name, row.unit, row.description)

    def named(self, session: str | None) -> "Meters":
        """Return the instruments for a session: each point has the session's name, if there is one."""
        return self if session is None else _NamedMeters(self, session)

    def add(self, name: str, amount: int, attributes: Attributes) -> None:
        """Add to a counter."""
        self._counters[name].add(amount, attributes)

    def record(self, name: str, value: float, attributes: Attributes) -> None:
        """Record a value in a histogram."""
        self._histograms[name].record(value, attributes)


class _NamedMeters(Meters):
    """The instruments of a meter, for the sessions of one name."""

    def __init__(self, meters: Meters, session: str) -> None:
        self.__dict__.update(vars(meters))
        self._own = {SESSION_NAME: session}

    def add(self, name: str, amount: int, attributes: Attributes) -> None:
        super().add(name, amount, {**attributes, **self._own})

    def record(self, name: str, value: float, attributes: Attributes) -> None:
        super().record(name, value, {**attributes, **self._own})
