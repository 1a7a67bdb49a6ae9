"""What an accepted write makes of the run that it was sent for."""

from typing import Any

import attrs

from fielding_async import FieldingRun, Pause, Update
from fielding_async.core.wire.replies import Response, run_after_write
from tests.tools.sessions import END, run_value


def _full_run() -> FieldingRun:
    """Return a run with a value of its own in every field."""
    given: dict[str, Any] = {
        "account_id": 101,
        "project_id": "P" * 26,
        "target_group_id": "T" * 26,
        "start_text": "2030-01-01T08:00:01Z",
        "end_text": "2030-01-31T08:00:01.005000Z",
    }
    run = run_value(**given)
    unset = {one.name for one in attrs.fields(FieldingRun) if getattr(run, one.name) is None}
    assert unset == set(), "give the new field a value above"
    return run


def test_a_write_keeps_every_field_that_it_does_not_change() -> None:
    """An accepted write changes what it names, the version and the ETag; who changed the run last is not known then."""
    base = _full_run()
    reply = Response(204, {"ETag": 'W/"8"'})
    by = {"last_changed_at", "last_changed_by"}
    for action, changed in (
        (Pause(), {"status", "version", "etag", *by}),
        (Update(end_fielding_at=END), {"end_fielding_at", "end_text", "version", "etag", *by}),
    ):
        after = run_after_write(action, base, reply)
        names = [one.name for one in attrs.fields(FieldingRun)]
        assert {name for name in names if getattr(after, name) != getattr(base, name)} == changed
