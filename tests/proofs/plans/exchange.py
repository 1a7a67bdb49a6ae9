"""The exchange of the kill runs: a sandbox in a process of its own, which loses replies and logs what it applies.

`python -m tests.proofs.plans.exchange LOG` prints its URL as its first line, and serves until its standard input ends.
A line on its standard input is answered with the number of writes applied so far, all of which are then in the log.
"""

import argparse
import asyncio
import gc
import json
import sys
from hashlib import blake2b
from io import TextIOWrapper
from pathlib import Path
from random import Random

from fielding_async import RunRef, RunStatus
from fielding_async.core.dates import to_text
from fielding_async.sandbox import Cut, Fault, Sandbox
from fielding_async.sandbox.faults.script import Script
from fielding_async.sandbox.serving.routes import Operation
from fielding_async.sandbox.world.rules import StoredRun

from .plan import FIRST_END, make_plan
from .records import AppliedWrite

__all__ = ["read_log"]

_KEPT = 20_000  # writes and requests
_SECONDS = 0.1  # between two looks at what was applied


class LosesReplies(Script):
    """Loses the replies to a share of all requests, all of which are handled."""

    def __init__(self, seed: int, share: float) -> None:
        super().__init__()
        self._dice = Random(seed)
        self._share = share
        self.lost = 0

    def take(self, operation: Operation, ref: RunRef | None, *, run_exists: bool) -> tuple[Fault, ...]:
        """Return what strikes a request."""
        if self._dice.random() >= self._share:
            return ()
        self.lost += 1
        return (Cut(self._dice.choice(("after", "headers", "body"))),)


def content_etag(run: StoredRun) -> str:
    """Return an ETag that is a digest of what the run's representation says: it returns when the run is so again."""
    content = f"{run.ref}/{run.status}/{run.start}/{run.end}"
    return f'"{blake2b(content.encode(), digest_size=12).hexdigest()}"'


class WriteLog:
    """Copies what the sandbox has applied to a file, a JSON line for each write."""

    def __init__(self, sandbox: Sandbox, file: TextIOWrapper) -> None:
        self._sandbox = sandbox
        self._file = file
        self.seen = 0

    def copy(self) -> int:
        """Copy what is new. Return how many writes were applied so far."""
        history = self._sandbox.history
        last = history[-1].seq if history else 0
        new = history[len(history) - (last - self.seen) :] if last > self.seen else ()
        for write in new:
            assert write.seq == self.seen + 1, "a write was dropped before it was copied"
            self.seen = write.seq
            what = write.operation
            if what == "update":
                what = f"update {to_text(write.end_after)}"
            line = [write.seq, write.ref.fielding_run_id, what, write.etag_before, write.etag_after, write.trace_id]
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return self.seen


def read_log(path: Path) -> list[AppliedWrite]:
    """Return the writes of a log, in order."""
    with path.open(encoding="utf-8") as lines:
        return [AppliedWrite(*json.loads(line)) for line in lines]


async def _serve(given: argparse.Namespace) -> None:
    sandbox = Sandbox(port=given.port, seed=given.seed, keep=_KEPT, keep_bytes=None)
    # seams of the sandbox's inside: dice in place of a script, and ETags that return
    sandbox._pipeline.script = LosesReplies(given.seed, given.lost)
    if given.etags == "content":
        setattr(sandbox._pipeline.engine.runs, "etag", content_etag)  # noqa: B010 - a method is no variable
    if given.rate:
        sandbox.rate_limit(given.rate)
    added: set[RunRef] = set()
    for ref, _ in make_plan(given.rows, given.plan_seed):
        if ref not in added:
            added.add(ref)
            sandbox.add_run(
                RunStatus.LIVE,
                account_id=ref.account_id,
                project_id=ref.project_id,
                target_group_id=ref.target_group_id,
                fielding_run_id=ref.fielding_run_id,
                end_fielding_at=FIRST_END,
            )
    gc.freeze()
    with given.log.open("w", encoding="utf-8") as file:
        log = WriteLog(sandbox, file)
        async with sandbox:
            print(sandbox.url, flush=True)
            reading = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reading), sys.stdin)
            line = asyncio.create_task(reading.readline())
            while True:
                await asyncio.wait([line], timeout=_SECONDS)
                applied = log.copy()
                if line.done():
                    if not line.result():
                        return
                    print(applied, flush=True)
                    line = asyncio.create_task(reading.readline())


def main() -> None:
    """Serve the runs of a plan."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.plans.exchange", description=main.__doc__)
    parser.add_argument("log", type=Path, help="the file for the log of applied writes")
    parser.add_argument("--rows", type=int, default=400, help="of the plan whose runs there are")
    parser.add_argument("--plan-seed", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the replies that are lost")
    parser.add_argument("--lost", type=float, default=0.02, help="share of the replies that are lost")
    parser.add_argument("--etags", choices=("version", "content"), default="version")
    parser.add_argument("--rate", type=float, help="requests a second; left out: no limit")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
