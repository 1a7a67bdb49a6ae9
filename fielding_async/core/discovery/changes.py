"""The changes of a target group, as its change log shows them."""

from datetime import datetime
from typing import Any

from attrs import frozen

__all__ = ["TargetGroupChange"]


@frozen(kw_only=True)
class TargetGroupChange:
    """One changed property of a target group. Source: `TargetGroupChangelogItem`, and the batch that it belongs to.

    Properties that were changed together have the same `batch_id`, `occurred_at` and user.
    """

    __module__ = "fielding_async"

    type: str
    """The type of the change, such as `status_change`; the API may add types."""
    old_value: Any = None
    """The value before the change: a `str`, `int`, `decimal.Decimal`, `bool` or `Money`, or for other JSON a `dict` or
    `tuple`. `None` if there was none. Dates are strings as they were sent."""
    new_value: Any = None
    """The value after the change, of the same types as `old_value`. `None` if the property was removed."""
    reason_code: str | None = None
    """Why the exchange itself changed the status, such as `max_cpi_limit_reached`; `None` for other changes."""
    occurred_at: datetime | None = None
    """When it was changed: aware, in UTC."""
    user_type: str | None = None
    """The type of the user who changed it: `las_user`, `system_marketplace_user`, `system_user`, or a newer type."""
    user_id: str | None = None
    """The UUID of the user who changed it. `None` if a system changed it."""
    batch_id: str | None = None
    """The id of the batch of changes that it belongs to."""
