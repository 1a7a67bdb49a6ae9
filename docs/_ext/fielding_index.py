"""The directive `fielding-index MODULE`: each public name of a module, with a link and the first sentence about it."""

import inspect
import re
from importlib import import_module
from typing import Any, ClassVar

import fielding_docstrings
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

_KINDS = ("Classes", "Errors", "Functions", "Types and constants")


def _kind(value: object) -> str:
    if isinstance(value, type):
        return "Errors" if issubclass(value, BaseException) else "Classes"
    return "Functions" if inspect.isroutine(value) else "Types and constants"


def _sentence(name: str, value: object) -> str:
    """Return the first sentence of a docstring, as reStructuredText."""
    is_own = isinstance(value, type) or inspect.isroutine(value)
    text = inspect.getdoc(value) if is_own else "\n".join(fielding_docstrings.text_of_alias(name))
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    first = re.split(r"(?<=[.:]) (?=[A-Z`])", paragraph, maxsplit=1)[0]
    return "\n".join(fielding_docstrings.as_restructuredtext([re.sub(r":$", ".", first)])).strip()


def public_names(module: str) -> dict[str, dict[str, object]]:
    """Return the public names of a module by kind, each with what it stands for."""
    found = import_module(module)
    names = {name: getattr(found, name) for name in sorted(found.__all__, key=str.lower)}
    return {kind: {name: value for name, value in names.items() if _kind(value) == kind} for kind in _KINDS}


class Index(Directive):
    """Lists of names."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Make the lists."""
        module: str = self.arguments[0]
        lines: list[str] = []
        for kind, names in public_names(module).items():
            if names:
                lines += ["", f".. rubric:: {kind}", "   :heading-level: 3", ""]
            for name, value in names.items():
                sentence = _sentence(f"{module}.{name}", value) or "No text."
                lines += [f":py:obj:`{name} <{module}.{name}>`", f"   {sentence}"]
        holder = nodes.container(classes=["api-index"])
        self.state.nested_parse(StringList(lines, "fielding-index"), self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.add_directive("fielding-index", Index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
