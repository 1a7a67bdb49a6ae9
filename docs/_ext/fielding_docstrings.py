"""Docstrings are written to be read as they stand: names in single backticks, code indented by four.

Here they become reStructuredText: a name of the public API becomes a link, anything else in backticks is code, an
indented block is Python, and a paragraph about one argument after the other a list. The attributes of a value that have
texts of their own are listed below its text. Type hints that name a module behind the public one lead to the public
name. Classes that users do not make themselves show no arguments.
"""

import inspect
import re
import sys
from typing import Any

import attrs
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

import fielding_async
import fielding_async.sandbox
import fielding_async.webhooks

_HOMES = (fielding_async, fielding_async.sandbox, fielding_async.webhooks)
_PUBLIC = {name: f"{home.__name__}.{name}" for home in reversed(_HOMES) for name in home.__all__}
_NOT_MADE_BY_USERS = {
    *("Account", "Assistant", "Run", "Project", "TargetGroup", "BatchJob", "DraftJob", "PerformAll", "Batch"),
    *("Listing", "ListingIterator", "FoundRuns", "FoundRunsIterator"),
}
_CHOICES = {"OnRowFailure": "Literal['skip', 'continue']", "StopMode": "Literal['drain', 'cancel']"}
_CODE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_ARGUMENT = r"`\w+`(?:(?:, | and )`\w+`)*: "
_NEXT = re.compile(rf"(?<=\.) (?={_ARGUMENT})")
_AFTER = re.compile(r"(?<=\.) (?=Raises |Source: )")
_NAME = re.compile(r"([A-Z]\w+)(\.\w+)*(\(.*\))?")


def _marked(match: re.Match[str]) -> str:
    text = " ".join(match[1].split())
    name = _NAME.fullmatch(text)
    if name and name[1] in _PUBLIC and not name[2] and name[3] in {None, "()"}:
        return f":py:obj:`{text} <{_PUBLIC[name[1]]}>`"
    goes_on = match.string[match.end() : match.end() + 1].isalnum()
    return f"``{text}``" + ("\\ " if goes_on else "")


def _listed(paragraph: str) -> str:
    """Return a paragraph that explains arguments, one after the other, as a list of them."""
    text = " ".join(paragraph.split())
    if not re.match(_ARGUMENT, text):
        return paragraph
    first, *rest = _AFTER.split(text, maxsplit=1)
    return "\n".join([*(f"- {item}" for item in _NEXT.split(first)), *(f"\n{more}" for more in rest)])


def as_restructuredtext(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText."""
    out: list[str] = []
    prose: list[str] = []

    def flush() -> None:
        text = "\n\n".join(_listed(paragraph) for paragraph in "\n".join(prose).split("\n\n"))
        out.extend(_CODE.sub(_marked, text).split("\n") if prose else [])
        prose.clear()

    in_code = False
    for line in lines:
        is_indented = line.startswith("    ")
        if is_indented and not in_code and (not prose or not prose[-1].strip()):
            flush()
            out.extend([".. code-block:: python", ""])
            in_code = True
        elif line.strip() and not is_indented and in_code:
            in_code = False
        if in_code:
            out.append(line)
        else:
            prose.append(line)
    flush()
    return out


def text_of_alias(name: str) -> list[str]:
    """Return the text below an alias in the module that defines it; autodoc sees only that of what it stands for."""
    for module in [name for name in sys.modules if name.startswith("fielding_async")]:
        found = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name.rpartition(".")[2]))
        if found:
            return list(found)
    return []


def _attributes(cls: type) -> list[str]:
    """Return a list of the attributes of a class that have texts of their own, which autodoc looks for elsewhere."""
    owners = [base for base in reversed(cls.__mro__) if base.__module__.startswith("fielding_async")]
    texts: dict[tuple[type, str], str] = {}
    for module in [name for name in sys.modules if name.startswith("fielding_async")]:
        for (owner, name), found in ModuleAnalyzer.for_module(module).find_attr_docs().items():
            for base in owners:
                # several modules have a class of one name, such as `Reply` and `PlanTasks`
                if owner == base.__name__ and vars(sys.modules[module]).get(owner) is base:
                    texts[base, name] = " ".join(found).strip()
    shown = {
        name: texts[base, name]
        for base in owners
        for name in inspect.get_annotations(base)
        if not name.startswith("_") and (base, name) in texts
    }
    return [f"- `{name}`: {text}" for name, text in shown.items()]


def _docstring(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    del app, options
    if what == "data":
        lines[:] = text_of_alias(name)
    if what in {"class", "exception"} and isinstance(obj, type):
        lines.extend(["", *_attributes(obj)])
    lines[:] = as_restructuredtext(lines)


def _signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    del app, options
    if what == "exception" or (what == "class" and name.rpartition(".")[2] in _NOT_MADE_BY_USERS):
        return "", None
    if signature is None:
        return None
    if inspect.isclass(obj) and attrs.has(obj):
        for field in attrs.fields(obj):
            shown = "..." if isinstance(field.default, attrs.Factory) else repr(field.default)
            signature = signature.replace(f"attr_dict['{field.name}'].default", shown)
    for alias, choices in _CHOICES.items():
        signature = re.sub(rf"(?<![\w.]){alias}\b", choices, signature)
    # left out, a time limit is the session's
    signature = re.sub(r" \| (~?[\w.]+\.)?DefaultTimeout\b", "", signature).replace("= DEFAULT_TIMEOUT", "= ...")
    return re.sub(r"(~?fielding_async\.core\.actions\.)StatusAction \| \1Update", r"\1Action", signature), returns


def _resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Node | None:
    """Find the public home of a name that a type hint takes from the module where it is defined."""
    target = str(node.get("reftarget", ""))
    public = _PUBLIC.get(target.rpartition(".")[2])
    if node.get("refdomain") != "py" or public == target:
        return None
    if target == "fielding_async.core.actions.StatusAction":
        public, contnode = _PUBLIC["Action"], nodes.literal("", "Action")
    if public is None:
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, str(node["refdoc"]), app.builder, "obj", public, node, contnode)


def _undocumented(app: Sphinx, env: BuildEnvironment) -> None:
    """Name every public name that is on no page."""
    del app
    from sphinx.util import logging

    documented = env.domains.python_domain.objects
    for home in _HOMES:
        for name in home.__all__:
            if f"{home.__name__}.{name}" not in documented:
                logging.getLogger(__name__).warning("%s.%s is public and on no page", home.__name__, name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it to Sphinx."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("missing-reference", _resolve)
    app.connect("env-check-consistency", _undocumented)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
