"""What a traceback with local variables shows, and the frames of coroutines that are suspended."""

import asyncio
import io
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, cast

from rich.console import Console
from rich.traceback import Traceback

__all__ = ["of_error", "of_tasks", "rich_text"]


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from _chain(other, seen)
    behind: tuple[BaseException, ...] = getattr(error, "exceptions", ())  # of a group
    for other in behind:
        yield from _chain(other, seen)


def _locals(frame: FrameType) -> str:
    return "\n".join(f"{frame.f_code.co_qualname}: {name} = {_repr(value)}" for name, value in frame.f_locals.items())


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # an object that is half made
        return f"<{type(error).__name__}>"


def of_error(error: BaseException) -> str:
    """Return every local variable of every frame of an error, and of the errors behind it."""
    texts: list[str] = []
    for one in _chain(error, set()):
        texts.append(repr(one))
        texts += [_locals(frame) for frame, _ in traceback.walk_tb(one.__traceback__)]
        texts += list(traceback.TracebackException.from_exception(one, capture_locals=True).format())
    return "\n".join(texts)


def rich_text(error: BaseException, max_string: int | None) -> str:
    """Return the traceback as `rich` prints it with local variables."""
    console = Console(file=io.StringIO(), width=2000)
    shown = Traceback.from_exception(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_string=cast("int", max_string),  # `None` is no limit
        locals_max_length=1000,
        locals_hide_dunder=False,
        max_frames=0,
    )
    console.print(shown)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def of_tasks() -> str:
    """Return every local variable of every coroutine of all other tasks, and the tasks' own texts."""
    texts: list[str] = []
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        texts += [repr(task), *(_locals(frame) for frame in task.get_stack())]
        waits: Any = task.get_coro()
        while waits is not None:
            frame = getattr(waits, "cr_frame", None) or getattr(waits, "gi_frame", None)
            if frame is not None:
                texts.append(_locals(frame))
            waits = getattr(waits, "cr_await", None) or getattr(waits, "gi_yieldfrom", None)
    return "\n".join(texts)
