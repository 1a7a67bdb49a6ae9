"""The interactive interpreter of a page: as `python -m asyncio`, it takes one line after the other, and awaits."""

import ast
import builtins
import codeop
import contextlib
import inspect
import io
import types
from typing import Any

from fielding_async import FieldingSession
from fielding_async.sandbox import Sandbox

from .pages import Block

__all__ = ["Repl"]


class Repl:
    """Takes blocks line by line, as they are typed. It begins with no names at all."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self._compile = codeop.CommandCompiler()
        self._compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    async def type(self, block: Block) -> str:
        """Type a block and the empty line that ends its last statement; return what it printed.

        A line that the interpreter does not take there is a `SyntaxError`, such as one that follows the body of a loop
        without an empty line between.
        """
        printed = io.StringIO()
        typed: list[str] = []
        for number, line in enumerate([*block.text.splitlines(), ""], block.line + 1):
            typed.append(line)
            # the empty lines let a failure name the line of the page
            before = "\n" * (number - len(typed))
            code = self._compile(before + "\n".join(typed), f"block {block.number}", "single")
            if code is None:
                continue
            typed.clear()
            with contextlib.redirect_stdout(printed):
                # as asyncio's own: a statement that awaits makes a coroutine
                answer = types.FunctionType(code, self.names)()
                if inspect.iscoroutine(answer):
                    await answer
        assert not typed, f"block {block.number} does not end: {typed}"
        return printed.getvalue()

    async def close(self) -> None:
        """End what the end of the process would end."""
        vars(builtins).pop("_", None)  # where the interpreter keeps the value that it printed last
        for value in self.names.values():
            if isinstance(value, FieldingSession):
                await value.aclose()
        for value in self.names.values():
            if isinstance(value, Sandbox):
                value.stop()
