"""Who imports whom in a package, read from its source: at the top, under `TYPE_CHECKING` and inside functions alike."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

__all__ = ["Module", "circle_in", "read_modules"]


@frozen
class Module:
    """A module: its dotted `name`, its `folder` below the package ("" for the package itself), and what it imports.

    `inside`: modules of the package. `outside`: other packages and modules, by their dotted names.
    """

    name: str
    folder: str
    path: Path
    inside: frozenset[str]
    outside: frozenset[str]


def _name_of(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST, name: str, is_package: bool) -> Iterable[tuple[str, str | None]]:
    """Yield each imported module, with the name taken from it, if one is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = name.split(".")
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield base, alias.name


def read_modules(package: Path) -> dict[str, Module]:
    """Return every module of a package by its dotted name."""
    paths = {_name_of(package, path): path for path in sorted(package.rglob("*.py"))}
    found: dict[str, Module] = {}
    for name, path in paths.items():
        inside: set[str] = set()
        outside: set[str] = set()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for base, taken in _imported(tree, name, path.name == "__init__.py"):
            if base.split(".")[0] != package.name:
                outside |= {base, f"{base}.{taken}" if taken else base}
            elif taken is not None and f"{base}.{taken}" in paths:
                inside.add(f"{base}.{taken}")
            elif base in paths:
                inside.add(base)
        folder = path.parent.relative_to(package).as_posix()
        found[name] = Module(name, "" if folder == "." else folder, path, frozenset(inside), frozenset(outside))
    return found


def circle_in(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a circle in a graph, from a node back to itself; `[]` if there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for other in arrows.get(node, ()):
            circle = visit(other)
            if circle:
                return circle
        path.pop()
        done.add(node)
        return []

    for node in arrows:
        circle = visit(node)
        if circle:
            return circle
    return []
