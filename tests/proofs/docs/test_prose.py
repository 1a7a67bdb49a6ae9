"""The linter for prose: what it finds, what it leaves alone, and where it says that it is."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("proselint", reason="needs proselint")

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def linter() -> ModuleType:
    """The module `docs/prose/check.py`."""
    path = Path(__file__).parents[3] / "docs" / "prose" / "check.py"
    spec = importlib.util.spec_from_file_location("prose_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_words_are_found_in_text_and_not_in_code(linter: ModuleType) -> None:
    """A word of the list is found at its line; in backticks, blocks and addresses it is not."""
    page = """# A page
The call is anew.
`anew` and [a link](anew.md).
```python
anew = 1
```
:::{note}
Once more: wait.
:::
"""
    found = linter.findings("page.md", linter.prose_of_page(page))
    assert [line.split(":")[1] for line in found] == ["2", "8"]
    assert "'anew': write again" in found[0]


def test_docstrings_and_messages_are_read(linter: ModuleType) -> None:
    """Of a module, docstrings and messages are checked; names, code in docstrings and short strings are not."""
    module = '''
def begins(anew: str) -> None:
    """Start anew.

        begins("anew")
    """
    if anew != "anew":
        raise ValueError(f"the plan {anew} begins with another row")
'''
    found = linter.findings("module.py", linter.prose_of_module(module))
    assert [line.split(":")[1] for line in found] == ["3", "8"]


def test_long_sentences_are_found(linter: ModuleType) -> None:
    """A sentence of too many words is found; a list of short items is not."""
    most = linter.WORDS["sentence"]["words"]
    assert "house.sentence" in linter.findings("page.md", " ".join(f"word{number}" for number in range(most + 1)))[0]
    assert linter.findings("page.md", "\n".join(["- an item of the list"] * most)) == []
