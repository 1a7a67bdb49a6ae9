"""Assistants in place of runs: the exchange's side of them, and their colleagues.

A state holds the modules as JSON text where that of a run holds its status, and a version that nobody is shown. What
is not there yet is a state of its own, with `NONE` in place of an ETag: `If-None-Match: *` is written down as that.
"""

import json
from random import Random

from .records import NONE, Message, State
from .rivals import Rival
from .server import Reply, Server, ServerRun, problem
from .world import World

__all__ = ["AssistantRival", "AssistantServer", "as_assistants", "counters", "stepped"]

_UNKNOWN = '"quality":{"level":1.10,"limits":[1e400,{"é":null}],"digits":1234567890123456789012345678901234567890}'


def as_assistants(world: World, dice: Random) -> World:
    """Return a world for assistants.

    A 404 of the exchange's own says that there is none yet, so it must be true (doubt D9): there are no false ones.
    """
    world.resource = "assistants"
    world.faults = {name: share for name, share in world.faults.items() if name not in {"missing", "rival-exchange"}}
    world.self_pauses, world.ends_near, world.clock_steps, world.state_first, world.grain = 0.0, False, True, False, 1
    world.answers_etag = dice.random() < 0.3
    world.shows_404 = dice.random() < 0.5
    world.starts_absent = dice.choice([0.0, 0.3, 1.0])
    return world


def counters(modules: str) -> dict[str, int]:
    """Return the number that each counted module of an assignment has."""
    found: dict[str, int] = {}
    for name, module in json.loads(modules, parse_int=str, parse_float=str).items():
        if name.startswith("count"):
            found[name] = int(module["n"])
    return found


def stepped(modules: str, name: str, by: int = 1) -> str:
    """Return the assignment with one counted module further on, and all the rest as it is."""
    before = counters(modules).get(name, 0)
    if name in counters(modules):
        return modules.replace(f'"{name}":{{"n":{before}}}', f'"{name}":{{"n":{before + by}}}')
    inner = modules[1:-1]
    return "{" + inner + ("," if inner else "") + f'"{name}":{{"n":{by}}}' + "}"


class AssistantServer(Server):
    """The exchange, for assistants."""

    def add_run(self, run_id: str, status: str, start: int, end: int, now: float) -> None:
        """Add a target group with an assistant, or without one yet."""
        super().add_run(run_id, "{}", 0, 0, now)
        head = self.runs[run_id].head
        if self.dice.random() < self.world.starts_absent:
            head.etag = NONE
        else:
            head.status = "{" + _UNKNOWN + ',"count0":{"n":1}}'

    def tick(self, run: ServerRun, now: float) -> None:
        """Do nothing: an assistant does not change by itself."""

    def pause_by_itself(self, run: ServerRun, now: float) -> State | None:
        """Do nothing."""
        return None

    def _show(self, run: ServerRun, message: Message, now: float) -> Reply:
        shown = self._state_at(run, message, now)
        message.shown = shown
        if shown.etag != NONE:
            return Reply(200, {"ETag": shown.etag}, shown.status.encode())
        if self.world.shows_404:
            return problem(404, "not_found_error", "there is none yet")
        return Reply(200, {}, b'{"pricing":null,"soft_launch":null}')

    def _write(self, run: ServerRun, message: Message, now: float) -> Reply:
        if message.if_match != run.head.etag:
            return problem(412, "precondition_failed_error", "the assignment has been changed")
        assert message.modules is not None
        before = run.head
        state = self.change(run, now, "us", status=message.modules, message=message)
        message.applied.append(state)
        message.based_on = before
        return Reply(204, {"ETag": state.etag} if self.world.answers_etag else {})


class AssistantRival(Rival):
    """Colleagues who count in the same modules as our own calls."""

    def act(self, run_id: str, now: float) -> str:
        """Count in one of the modules, go back to the state before, or write the same again."""
        run = self._server.runs[run_id]
        match self.dice.choice(["count", "count", "count", "back", "touch"]):
            case "count":
                modules = stepped(run.head.status, f"count{self.dice.randrange(3)}")
            case "back" if len(run.states) > 1 and run.states[-2].etag != NONE:
                modules = run.states[-2].status
            case _:
                modules = run.head.status
        return self._replace(run, now, modules)

    def same(self, message: Message, now: float) -> str:
        """Make the very change that a write asks for."""
        assert message.modules is not None
        return self._replace(self._server.runs[message.run_id], now, message.modules)

    def _replace(self, run: ServerRun, now: float, modules: str) -> str:
        if run.head.etag == NONE and modules == "{}":
            return f"{run.id} is left as it is"
        state = self._server.change(run, now, "colleague", status=modules)
        return f"{run.id} is now {state.etag}, {state.status}"
