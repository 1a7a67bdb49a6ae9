"""A GET of one value: a resource, or one page of a list."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from fielding_async.core.config import TimeoutArg
from fielding_async.core.wire.operations import Operation
from fielding_async.core.wire.replies import decoded
from fielding_async.core.wire.requests import request
from fielding_async.core.wire.structuring import Report
from fielding_async.engine.call import Call
from fielding_async.engine.engine import Engine

__all__ = ["Read", "read_in", "read_value"]

_T = TypeVar("_T")


@frozen
class Read(Generic[_T]):
    """What is read. `decode` reads the body of the reply; `params`: the query."""

    row: Operation
    ids: Mapping[str, Any]
    decode: Callable[[bytes, Report], _T]
    params: tuple[tuple[str, str], ...] = ()


async def read_value(engine: Engine, read: Read[_T], timeout: TimeoutArg, *, is_background: bool = False) -> _T:
    """Return the value that a GET brings. Raises the errors of a read.

    `is_background`: it belongs to a list, and lets other calls go first.
    """
    with engine.call(read.row.name, timeout, ids=read.ids, is_background=is_background) as call:
        return await read_in(engine, call, read)


async def read_in(engine: Engine, call: Call, read: Read[_T]) -> _T:
    """Return the value that a GET brings, as a part of a call."""
    asked = request(read.row, read.ids, params=read.params)
    end = await engine.sender.send(engine.sender.prepare(call, asked))
    if end.accepted is None:
        raise end.error
    return decoded(asked, end.accepted, lambda body: read.decode(body, call.left_out))
