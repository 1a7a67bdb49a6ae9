"""The public API as its source has it: the types in signatures that are no public names, attributes without a text."""

import ast
import builtins
import importlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

__all__ = ["HOMES", "hidden_types", "undocumented_attributes"]

HOMES = (
    *("fielding_async", "fielding_async.coordination", "fielding_async.plans", "fielding_async.queues.procrastinate"),
    *("fielding_async.queues.taskiq", "fielding_async.sandbox", "fielding_async.webhooks"),
)
"""What users import from."""

_SPECIAL = {"__init__", "__aenter__", "__aiter__", "__anext__", "__await__", "__call__", "__enter__"}
_Part = tuple[str, ast.ClassDef]  # a class, or a base of it, with the name of its module


@cache
def _statements(module: str) -> list[ast.stmt]:
    """Return the statements of a module, those under `if TYPE_CHECKING` with them."""
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8"))
    return [inner for node in tree.body for inner in (node.body if isinstance(node, ast.If) else [node])]


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Return where each name that a module imports comes from: the module, and the name there."""
    is_package = (importlib.import_module(module).__file__ or "").endswith("__init__.py")
    found: dict[str, tuple[str, str]] = {}
    for node in _statements(module):
        if isinstance(node, ast.ImportFrom):
            above = module.split(".")
            above = above[: len(above) - node.level + is_package] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.asname or alias.name).split(".")[0]: (alias.name, "") for alias in node.names}
    return found


@cache
def _definition(module: str, name: str) -> tuple[str, ast.stmt | None]:
    """Return the module that defines what `name` means in `module`, and the statement; `None` outside the package."""
    while name in _imports(module):
        module, name = _imports(module)[name]
        if not module.startswith("fielding_async"):
            return module, None
    for node in _statements(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return module, node
        if name in _targets(node):
            return module, node
    return module, None


def _targets(node: ast.stmt) -> list[str]:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@cache
def _public() -> dict[str, tuple[str, ast.stmt | None]]:
    names = [(home, name) for home in HOMES for name in importlib.import_module(home).__all__]
    return {f"{home}.{name}": _definition(home, name) for home, name in names if not name.startswith("__")}


def _parts(module: str, node: ast.ClassDef) -> Iterator[_Part]:
    """Yield a class and its bases inside the package."""
    yield module, node
    for base in node.bases:
        name = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(name, ast.Name):
            home, found = _definition(module, name.id)
            if isinstance(found, ast.ClassDef):
                yield from _parts(home, found)


def _classes() -> Iterator[tuple[str, list[_Part]]]:
    for name, (module, node) in _public().items():
        if isinstance(node, ast.ClassDef):
            yield name, list(_parts(module, node))


def _names(annotation: ast.AST) -> Iterator[str]:
    """Yield the names in a type hint, those in quotes as well; not the texts of a `Literal`."""
    if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == "Literal":
        return
    if isinstance(annotation, ast.Name):
        yield annotation.id
    elif isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        yield from _names(ast.parse(annotation.value, mode="eval"))
    for child in ast.iter_child_nodes(annotation):
        yield from _names(child)


def _hints(name: str, node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the type hints of a function, an attribute or an alias, each with its place."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        each = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        yield from ((f"{name}({arg.arg}=)", arg.annotation) for arg in each if arg is not None and arg.annotation)
        if node.returns is not None:
            yield name, node.returns
    elif isinstance(node, ast.AnnAssign):
        yield name, node.annotation
    elif isinstance(node, ast.Assign):
        yield name, node.value


def _members(parts: list[_Part]) -> Iterator[tuple[str, str, ast.stmt]]:
    """Yield the public methods and attributes of a class: module, name, statement."""
    for module, node in parts:
        for statement in node.body:
            names = [statement.name] if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) else []
            for name in names or (_targets(statement) if isinstance(statement, ast.AnnAssign) else []):
                if not name.startswith("_") or name in _SPECIAL:
                    yield module, name, statement


def hidden_types() -> dict[str, list[str]]:
    """Return the types of this package in public signatures that are no public names, with the places of each."""
    public = {id(node) for _, node in _public().values() if node is not None}
    places = [
        (f"{cls}.{name}", module, statement) for cls, parts in _classes() for module, name, statement in _members(parts)
    ]
    places += [(name, module, node) for name, (module, node) in _public().items() if node is not None]
    found: dict[str, list[str]] = {}
    for place, module, statement in places:
        for where, hint in _hints(place, statement):
            for name in _names(hint):
                home, node = _definition(module, name)
                if hasattr(builtins, name) or node is None or id(node) in public or _is_outside(home, node):
                    continue
                found.setdefault(f"{home}.{name}", []).append(where)
    return found


def _is_outside(module: str, node: ast.stmt) -> bool:
    """Whether a name is a type variable, or another one for a class of another library."""
    if not isinstance(node, ast.Assign):
        return False
    value = node.value
    if isinstance(value, ast.Call):
        return getattr(value.func, "id", "") == "TypeVar"
    return isinstance(value, ast.Attribute)


def undocumented_attributes() -> list[str]:
    """Return the public attributes of public classes that have no text of their own below them, once each."""
    found: dict[str, None] = {}
    for cls, parts in _classes():
        texts = {
            name
            for _, node in parts
            for before, after in pairwise(node.body)
            if _is_text(after)
            for name in _targets(before)
        }
        for _, node in parts:
            named = [name for part in node.body if isinstance(part, ast.AnnAssign) for name in _targets(part)]
            for name in [*named, *_set_by_init(node)]:
                if not name.startswith("_") and name not in texts:
                    found[f"{cls}.{name}"] = None
    return list(found)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _set_by_init(node: ast.ClassDef) -> Iterator[str]:
    """Yield the attributes that `__init__` sets."""
    for function in node.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            for inner in ast.walk(function):
                if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
                    yield inner.attr
