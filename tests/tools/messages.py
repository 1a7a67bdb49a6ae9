"""The messages of the package, found in its source: each error or warning that is made, with its text."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

import fielding_async

__all__ = ["Message", "messages_of_package", "pattern_of", "words_of"]

ROOT = Path(fielding_async.__file__).parent
_MADE = re.compile(r"(Error|Exception|BadParameter|Check|warn|write_stderr|fail)$")
_LITERAL = re.compile(r"\{[^{}]*\}")


@frozen
class Message:
    """A message: where it is made, the class or function that is given it, and its text with `{…}` for what varies.

    `texts`: the text, or several where a part that varies is one of some texts that stand in the source.
    """

    path: str
    line: int
    kind: str
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.kind}: {self.texts[0]}"


class _Scope:
    """The texts that names may have: constants of the module, and what the function assigns."""

    def __init__(self, path: Path, module: ast.Module, function: ast.AST | None) -> None:
        self.known: dict[str, list[ast.expr]] = {}
        self.imported = {
            alias.asname or alias.name: node.module or ""
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name.isupper()
        }
        self.path = path
        for node in [*module.body, *(() if function is None else ast.walk(function))]:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.known.setdefault(target.id, []).append(node.value)

    def texts(self, node: ast.expr, depth: int = 0) -> list[str]:
        """Return the texts that an expression may have."""
        match node:
            case ast.Constant(value=str(text)):
                return [text.replace("{", "(").replace("}", ")")]
            case ast.JoinedStr(values=values):
                found = [""]
                for value in values:
                    found = [start + end for start in found for end in self.texts(value, depth)][:64]
                return found
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [a + b for a in self.texts(left, depth) for b in self.texts(right, depth)][:64]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.texts(body, depth), *self.texts(orelse, depth)]
            case ast.FormattedValue(value=value) if depth < 4:
                return self.texts(value, depth + 1)
            case ast.Name(id=name) if depth < 4 and name in self.known:
                found = [text for value in self.known[name] for text in self.texts(value, depth + 1)]
                return [text for text in found if _is_worded(text)] or ["{…}"]
            case ast.Name(id=name) if name in self.imported:
                return self._constant(name)
        return ["{…}"]

    def _constant(self, name: str) -> list[str]:
        """Return the text of a constant of another module."""
        source = self.path.parent / f"{self.imported[name].rpartition('.')[2]}.py"
        for node in ast.parse(source.read_text()).body if source.exists() else ():
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                try:
                    return [str(ast.literal_eval(node.value))]
                except ValueError:
                    break
        return ["{…}"]


def _is_worded(text: str) -> bool:
    """Whether a text has words of its own, or is empty."""
    return not text or re.search(r"[a-z]{3}", _LITERAL.sub("", text)) is not None


@cache
def messages_of_package() -> tuple[Message, ...]:
    """Return all messages of the package, in the order of the source."""
    return tuple(message for path in sorted(ROOT.rglob("*.py")) for message in _messages_of(path))


def _messages_of(path: Path) -> Iterator[Message]:
    module = ast.parse(path.read_text())
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if _MADE.search(name) is None:
            continue
        around = [function for function in functions if function.lineno <= node.lineno <= (function.end_lineno or 0)]
        scope = _Scope(path, module, max(around, key=lambda function: function.lineno, default=None))
        texts = tuple(dict.fromkeys(scope.texts(node.args[0])))
        yield Message(str(path.relative_to(ROOT)), node.lineno, name, texts)


def words_of(text: str) -> str:
    """Return a text in one line, with what varies as `…`."""
    return re.sub(r"\s+", " ", _LITERAL.sub("…", text)).strip()


def pattern_of(text: str) -> "re.Pattern[str]":
    """Return a pattern for the messages that a text stands for."""
    return re.compile(".*?".join(re.escape(part) for part in _LITERAL.split(text)), re.DOTALL)
