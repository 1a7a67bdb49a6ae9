"""The instruments of OpenTelemetry metrics, made from their rows."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider, UpDownCounter

from .__about__ import __version__
from .signals import METRICS, Metric

__all__ = ["Meters", "find_meters"]

Attributes = Mapping[str, str | int]

_found: "WeakKeyDictionary[Meter, Meters]" = WeakKeyDictionary()


def find_meters(provider: MeterProvider | None) -> "Meters | None":
    """Return the instruments of a provider, or of the global one; `None` if nothing would come of what they record."""
    meter = metrics.get_meter("fielding_async", __version__, provider)
    if type(meter).__module__.startswith("opentelemetry.metrics"):
        return None  # what the API itself brings does nothing
    found = _found.get(meter)
    if found is None:  # some SDKs warn of an instrument that is made twice
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
    """The instruments of one session."""

    def __init__(self, meter: Meter) -> None:
        made: dict[str, Any] = {}
        for row in METRICS.values():
            if row.kind == "histogram":
                made[row.name] = _histogram(meter, row)
            elif row.kind == "counter":
                made[row.name] = meter.create_counter(row.name, row.unit, row.description)
            else:
                made[row.name] = meter.create_up_down_counter(row.name, row.unit, row.description)
        self._made: dict[str, Counter | Histogram | UpDownCounter] = made

    def add(self, name: str, amount: int, attributes: Attributes) -> None:
        """Count."""
        instrument = self._made[name]
        assert not isinstance(instrument, Histogram)  # noqa: S101 - as its row says
        instrument.add(amount, attributes)

    def record(self, name: str, value: float, attributes: Attributes) -> None:
        """Record what was measured."""
        instrument = self._made[name]
        assert isinstance(instrument, Histogram)  # noqa: S101 - as its row says
        instrument.record(value, attributes)
