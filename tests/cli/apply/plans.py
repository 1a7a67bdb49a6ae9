"""Plans over a sandbox's runs, and what the command left behind after it applied one."""

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from attrs import frozen

from fielding_async.cli.shared.plan.row import COLUMNS
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Resume, Update
from fielding_async.core.dates import to_text
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Sandbox
from tests.cli.command_line import HANG, command, environment, process

CLOSING = datetime(2031, 5, 17, 12, 30, 15, tzinfo=UTC)

Row = tuple[RunRef, Action]
ROWS = 40
"""How many rows the plan of the fixture `rows` has."""


def write_plan(path: Path, rows: Iterable[Row]) -> Path:
    """Write a plan with these rows."""
    lines = [",".join(COLUMNS)]
    for ref, action in rows:
        end = to_text(action.end_fielding_at) if isinstance(action, Update) and action.end_fielding_at else ""
        ids = f"{ref.account_id},{ref.project_id},{ref.target_group_id},{ref.fielding_run_id}"
        lines.append(f"{ids},{action.name},,{end}")
    path.write_text("\n".join([*lines, ""]))
    return path


def journeys(box: Sandbox, rows: int, dice: Random) -> list[Row]:
    """Return rows over four kinds of runs, of which some fail, mixed, those of one run in an order of their own.

    No action comes twice on one run, so that the sandbox's history can be held against the rows.
    """
    left: dict[int, list[Row]] = {}
    nobody = RunRef(101, box.project_id, "9" * 26, "NOBODY")
    for number in range(-(-rows // 4)):
        closing = Update(end_fielding_at=CLOSING + timedelta(seconds=number))
        kind = number % 25
        ref = box.add_run("paused" if kind <= 1 else "live")
        actions: Sequence[Action] = (closing, Pause(), Resume(), Complete())
        if kind == 0:  # fails at the second row, for what no clock changes, and the rest is skipped
            actions = (closing, LaunchNow(), Complete(), Pause())
        elif kind == 1:  # the first is there already
            actions = (Pause(), Resume(), closing, Complete())
        elif kind == 2:
            ref, actions = nobody, (LaunchNow(),) * 4
        left[number] = [(ref, action) for action in actions]
    mixed: list[Row] = []
    while left:
        # a few hundred runs are under way side by side, so that later rows of a run are met by what was learnt before
        number = dice.choice(list(left)[:300])
        mixed.append(left[number].pop(0))
        if not left[number]:
            del left[number]
    return mixed[:rows]


@frozen
class Applied:
    """What a run of the command line left behind: its last word, and the rows that did not end well, by line."""

    status: int
    summary: dict[str, Any]
    bad: dict[int, str]

    @property
    def counts(self) -> tuple[int, ...]:
        """How many rows are done, failed, unknown, skipped, in flight and never sent."""
        names = ("done", "failed", "unknown", "skipped", "in_flight", "never_sent")
        return tuple(self.summary[name] for name in names)


def apply(plan: Path, env: dict[str, str], *options: object) -> Applied:
    """Run `fielding apply` to its end."""
    words = command("apply", plan, "--yes", "--json", *options)
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=HANG, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert objects, done.stderr
    assert objects[-1]["kind"] == "apply", done.stderr
    bad = {row["line"]: row["state"] for row in objects if row["kind"] == "row"}
    return Applied(done.returncode, objects[-1], bad)


def writes(box: Sandbox) -> int:
    """Return how many writes of the client were applied."""
    return sum(write.by == "client" for write in box.history)


def check_against_history(box: Sandbox, rows: Sequence[Row], bad: dict[int, str]) -> Counter[str]:
    """Hold what was reported of each row against what was applied; return how many rows are of which state.

    A row that is done was applied once, or by a colleague; one that failed or was skipped never; none twice.
    """
    applied: defaultdict[tuple[RunRef, str], int] = defaultdict(int)
    for write in box.history:
        if write.by == "client":
            applied[write.ref, write.operation] += 1
    assert max(applied.values(), default=0) <= 1, [key for key, count in applied.items() if count > 1][:5]
    states: Counter[str] = Counter()
    for number, (ref, action) in enumerate(rows):
        state = bad.get(number + 2, "done")
        states[state] += 1
        if state in {"failed", "skipped"}:
            assert not applied[ref, action.name], f"line {number + 2}: {action.name} is {state}, and was applied"
        elif state == "done" and not applied[ref, action.name]:
            states["done by somebody else"] += 1
    return states


def live(box: Sandbox, count: int, action: Action = Pause()) -> list[Row]:  # noqa: B008
    """Rows with one action on each of so many live runs."""
    return [(box.add_run("live"), action) for _ in range(count)]


def failing(box: Sandbox) -> Row:
    """A row that fails."""
    return box.add_run("completed"), Pause()


def starting(*options: object, box: Sandbox, folder: Path, **more: Any) -> Any:
    """Start on the plan, two rows at once."""
    options = ("apply", "plan.csv", "--yes", "--concurrency", 2, *options)
    return process(*options, env=environment(box), cwd=folder, **more)
