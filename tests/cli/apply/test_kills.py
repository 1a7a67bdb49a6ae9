"""`fielding apply` killed again and again: what the sandbox applied, held against what the last run reports.

By default with few rows and kills; the whole of it with FIELDING_APPLY_ROWS=20000 FIELDING_APPLY_KILLS=10.
"""

import os
import subprocess
import time
from pathlib import Path
from random import Random

import pytest
from attrs import frozen

from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter
from tests.cli.apply.plans import Applied, Row, apply, check_against_history, journeys, write_plan, writes
from tests.cli.command_line import SECRET, command, environment

pytestmark = [pytest.mark.slow, pytest.mark.once]

ROWS = int(os.environ.get("FIELDING_APPLY_ROWS", "500"))
KILLS = int(os.environ.get("FIELDING_APPLY_KILLS", "3"))
PATIENCE = 600


@frozen
class Story:
    """A plan, and the sandbox that it is applied to."""

    box: Sandbox
    rows: list[Row]
    plan: Path


def story(folder: Path, seed: int) -> Story:
    """Return a sandbox and a plan over its runs: the same ones for the same seed."""
    folder.mkdir()
    box = Sandbox(require_token=SECRET, seed=seed)
    rows = journeys(box, ROWS, Random(seed))
    return Story(box, rows, write_plan(folder / "plan.csv", rows))


def strike(box: Sandbox, rows: list[Row], seed: int) -> None:
    """Lose the replies of a twentieth of the writes, and let a colleague write around some of these and some others."""
    dice = Random(seed)
    ways: list[tuple[Fault, ...]] = [
        (Cut("after"),),
        (Cut("before"),),
        (Cut("headers"),),
        (Cut("after"), SecondWriter(when="after")),
        (SecondWriter(when="before"), Cut("after")),
        (SecondWriter(status="completed", when="after"), Cut("after")),
    ]
    for ref, action in rows:
        if ref.fielding_run_id != "NOBODY" and dice.random() < 0.05:
            box.script(dice.choice(ways), on=action.name, ref=ref)
        elif ref.fielding_run_id != "NOBODY" and dice.random() < 0.05:
            box.script(SecondWriter(), on=action.name, ref=ref)


def apply_with_kills(told: Story, seed: int) -> tuple[Applied, int]:
    """Apply a plan; kill the process at random moments, and go on each time. Return the end, and how many died."""
    dice = Random(seed)
    env = environment(told.box)
    marks = sorted(dice.randrange(int(0.6 * ROWS)) for _ in range(KILLS))
    died = 0
    for mark in marks:
        words = command("apply", told.plan, "--yes")
        with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            until = time.monotonic() + PATIENCE
            while writes(told.box) < mark and child.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.3))  # the moment is to be any: this decides nothing
            child.kill()
            died += child.wait() < 0
    return apply(told.plan, env), died


def test_a_plan_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """After any number of SIGKILLs every row was applied exactly once, and the same rows are done, failed or unknown.

    What the plan's rows are refused for, the exchange refuses for good: a row killed before it could say so has failed
    all the same. Of which refusals that cannot be said, `tests/batch/test_resumed_refusals.py` shows.
    """
    seed = 11
    calm, killed = story(tmp_path / "calm", seed), story(tmp_path / "killed", seed)
    assert calm.rows == killed.rows
    with calm.box:
        expected = apply(calm.plan, environment(calm.box))
    with killed.box:
        found, died = apply_with_kills(killed, seed)
    assert died >= KILLS // 2
    assert found.bad == expected.bad
    assert found.counts == expected.counts
    assert found.counts[2] == 0
    assert found.counts[4:] == (0, 0)
    assert found.status == expected.status == 1
    assert sorted(_applied(killed.box)) == sorted(_applied(calm.box))
    states = check_against_history(killed.box, killed.rows, found.bad)
    assert writes(killed.box) == writes(calm.box) == states["done"] - states["done by somebody else"]
    print(f"\n{ROWS} rows, {died} kills: {found.counts}, undisturbed {expected.counts}, {dict(states)}")


def _applied(box: Sandbox) -> list[tuple[str, str, str]]:
    return [(str(write.ref), write.operation, write.status_after) for write in box.history if write.by == "client"]


def test_nothing_is_applied_twice_with_kills_lost_replies_and_a_second_writer(tmp_path: Path) -> None:
    """With 5 % of the replies lost and a colleague at work nothing is applied twice, and no row is reported wrongly."""
    seed = 12
    told = story(tmp_path / "both", seed)
    strike(told.box, told.rows, seed)
    with told.box:
        found, died = apply_with_kills(told, seed)
    assert died >= KILLS // 2
    states = check_against_history(told.box, told.rows, found.bad)
    done, failed, unknown, skipped, in_flight, never_sent = found.counts
    assert (in_flight, never_sent) == (0, 0)
    assert (done, failed, unknown, skipped) == tuple(states[name] for name in ("done", "failed", "unknown", "skipped"))
    assert found.status == (3 if unknown else 1)
    listed = [path for path in told.plan.parent.glob("plan.*.csv") if path.name != "plan.csv"]
    lengths = {path.name: len(path.read_text().splitlines()) - 1 for path in listed}
    assert lengths.get("plan.unknown.csv", 0) == unknown
    assert lengths["plan.failed.csv"] == failed + skipped
    print(f"\n{ROWS} rows, {died} kills: {found.counts} {dict(states)}, {found.summary['outcomes']}")
