"""The exchange of the simulation: a small model of its own, that shares no rule with the client or the sandbox.

Every write it applies is kept, with the message that caused it. `If-Match` is judged byte for byte.
"""

import json
from datetime import UTC, datetime
from functools import lru_cache
from random import Random

from attrs import define

from .records import Message, State
from .world import World

__all__ = ["EPOCH", "Reply", "Server", "ServerRun", "to_ms", "to_text"]

EPOCH = 1_900_000_000_000
"""What the server's clock shows at virtual time 0, in milliseconds since 1970."""

_TARGETS = {"launch-now": "live", "pause": "paused", "resume": "live", "complete": "completed", "relaunch": "live"}
_FROM = {
    "launch-now": {"scheduled"},
    "pause": {"live"},
    "resume": {"paused"},
    "complete": {"live", "scheduled"},
    "relaunch": {"completed"},
}


@lru_cache(4096)
def to_text(ms: int) -> str:
    """Write a date as the exchange does."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"


@lru_cache(4096)
def to_ms(text: str) -> int:
    """Read a date in the exchange's own form."""
    moment = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000 + int(text[20:23])


@define(eq=False)
class Reply:
    """A response, before the network gets hold of it."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@define(eq=False)
class ServerRun:
    """A run with all the states it ever had, the last one being its own."""

    id: str
    states: list[State]
    tag: int = 0  # the number in its ETags

    @property
    def head(self) -> State:
        return self.states[-1]

    def with_etag(self, etag: str | None) -> list[State]:
        """Return the states that bore this ETag: one, or more where something changes without a step."""
        return [state for state in self.states if state.etag == etag]


class Server:
    """The exchange. `now` is always a virtual time in seconds."""

    def __init__(self, world: World, dice: Random) -> None:
        self.world = world
        self.dice = dice
        self.runs: dict[str, ServerRun] = {}
        self.tokens: dict[str, float] = {}  # and when they expire
        self.spells: list[tuple[float, float, int, str | None]] = []  # from, until, status, run

    def add_run(self, run_id: str, status: str, start: int, end: int, now: float) -> None:
        """Add a run."""
        version = self.dice.randrange(1, 50)
        cut = self.world.grain
        run = self.runs[run_id] = ServerRun(run_id, [], version)
        run.states.append(
            State(0, version, self._etag(run), status, start // cut * cut, end // cut * cut, now, "set-up")
        )

    def _etag(self, run: ServerRun) -> str:
        if not self.world.opaque_etags:
            return f'W/"{run.tag}"'
        return f'{self.dice.choice(["W/", ""])}"{self.dice.getrandbits(64):x}{self.dice.choice(["", "--gzip", ",x"])}"'

    # -- changes

    def change(
        self,
        run: ServerRun,
        now: float,
        author: str,
        *,
        status: str | None = None,
        start: int | None = None,
        end: int | None = None,
        message: Message | None = None,
        steps_version: bool = True,
        steps_etag: bool = True,
    ) -> State:
        """Put a new state on top, under another version and ETag, unless it is said that they stay."""
        old, cut = run.head, self.world.grain
        new_status = status or old.status
        new_start = old.start if start is None else start // cut * cut
        new_end = old.end if end is None else end // cut * cut
        same = (new_status, new_start, new_end) == (old.status, old.start, old.end)
        is_noop = same and self.world.noop_keeps_etag and message is not None
        version, etag = old.version, old.etag
        step = 0 if is_noop else self.dice.randint(1, self.world.widest_step)
        if step and steps_version:
            version += step
        if step and steps_etag:
            run.tag += step
            etag = self._etag(run)
        state = State(
            old.index + 1, version, etag, new_status, new_start, new_end, now, author, message, is_noop=is_noop
        )
        old.until = now
        run.states.append(state)
        return state

    def tick(self, run: ServerRun, now: float) -> None:
        """Let a scheduled run start and a live one end, if it is time."""
        clock = EPOCH + int(now * 1000)
        steps = self.world.clock_steps
        if run.head.status == "scheduled" and run.head.start <= clock:
            self.change(run, now, "clock", status="live", steps_version=steps, steps_etag=steps)
        if run.head.status == "live" and run.head.end <= clock:
            self.change(run, now, "clock", status="completed", steps_version=steps, steps_etag=steps)

    def pause_by_itself(self, run: ServerRun, now: float) -> State | None:
        """Pause a live run for reasons of the exchange's own; return the new state, if the run was live."""
        self.tick(run, now)
        if run.head.status != "live":
            return None
        steps_version, steps_etag = self.world.pause_steps_version, self.world.pause_steps_etag
        return self.change(run, now, "exchange", status="paused", steps_version=steps_version, steps_etag=steps_etag)

    # -- requests

    def handle(self, message: Message, now: float) -> Reply:
        """Judge a request, apply it if it stands, and answer."""
        run = self.runs[message.run_id]
        self.tick(run, now)
        reply = self._refuse_caller(message, now)
        if reply is None:
            reply = self._write(run, message, now) if message.is_write else self._show(run, message, now)
        message.status = reply.status
        return reply

    def _refuse_caller(self, message: Message, now: float) -> Reply | None:
        if self.tokens and self.tokens.get(message.token, 0.0) <= now:
            return problem(self.world.expired_status, "authorization_error", "the token has expired")
        for begin, end, status, run_id in self.spells:
            if begin <= now < end and run_id in {None, message.run_id}:
                return problem(status, "spell", "not for the moment")
        return None

    def _show(self, run: ServerRun, message: Message, now: float) -> Reply:
        """Answer a GET with the run as it is, or was."""
        shown = message.shown = self._state_at(run, message, now)
        body = (
            f'{{"id":"{run.id}","status":"{shown.status}","version":{shown.version},'
            f'"start_fielding_at":"{to_text(shown.start)}","end_fielding_at":"{to_text(shown.end)}",'
            f'"last_changed_at":"{to_text(EPOCH)}","last_changed_by":"{shown.author}"}}'
        )
        return Reply(200, {"ETag": shown.etag}, body.encode())

    def _state_at(self, run: ServerRun, message: Message, now: float) -> State:
        """Return the state that a GET is answered with."""
        limit = now - max(message.fate.stale, self.world.visible_after)
        if limit >= now:
            return run.head
        return next((state for state in reversed(run.states) if state.since <= limit), run.states[0])

    def _write(self, run: ServerRun, message: Message, now: float) -> Reply:
        stale = message.if_match != run.head.etag
        if stale and not self.world.state_first:
            return problem(412, "precondition_failed_error", "the run has been changed")
        refusal = self._refusal(run.head, message, now)
        if refusal is not None:
            return refusal
        if stale:
            return problem(412, "precondition_failed_error", "the run has been changed")
        before = run.head
        if message.dates is not None:
            start, end = (to_ms(text) for text in message.dates)
            state = self.change(run, now, "us", start=start, end=end, message=message)
            reply = Reply(202, {"ETag": state.etag}, json.dumps({"id": run.id}).encode())
        elif message.action == "launch-now":
            clock = EPOCH + int(now * 1000)
            length = before.end - before.start
            state = self.change(run, now, "us", status="live", start=clock, end=clock + length, message=message)
            dates = {"start_fielding_at": to_text(state.start), "end_fielding_at": to_text(state.end)}
            reply = Reply(200, {"ETag": state.etag}, json.dumps(dates).encode())
        else:
            state = self.change(run, now, "us", status=_TARGETS[message.action], message=message)
            reply = Reply(204, {"ETag": state.etag})
        message.applied.append(state)
        message.based_on = before
        return reply

    def _refusal(self, head: State, message: Message, now: float) -> Reply | None:
        clock = EPOCH + int(now * 1000)
        if message.dates is None:
            wrong = head.status not in _FROM[message.action]
            if message.action in {"resume", "relaunch"}:
                wrong = wrong or head.end <= clock
            return problem(422, "invalid_state_error", f"not from {head.status}") if wrong else None
        if head.status == "completed":
            return problem(422, "invalid_state_error", "the run is completed")
        start, end = (to_ms(text) // self.world.grain * self.world.grain for text in message.dates)
        if end <= start:
            return problem(400, "validation_error", "end must be after start")
        if start < clock and start != head.start:
            return problem(400, "validation_error", "start is in the past")
        return None


def problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> Reply:
    """Return an error reply."""
    return Reply(status, headers or {}, _problem_body(kind, detail))


@lru_cache
def _problem_body(kind: str, detail: str) -> bytes:
    return json.dumps({"id": None, "object": kind, "detail": detail, "invalid_params": None}).encode()
