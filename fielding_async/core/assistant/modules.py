"""The modules of a Fielding Assistant. Each keeps the JSON that it was read from.

What is not changed is sent back as it was written, and so are the members that this version does not know.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from attrs import field, frozen

from fielding_async.core.discovery.money import Money
from fielding_async.core.errors import ConfigurationError, briefly

from .exact_json import dump, load, meaning
from .member_codecs import (
    DATE,
    INTERVAL,
    MONEY,
    PLAIN,
    WHOLE,
    amount,
    check_flag,
    check_interval,
    check_money,
    group_id,
    moment,
    percentage,
    source_of,
)

__all__ = [
    "KINDS",
    "AdaptivePacing",
    "DynamicPricing",
    "GeminiPacing",
    "LinearPacing",
    "Module",
    "OtherModule",
    "QuotaOverlay",
    "RateCardPricing",
    "SoftLaunch",
]


@frozen
class OtherModule:
    """A module, or a form of a module, that this version of the SDK does not know. Its JSON is sent back unchanged.

    Raises `ConfigurationError` if the name is not a str, and if the text is not JSON or is `null`.
    """

    __module__ = "fielding_async"

    name: str
    """The name of the module in the assignment."""
    text: str = field(eq=lambda text: meaning(load(text)))
    """The JSON text of the module as the exchange wrote it."""

    def json(self) -> Any:
        """Return the JSON as a new value of dict, list, str, bool, `None` and `JsonNumber`."""
        return load(self.text)

    @classmethod
    def of(cls, name: str, value: Any) -> "OtherModule":
        """Return a module with this name and JSON value. Numbers may be `JsonNumber`, int or `decimal.Decimal`.

        Raises `ConfigurationError` if `value` is not a JSON value.
        """
        return cls(name, dump(value, f"OtherModule {name}"))

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"OtherModule: name={briefly(self.name)}: must be a str")
        try:
            value = load(self.text)
            self.text.encode()
        except (ValueError, TypeError) as problem:
            raise ConfigurationError(f"OtherModule({briefly(self.name)}): text must be JSON: {problem}") from None
        if value is None:
            raise ConfigurationError(
                f"OtherModule({briefly(self.name)}): must not be null: leave the module out to disable it"
            )


@frozen(kw_only=True)
class DynamicPricing:
    """Sets the cost per interview (CPI) so that the target group fills by its end at the lowest cost.

    The exchange needs exactly one of `total_budget` and `maximum_cpi`. Source: `ModuleDynamicPricing`.
    """

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = "dynamic"
    """The name of the module's form in the API."""

    total_budget: Money | None = field(default=None, validator=check_money, eq=amount, metadata=MONEY)
    """The highest total cost of all completes. It may override `minimum_cpi`."""
    maximum_cpi: Money | None = field(default=None, validator=check_money, eq=amount, metadata=MONEY)
    """The highest cost per interview that the module may set."""
    minimum_cpi: Money | None = field(default=None, validator=check_money, eq=amount, metadata=MONEY)
    """The lowest cost per interview that the module may set; below `maximum_cpi`."""
    _source: str | None = source_of("type", "total_budget", "maximum_cpi", "minimum_cpi")


@frozen(kw_only=True)
class RateCardPricing:
    """Takes the cost per interview (CPI) from the rate card. Source: `ModuleRateCardPricing`."""

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = "rate_card"
    """The name of the module's form in the API."""

    maximum_cpi: Money | None = field(default=None, validator=check_money, eq=amount, metadata=MONEY)
    """The highest cost per interview that the module may set."""
    boost_cpi: Money | None = field(default=None, validator=check_money, eq=amount, metadata=MONEY)
    """The amount added to the cost per interview of the rate card, up to `maximum_cpi`."""
    _source: str | None = source_of("type", "maximum_cpi", "boost_cpi")


@frozen(kw_only=True)
class LinearPacing:
    """Raises the completes goal at regular intervals until the target group ends. Source: `ModuleLinearPacing`."""

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = "linear"
    """The name of the module's form in the API."""

    increment_interval: timedelta = field(validator=check_interval, metadata=INTERVAL)
    """The time between two increments, in whole seconds, above 0 and below 398 days."""
    _source: str | None = source_of("type", "increment_interval")


@frozen(kw_only=True)
class AdaptivePacing:
    """Raises quotas at regular intervals, and recomputes them after each increment. Source: `ModuleAdaptivePacing`."""

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = "adaptive"
    """The name of the module's form in the API."""

    increment_interval: timedelta = field(validator=check_interval, metadata=INTERVAL)
    """The time between two increments, in whole seconds, above 0 and below 398 days."""
    _source: str | None = source_of("type", "increment_interval")


@frozen(kw_only=True)
class GeminiPacing:
    """Collects at most as many completes on each quota as the exposed group has. Source: `ModuleGeminiPacing`."""

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = "gemini"
    """The name of the module's form in the API."""

    exposed_target_group_id: str = field(converter=group_id, metadata=PLAIN)
    """The id of the exposed target group: 26 characters out of 0-9 and A-Z."""
    _source: str | None = source_of("type", "exposed_target_group_id")


@frozen(kw_only=True)
class QuotaOverlay:
    """Controls how the completes goal is distributed over the quotas. Source: `ModuleQuotaOverlay`."""

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = None
    """The name of the module's form in the API."""

    prevent_overfill: bool = field(validator=check_flag, metadata=PLAIN)
    """Whether the module prevents quotas from exceeding their number of completes."""
    balance_fill: bool = field(validator=check_flag, metadata=PLAIN)
    """Whether quotas of one demographic category fill at a similar rate."""
    _source: str | None = source_of("prevent_overfill", "balance_fill")


@frozen(kw_only=True)
class SoftLaunch:
    """A soft launch. During a soft launch, pacing is ignored. Source: `ModuleSoftLaunch`."""

    __module__ = "fielding_async"
    kind: ClassVar[str | None] = None
    """The name of the module's form in the API."""

    end_at: datetime = field(converter=moment, metadata=DATE)
    """When the soft launch ends. The target group is then paused, however far it is. Aware, in UTC, rounded down to
    milliseconds."""
    filling_goal_percentage: int = field(validator=percentage(1), metadata=WHOLE)
    """The part of the whole goal that the soft launch collects: percent, 1 to 100."""
    demographics_strictness_percentage: int = field(validator=percentage(0), metadata=WHOLE)
    """How closely the demographics of the soft launch follow those of the full launch: percent, 0 (not at all) to 100
    (exactly)."""
    _source: str | None = source_of("end_at", "filling_goal_percentage", "demographics_strictness_percentage")


Module = (
    DynamicPricing
    | RateCardPricing
    | LinearPacing
    | AdaptivePacing
    | GeminiPacing
    | QuotaOverlay
    | SoftLaunch
    | OtherModule
)
KINDS: dict[str, tuple[type[Any], ...]] = {
    "pricing": (DynamicPricing, RateCardPricing),
    "quota_overlay": (QuotaOverlay,),
    "pacing": (LinearPacing, AdaptivePacing, GeminiPacing),
    "soft_launch": (SoftLaunch,),
}
"""The classes of each module that this version knows, by its name, in the order of the document."""
