"""The fault table of the explanation: every fault on every kind of write, and what the caller sees.

`python -m tests.proofs.faults.table --write` puts it into `docs/explanation/what-can-happen-to-a-write.md`; without
`--write` it is printed.
"""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

from fielding_async import (
    FieldingError,
    FieldingRun,
    FieldingSession,
    Limits,
    Outcome,
    OutcomeUnknownError,
    Retry,
    RunRef,
    RunStatus,
    ServerError,
    Timeout,
)
from fielding_async.core.actions import Action, Change, StatusAction, Update
from fielding_async.sandbox import (
    Behaviour,
    Cut,
    DropHeader,
    ExchangePauses,
    Hold,
    Refuse,
    Repeat,
    Reply,
    Sandbox,
    SecondWriter,
    SetHeader,
    Status,
)
from fielding_async.sandbox.faults.values import Fault
from tests.tools.sessions import ACTIONS, TOKEN, longer
from tests.tools.waits import Clock

__all__ = ["BEGIN", "END", "PAGE", "build", "main", "replaced"]

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "what-can-happen-to-a-write.md"
BEGIN = "<!-- fault table: begin; made by `python -m tests.proofs.faults.table --write` -->"
END = "<!-- fault table: end -->"

ATTEMPTS = 3
NOT_HERE = "-"
HTML = b"<html>a page of a proxy</html>"


@frozen
class Kind:
    """A kind of write: a column. `operation` names the write, `status` is where the run starts."""

    name: str
    operation: str
    status: str
    order: Action | Change | None

    @property
    def is_job(self) -> bool:
        """Whether it makes a bulk job."""
        return self.order is None

    def same(self, run: FieldingRun) -> SecondWriter:
        """Return the colleague who does the very same."""
        order = longer(run) if self.order is longer else self.order
        if isinstance(order, Update):
            return SecondWriter(end_fielding_at=order.end_fielding_at)
        assert isinstance(order, StatusAction)
        return SecondWriter(status=RunStatus(order.target))


KINDS = [Kind(f"`{action.name}`", action.name, status, action) for action, status in ACTIONS[:5]]
KINDS += [
    Kind("`update`, dates", "update", "live", ACTIONS[5][0]),
    Kind("`update`, callable", "update", "live", longer),
    Kind("a bulk job", "bulk-relaunch", "completed", None),
]

Striking = tuple[Fault, ...]
Make = Callable[[Kind, FieldingRun], Sequence[Fault | Striking] | None]


@frozen
class Row:
    """A fault: its text, and for each way in which it can come about the faults that strike the write.

    `writes` returns `None` where it cannot strike this kind. `looks` strike the opening GET. `arguments` are the
    caller's. `slow`: the write's reply does not come, and so many seconds pass; `slow_look`: that of the opening GET.
    `once`: whether applied at most once can be promised.
    """

    text: str
    writes: Sequence[Make] = (lambda *_: (),)
    looks: Sequence[Fault] = ()
    arguments: dict[str, Any] = Factory(dict[str, Any])
    behaviour: Behaviour = Factory(Behaviour)
    slow: float = 0.0
    slow_look: float = 0.0
    attempt: float = 20.0
    unreachable: bool = False
    seen: bool = False
    once: bool = True


def always(*faults: Fault | Striking) -> Make:
    """Return faults that strike any kind of write."""
    return lambda *_: faults


def runs_only(*faults: Fault | Striking) -> Make:
    """Return faults that strike run actions: a bulk job meets no ETag."""
    return lambda kind, _: None if kind.is_job else faults


def _same_before(kind: Kind, run: FieldingRun) -> Sequence[Fault]:
    return (kind.same(run),)


def _undone(_: Kind, run: FieldingRun) -> Sequence[Striking]:
    back = SecondWriter(
        status=RunStatus(run.status),
        start_fielding_at=run.start_fielding_at,
        end_fielding_at=run.end_fielding_at,
        when="after",
    )
    return ((Cut("after"), back),)


def _orders(make: Callable[[Kind, FieldingRun], Sequence[Fault | Striking]]) -> Make:
    return lambda kind, run: None if kind.is_job else make(kind, run)


def _impossible(kind: Kind, _: FieldingRun) -> Sequence[Fault]:
    """Return the colleague after whom the action is not allowed any more, nor there already."""
    away = RunStatus.PAUSED if kind.operation in {"complete", "relaunch", "launch-now"} else RunStatus.COMPLETED
    return (SecondWriter(status=away),)


def _page(*, applied: bool) -> Make:
    return always(Reply(200, (("Content-Type", "text/html"),), HTML, applied=applied))


def _redirect(*, applied: bool) -> Make:
    return always(Reply(302, (("Location", "https://elsewhere.example/"),), applied=applied))


ROWS: list[Row] = [
    Row("no fault"),
    Row("the exchange cannot be reached", unreachable=True),
    Row(
        "a request is lost on its way, or the connection is reset",
        [always(Cut("before")), always(Refuse())],
    ),
    Row("requests are lost on every attempt", [always(*[Cut("before")] * ATTEMPTS)]),
    Row(
        "the write is applied, and its reply is lost or breaks off",
        [always(Cut("after")), always(Cut("headers")), always(Cut("body"))],
    ),
    Row("the write is applied, and replies are lost on every attempt", [always(*[Cut("after")] * ATTEMPTS)]),
    Row("the write is applied, and its reply is slower than `Timeout.attempt`", slow=10.0, attempt=10.0),
    Row(
        "the write is applied, and time runs out before its reply comes",
        [runs_only()],
        slow=45.0,  # the rest is kept for the GET that settles
        arguments={"timeout": 50.0},
    ),
    Row(
        "an attempt is answered with 5xx or 408, and its write is not applied",
        [always(Status(code)) for code in (500, 502, 503, 504, 408)],
    ),
    Row(
        "an attempt is answered with 5xx, but its write is applied",
        [always(Status(code, applied=True)) for code in (500, 503)],
    ),
    Row(
        "every attempt is answered with a 500 or 503 of the exchange, and no write is applied",
        [always(*[Status(503)] * ATTEMPTS)],
    ),
    Row(
        "every attempt is answered with 502, 504 or a page with 503, and no write is applied",
        [
            always(*[Status(502)] * ATTEMPTS),
            always(*[Status(504)] * ATTEMPTS),
            always(*[Status(503, body=HTML)] * ATTEMPTS),
        ],
    ),
    Row(
        "every attempt is answered with a 500 of the exchange, but the write of the first attempt is applied",
        [always(Status(500, applied=True), *[Status(500)] * (ATTEMPTS - 1))],
    ),
    Row("429, with a short Retry-After or none", [always(Status(429, retry_after=text)) for text in ("0.02", None)]),
    Row("429, with a Retry-After beyond the deadline", [always(Status(429, retry_after="60"))]),
    Row("400", [always(Status(400))]),
    Row("401", [always(Status(401))]),
    Row("403", [always(Status(403))]),
    Row("404", [always(Status(404))]),
    Row("422: not allowed in this state", [always(Status(422))]),
    Row("another 4xx, such as 409", [always(Status(409))]),
    Row(
        "the write is applied, its reply is lost, and the next attempt gets 400, 403 or 404",
        [always(Cut("after"), Status(code)) for code in (400, 403, 404)],
    ),
    Row(
        "a request is lost, and the next attempt gets 400, 403 or 404",
        [always(Cut("before"), Status(code)) for code in (400, 403, 404)],
    ),
    Row(
        "a request is lost, and the next attempt gets 429 with a Retry-After beyond the deadline",
        [always(Cut("before"), Status(429, retry_after="60"))],
    ),
    Row(
        "the write is applied, its reply is lost, and the next attempt gets a 422 (the state is checked first)",
        [runs_only(Cut("after"))],
        behaviour=Behaviour(state_before_etag=True),
    ),
    Row("the write is applied, and a page of a proxy comes in place of its reply", [_page(applied=True)]),
    Row("the write is not applied, and a page of a proxy comes in place of its reply", [_page(applied=False)]),
    Row("the write is applied, and its reply is a redirect", [_redirect(applied=True)]),
    Row("the write is not applied, and its reply is a redirect", [_redirect(applied=False)]),
    Row("the write is applied, and its reply has no ETag", [runs_only(DropHeader("ETag"))]),
    Row(
        "the write is applied, and its reply has the new ETag, but another 2xx than the documented one",
        [runs_only(Reply(299, (("ETag", 'W/"2"'),), b"{}", applied=True))],
    ),
    Row("the first GET is lost once", [runs_only()], [Cut("after")]),
    Row("the first GET is lost on every attempt", [runs_only()], [Cut("after")] * ATTEMPTS),
    Row("the first GET is answered with 5xx on every attempt", [runs_only()], [Status(502)] * ATTEMPTS),
    Row("a cache answers the first GET with an `Age`", [runs_only()], [SetHeader("Age", "7")]),
    Row("the first GET has no ETag", [runs_only()], [DropHeader("ETag")]),
    Row("the first GET cannot be read", [runs_only()], [Reply(200, (("ETag", '"1"'),), HTML)]),
    Row(
        "the write is applied, its reply is lost, and the exchange pauses the run by itself",
        [runs_only((Cut("after"), ExchangePauses("after")))],
    ),
    Row("a colleague moves the end of the run just before the write arrives", [runs_only(SecondWriter())]),
    Row("a colleague does the same just before the write arrives", [_orders(_same_before)]),
    Row("a colleague makes the action impossible just before the write arrives", [_orders(_impossible)]),
    Row(
        'with `on_conflict="raise"`: a colleague moves the end of the run just before the write arrives',
        [runs_only(SecondWriter())],
        arguments={"on_conflict": "raise"},
    ),
    Row(
        "with `seen=`: a colleague moves the end of the run just before the write arrives",
        [runs_only(SecondWriter())],
        seen=True,
    ),
    Row(
        "a request is lost, and a colleague moves the end of the run",
        [runs_only(Cut("before"), SecondWriter())],
    ),
    Row(
        "the write is applied, its reply is lost, and a colleague moves the end of the run",
        [runs_only((Cut("after"), SecondWriter(when="after")))],
    ),
    Row(
        "the write is applied, its reply is lost, and a colleague reverses the write",
        [_orders(_undone)],
    ),
    Row("a request reaches the exchange twice, and the first copy is answered", [runs_only(Repeat("first"))]),
    Row(
        "a request reaches the exchange twice, and the second copy is answered",
        [runs_only(Repeat("second"))],
        once=False,
    ),
    Row(
        "time runs out before the first GET is answered",
        [runs_only()],
        slow_look=50.0,
        arguments={"timeout": 50.0},
    ),
]


@frozen
class Cell:
    """What the caller saw, and the requests sent."""

    seen: str
    requests: int

    def __str__(self) -> str:
        return f"{self.seen} ({self.requests})"


async def _perform(fielding: FieldingSession, kind: Kind, ref: RunRef, arguments: dict[str, Any]) -> object:
    if kind.is_job:
        return await fielding.project(ref.account_id, ref.project_id).relaunch([ref.target_group_id], **arguments)
    run = fielding.run(ref)
    if kind.order is longer:
        return await run.update(longer, **arguments)
    assert not callable(kind.order)
    assert kind.order is not None
    return await run.perform(kind.order, **arguments)


async def _closed_port() -> str:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}/v1"


async def _put_forward(clock: Clock, seconds: float, hold: Hold) -> None:
    await hold.arrived()
    clock.advance(seconds)


async def _cell(row: Row, kind: Kind, make: Make, clock: Clock) -> Cell | None:
    async with Sandbox(require_token=TOKEN, behaviour=row.behaviour) as sandbox:
        ref = sandbox.add_run(kind.status)
        faults = make(kind, sandbox.inspect(ref))
        if faults is None:
            return None
        sandbox.script(*faults, on=kind.operation)
        sandbox.script(*row.looks, on="get")
        if not (row.slow or row.slow_look):
            cell = await _seen(row, kind, sandbox, ref)
        else:
            hold = Hold("after" if row.slow else "before")
            sandbox.script(hold, on=kind.operation if row.slow else "get")
            async with asyncio.TaskGroup() as group:
                group.create_task(_put_forward(clock, row.slow or row.slow_look, hold))
                cell = await _seen(row, kind, sandbox, ref)
                hold.release()
        sandbox.assert_faults_used()
        return cell


async def _seen(row: Row, kind: Kind, sandbox: Sandbox, ref: RunRef) -> Cell:
    async with FieldingSession(
        TOKEN,
        base_url=await _closed_port() if row.unreachable else sandbox.url,
        retry=Retry(max_attempts=ATTEMPTS, base=0.001, cap=0.01, conflict_base=0.001),
        timeout=Timeout(total=20, attempt=row.attempt),
        limits=Limits(adaptive=False),
    ) as fielding:
        arguments = dict(row.arguments)
        if row.seen:
            arguments["seen"] = await fielding.run(ref).get()
        error: FieldingError | None = None
        outcome: object = None
        try:
            outcome = await _perform(fielding, kind, ref, arguments)
        except FieldingError as caught:
            error = caught
    requests = len(sandbox.requests)
    _check(row, kind, sandbox, outcome, error, requests)
    if error is not None:
        return Cell(f"`{_public(type(error))}`", requests)
    return Cell(f"{outcome.effect}" if isinstance(outcome, Outcome) else "job made", requests)


def _public(cls: type[FieldingError]) -> str:
    return OutcomeUnknownError.__name__ if issubclass(cls, OutcomeUnknownError) else cls.__name__


def _check(row: Row, kind: Kind, sandbox: Sandbox, outcome: object, error: FieldingError | None, requests: int) -> None:
    """What the caller saw must be true, by the sandbox's own account."""
    where = f"{row.text}, {kind.name}"
    if kind.is_job:
        applied = len(sandbox.jobs)
        # no look can tell whether a job was made; the error bears the key with which to ask for the same job again
        allowed = {1} if error is None else {0, 1} if isinstance(error, OutcomeUnknownError | ServerError) else {0}
        assert applied in allowed, f"{where}: {applied} jobs, {error}"
        return
    applied = sum(write.by == "client" for write in sandbox.history)
    if isinstance(outcome, Outcome):
        allowed = {"accepted": {1}, "already": {0}, "unconfirmed": {0, 1}}[outcome.effect]
        assert outcome.requests == requests - row.seen, f"{where}: {outcome.requests} of {requests} requests counted"
    else:
        allowed = {0, 1} if isinstance(error, OutcomeUnknownError) else {0}
    assert applied in allowed or not row.once, f"{where}: applied {applied} times, {outcome or error}"


async def _row(row: Row, clock: Clock) -> list[str]:
    """Return the cells of a row: what each way in which the fault can come about leads to, for each kind of write."""

    async def cells(kind: Kind) -> str:
        found = [await _cell(row, kind, make, clock) for make in row.writes]
        return " or ".join(sorted({str(cell) for cell in found if cell is not None})) or NOT_HERE

    if row.slow or row.slow_look:  # all share the clock
        return [await cells(kind) for kind in KINDS]
    return await asyncio.gather(*map(cells, KINDS))


async def build() -> str:
    """Run every fault on every kind of write, and return the table."""
    clock = Clock(asyncio.get_running_loop())
    rows = [await _row(row, clock) for row in ROWS]
    return _markdown([list(column) for column in zip(*rows, strict=True)])


def _markdown(columns: list[list[str]]) -> str:
    """Write the table; kinds with the same fate throughout share a column."""
    named: list[tuple[list[str], list[str]]] = []
    for kind, cells in zip(KINDS, columns, strict=True):
        twin = next((names for names, known in named if known == cells), None)
        if twin is None:
            named.append(([kind.name], cells))
        else:
            twin.append(kind.name)
    heads = ["what happens", *(", ".join(names) for names, _ in named)]
    lines = [heads, ["---"] * len(heads)]
    lines += [[row.text, *(cells[number] for _, cells in named)] for number, row in enumerate(ROWS)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replaced(page: str, table: str) -> str:
    """Return the page with the table between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: the markers of the fault table are missing")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main() -> None:
    """Print the fault table, or write it into the explanation."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.faults.table", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"write it into {PAGE.name}")
    table = asyncio.run(build())
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text(), table))
    else:
        print(table)


if __name__ == "__main__":
    main()
