"""What the callers do with assistants: count in a module through a callable, or replace the whole by a value."""

from typing import Any

from attrs import evolve

from fielding_async import FieldingAssistant, OtherModule
from fielding_async.core.assistant.assignment import AssistantChange

from .records import CallRecord
from .scenario import Actor, Scenario, SimError, ref_of

__all__ = ["AssistantScenario"]


def counted(assistant: FieldingAssistant, name: str) -> int:
    """Return the number that a module has, 0 if it is not enabled."""
    return int((assistant.module(name) or {"n": 0})["n"])


class AssistantScenario(Scenario):
    """Draws and makes calls on assistants."""

    def _draw(self, actor: Actor) -> CallRecord:
        world, dice = self.world, self.dice
        call = self._begin(actor)
        seen = self._seen.get((actor.number, call.run_id))
        if dice.random() < world.gets:
            return call
        call.name = "update-assistant"
        call.module = f"count{dice.randrange(3)}"
        if seen and dice.random() < max(world.seen, 0.3):
            call.kind, call.on_conflict = "value", "raise"
            call.seen = dice.choice(seen) if dice.random() < world.old_seen else seen[-1]
            return call
        call.kind = dice.choice(["increment", "increment", "increment", "at-least", "raising"])
        call.delta = dice.choice([0, 5])  # what a callable that wants "at least" is content with
        return call

    @property
    def _seen(self) -> dict[tuple[int, str], list[FieldingAssistant]]:
        return self._last_seen  # type: ignore[return-value]

    def _count(self, call: CallRecord) -> AssistantChange:
        def change(now: FieldingAssistant) -> FieldingAssistant | None:
            answer: FieldingAssistant | None = _stepped(now, call.module)
            if call.kind == "raising" and len(call.asked) % 2:
                call.asked.append((now, None))
                raise SimError("no")
            if call.kind == "at-least" and counted(now, call.module) >= call.delta:
                answer = None
            call.asked.append((now, answer))
            return answer

        return change

    async def _carry_out(self, actor: Actor, call: CallRecord, extra: dict[str, Any]) -> None:
        ref = ref_of(call.run_id)
        assistant = actor.session.project(ref.account_id, ref.project_id).target_group(ref.target_group_id).assistant
        if call.kind == "get":
            self._seen.setdefault((actor.number, call.run_id), []).append(await assistant.get(**extra))
        elif call.kind == "value":
            call.wanted = _stepped(call.seen, call.module)
            call.outcome = await assistant.update(call.wanted, seen=call.seen, **extra)
        else:
            call.outcome = await assistant.update(self._count(call), **extra)


def _stepped(now: FieldingAssistant, name: str) -> FieldingAssistant:
    others = {module.name: module for module in now.others}
    others[name] = OtherModule.of(name, {"n": counted(now, name) + 1})
    return evolve(now, others=tuple(others.values()))
