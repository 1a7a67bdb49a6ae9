"""Checked by the type checkers, never run: each line is a slip that they refuse. An `ignore` without an error fails."""

from datetime import datetime

from fielding_async import (
    Assistant,
    AssistantChange,
    Done,
    FieldingAssistant,
    FieldingSession,
    Limits,
    Project,
    Retry,
    Run,
    RunRef,
    Timeout,
    Update,
    trace_context,
)


async def calls(fielding: FieldingSession, run: Run, refs: list[RunRef], project: Project, end: datetime) -> None:
    FieldingSession(5)  # type: ignore
    FieldingSession(timeout=30)  # type: ignore
    Limits(20)  # type: ignore
    Retry(5)  # type: ignore
    Timeout(30)  # type: ignore
    Update(end)  # type: ignore
    await run.update(5)  # type: ignore
    await run.update(end)  # type: ignore
    await run.pause(on_conflict="ignore")  # type: ignore
    await run.pause(timeout="5")  # type: ignore
    await run.perform("pause")  # type: ignore
    fielding.perform_all(refs)  # type: ignore
    fielding.perform_all([], stop="now")  # type: ignore
    project.find_runs(where=5)  # type: ignore
    project.list_target_groups(search=5)  # type: ignore
    await fielding.request("POST", 5)  # type: ignore
    await fielding.request("GET", "/x", headers={"A": 5})  # type: ignore
    trace_context(5)  # type: ignore


def rows(done: Done) -> None:
    print(done.outcome.effect)  # type: ignore
    if done.error is None:
        print(done.outcome.effect)
    else:
        print(done.outcome.effect)  # type: ignore


async def assistants(assistant: Assistant, value: FieldingAssistant, change: AssistantChange) -> None:
    await assistant.update(value)  # type: ignore
    await assistant.update(change, seen=value)  # type: ignore
