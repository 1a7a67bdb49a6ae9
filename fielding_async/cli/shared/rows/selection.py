"""Which rows of a journal are shown. Pure."""

from collections.abc import Collection
from datetime import datetime

from attrs import frozen

from fielding_async import JournalRow
from fielding_async.cli.shared.row_texts import effect_of

__all__ = ["Selection"]


@frozen(kw_only=True)
class Selection:
    """The filters of `fielding journal show`. All that are given must hold; an empty one always does.

    `since` is inclusive, `until` exclusive.
    """

    target_group: str | None = None
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    effects: Collection[str] = ()

    def has(self, row: JournalRow) -> bool | None:
        """Whether a row is one of those to show; `None` if the journal does not say (its time, or its run)."""
        if self.effects and effect_of(row) not in self.effects:
            return False
        run = row.ref.fielding_run_id if row.ref is not None else row.before.id if row.before is not None else None
        answers = [
            _is(None if row.ref is None else row.ref.target_group_id, self.target_group),
            _is(run, self.run),
            self._is_in_time(row.time) if row.state != "not begun" else self.since is self.until is None,
        ]
        return False if False in answers else None if None in answers else True

    def _is_in_time(self, time: datetime | None) -> bool | None:
        if self.since is None and self.until is None:
            return True
        if time is None:
            return None
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)


def _is(has: str | None, wanted: str | None) -> bool | None:
    if wanted is None:
        return True
    return None if has is None else has == wanted
