"""What runs the blocks of the pages refuses what a reader could not type, and lends no names."""

import pytest

from .pages import Block
from .repl import Repl


def block(text: str) -> Block:
    """Return a block of Python."""
    return Block(0, "python", text, 10)


async def test_names_last_from_block_to_block_and_values_are_shown() -> None:
    """A name of one block is there in the next one, and the value of an expression is printed, awaited or not."""
    repl = Repl()
    await repl.type(block("import asyncio\n\n\ndef twice(number):\n    return 2 * number\n\n\none = 1\n"))
    assert await repl.type(block("await asyncio.sleep(0, twice(one))\ntwice(3)\n")) == "2\n6\n"
    await repl.close()


@pytest.mark.parametrize("name", ["fielding", "run", "ref", "project", "sandbox", "asyncio"])
async def test_no_name_is_lent(name: str) -> None:
    """A name that the page does not define is missing."""
    with pytest.raises(NameError):
        await Repl().type(block(f"{name}\n"))


async def test_a_statement_behind_a_loop_needs_an_empty_line() -> None:
    """What the interactive interpreter would refuse is refused, with the line of the page."""
    with pytest.raises(SyntaxError) as caught:
        await Repl().type(block("for number in range(2):\n    pass\nassert number\n"))
    assert caught.value.lineno == 13
