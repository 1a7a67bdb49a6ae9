"""Secrets: texts that no `repr` shows, and their removal from values that a server or a proxy sent back."""

from typing import Any, Self, SupportsIndex, TypeVar, cast

from attrs import evolve, fields, has

__all__ = ["Secret", "SecretBytes", "without"]

Value = TypeVar("Value")


class Secret(str):
    """A text that is sent and never shown: its `repr`, and that of a part of it, is `'***'`.

    Tracebacks that show local variables call `repr`, and some of them cut the text first.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, key: SupportsIndex | slice) -> Self:
        return type(self)(super().__getitem__(key))


class SecretBytes(bytes):
    """Bytes that are sent and never shown, as `Secret`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"

    def __getitem__(self, key: Any) -> Any:
        found = cast("Any", super().__getitem__(key))
        return type(self)(found) if isinstance(key, slice) else found


def without(secret: str, value: Value) -> Value:
    """Return a value with `***` in place of a secret, or the value itself if the secret is not in it.

    Texts are searched, and so are the members of tuples and the fields of attrs values.
    """
    found: Any = value
    if isinstance(found, str):
        return cast("Value", found.replace(secret, "***")) if secret in found else value
    if isinstance(found, tuple):
        members = cast("tuple[Any, ...]", value)
        cleaned = tuple(without(secret, member) for member in members)
        is_clean = all(new is old for new, old in zip(cleaned, members, strict=True))
        return value if is_clean else cast("Value", cleaned)
    kind: Any = value.__class__
    if not has(kind):
        return value
    changed: dict[str, Any] = {}
    for one in fields(kind):
        old: Any = getattr(found, one.name)
        new = without(secret, old)
        if new is not old:
            changed[one.alias] = new
    return cast("Value", evolve(found, **changed)) if changed else value
