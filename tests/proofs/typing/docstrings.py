"""The examples in the docstrings of the public API, as a module that the type checkers check.

`python -m tests.proofs.typing.docstrings` writes it.
"""

import ast
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import fielding_async

__all__ = ["GIVEN", "WRITTEN", "examples", "rendered"]

PACKAGE = Path(fielding_async.__file__).parent
WRITTEN = Path(__file__).parent / "docstring_examples.py"

GIVEN = {
    "account_id": "int",
    "project_id": "str",
    "target_group_id": "str",
    "fielding_run_id": "str",
    "fielding": "FieldingSession",
    "run": "Run",
    "ref": "RunRef",
    "refs": "list[RunRef]",
    "secret": "str",
}
"""The names that an example may use without making them, and the public type of each. All others it has to import."""

_INSIDE = {"coordination", "journal", "plans"}  # modules below these are no part of the public API


def _blocks(docstring: str) -> Iterator[str]:
    """Yield the blocks that are indented by four, after an empty line."""
    block: list[str] = []
    before = ""
    for line in [*docstring.split("\n"), "."]:
        if line.startswith("    ") and (block or not before.strip()):
            block.append(line)
        elif block and not line.strip():
            block.append("")
        elif block:
            yield textwrap.dedent("\n".join(block)).strip()
            block = []
        before = line


def examples() -> dict[str, str]:
    """Return each example by a name made of its module and the function that it explains."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in _INSIDE and parts[-1] != "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            own = () if isinstance(node, ast.Module) else (node.name,)
            for block in _blocks(ast.get_docstring(node) or ""):
                found["_".join([*(part for part in parts if part != "__init__"), *own]) or "fielding_async"] = block
    return found


def _made_by(node: ast.stmt) -> list[str]:
    """Return the names that a statement leaves behind."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def rendered() -> str:
    """Return the module: a function for each example, whose parameters are the names that it does not make."""
    text = '"""Examples of docstrings, for the type checkers alone: `python -m tests.proofs.typing.docstrings`."""\n'
    text += "\n# ruff: noqa: I001\n# fmt: off\nfrom fielding_async import FieldingSession, Run, RunRef\n"
    for name, block in examples().items():
        used = {node.id for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Name)}
        made = {
            node.id
            for node in ast.walk(ast.parse(block))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        given = ", ".join(f"{name}: {kind}" for name, kind in GIVEN.items() if name in used - made)
        text += f"\n\nasync def {name}({given}) -> None:\n{textwrap.indent(block, '    ')}\n"
        left = [name for node in ast.parse(block).body for name in _made_by(node)]
        text += f"    _ = {', '.join(left)}\n" if left else ""  # a type checker wants each name to be used
    return text


if __name__ == "__main__":
    sys.exit(0 if WRITTEN.write_text(rendered(), encoding="utf-8") else 1)
