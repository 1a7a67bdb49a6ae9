"""What workers learned after their leases were over, for people and as JSON. Pure."""

from collections.abc import Iterable
from typing import Any

from fielding_async.cli.shared.output import printable
from fielding_async.cli.shared.row_texts import row_object
from fielding_async.cli.shared.value_texts import json_value
from fielding_async.plans import LateRow, PlanRow

__all__ = ["late_lines", "late_object", "plan_row_object"]


def late_lines(rows: Iterable[LateRow]) -> list[str]:
    """Return what was learned as lines."""
    return [
        printable(
            f"row no. {row.number}: {row.holder} learned after its lease was over, at"
            f" {row.written_at:%Y-%m-%d %H:%M:%S} UTC: {row.knew}"
            f"{f' ({row.error}: {row.message})' if row.error else ''}"
            f"{f', trace id {row.trace_id}' if row.trace_id else ''}; on record: {row.on_record}"
        )
        for row in rows
    ]


def late_object(row: LateRow) -> dict[str, Any]:
    """Return it as a JSON object."""
    return {
        "kind": "late",
        "number": row.number,
        "ref": json_value(row.ref),
        "action": json_value(row.action),
        "knew": row.knew,
        "on_record": row.on_record,
        "etag": row.etag,
        "conflicts": row.conflicts,
        "trace_id": row.trace_id,
        "error": row.error or None,
        "message": row.message or None,
        "holder": row.holder,
        "shard": row.shard,
        "epoch": row.epoch,
        "written_at": json_value(row.written_at),
    }


def plan_row_object(row: PlanRow) -> dict[str, Any]:
    """Return a row of a plan as a JSON object, with its shard, and with what was learned of it late."""
    return {**row_object(row), "shard": row.shard, "late": [late_object(late) for late in row.late]}
