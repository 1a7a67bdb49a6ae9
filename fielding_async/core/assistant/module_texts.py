"""Modules from JSON texts, and back."""

from typing import Any, TypeVar, cast

from attrs import fields

from .exact_json import dump, load, members, object_text
from .member_codecs import CODEC, SOURCE, Codec, members_of, still_says
from .modules import KINDS, Module, OtherModule

__all__ = ["module_text", "read_module"]

_T = TypeVar("_T")


def read_module(name: str, text: str) -> Module | None:
    """Return the module of a member of an assignment, `None` for null. What does not fit is an `OtherModule`."""
    value = load(text)
    if value is None:
        return None
    found: dict[str, str] = {}
    if isinstance(value, dict):
        try:
            found = members(text)
        except ValueError:
            return OtherModule(name, text)  # it names a member twice
    kind = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
    for cls in KINDS.get(name, ()):
        if cls.kind is None or cls.kind == kind:
            try:
                return cast("Module", _structured(cls, text, found))
            except (ValueError, LookupError, TypeError):  # ConfigurationError is a ValueError
                break
    return OtherModule(name, text)


def _structured(cls: type[_T], text: str, found: dict[str, str]) -> _T:
    values: dict[str, Any] = {}
    for attribute in fields(cast("Any", cls)):
        codec: Codec | None = attribute.metadata.get(CODEC)
        if codec is not None and attribute.name in found:
            part = found[attribute.name]
            values[attribute.name] = None if part == "null" else codec.read(part)
    return cls(**values, **{SOURCE: text})


def module_text(module: Module) -> str:
    """Return the JSON text of a module: as it was read, with what the caller has changed since."""
    if isinstance(module, OtherModule):
        return module.text
    found = members_of(module._source)  # pyright: ignore[reportPrivateUsage]
    if module.kind is not None and "type" not in found:
        found = {"type": dump(module.kind), **found}
    for attribute in fields(type(module)):
        codec: Codec | None = attribute.metadata.get(CODEC)
        if codec is None:
            continue
        name, value = attribute.name, getattr(module, attribute.name)
        old = found.get(name)
        if value is None:
            if old not in {None, "null"}:
                del found[name]
        elif old is None or not still_says(old, codec, value):
            found[name] = codec.write(value, old)
    return object_text(found)
