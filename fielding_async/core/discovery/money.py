"""Amounts of money, exactly as the API sends them."""

from attrs import frozen

__all__ = ["Money"]


@frozen(kw_only=True)
class Money:
    """An amount of money. Source: `MonetaryAmount` of the API.

    The value is the string that was sent, so that no digit is lost. Use `decimal.Decimal(money.value)` to calculate.
    """

    __module__ = "fielding_async"

    value: str
    """The amount as it was sent, in the currency's main unit (dollars, not cents), such as `"2.7352"`."""
    currency_code: str | None = None
    """The currency: three letters, ISO 4217, such as `USD`."""
    currency_scale: int | None = None
    """The number of decimal digits of the currency, by ISO 4217. It does not scale `value`."""

    def __str__(self) -> str:
        return self.value if self.currency_code is None else f"{self.value} {self.currency_code}"
