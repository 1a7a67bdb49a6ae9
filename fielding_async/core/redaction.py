"""Secrets: texts that no `repr` shows, and their removal from what a server or a proxy sent back.

`Redactor` removes secrets from a reply before anything else reads it, so that no text made of it later shows one, even
if it is shortened. A server may have shortened the text itself, so every part of a secret with twelve or more
characters is removed, in any letter case, whether it is plain, percent-encoded or written with escapes of JSON.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from re import compile as pattern
from typing import Any, Self, SupportsIndex, TypeVar, cast, overload
from urllib.parse import quote, unquote

from attrs import evolve, fields, has

__all__ = ["LEFT_OUT", "CleanHeaders", "Redactor", "Secret", "SecretBytes", "Secrets", "without_frames"]

Value = TypeVar("Value")
Other = TypeVar("Other")

LEFT_OUT = "(left out: it shows a secret)"
"""What stands for a header of a reply that shows a secret. It is no ETag, job id or date."""

_LEAST = 8  # characters; a shorter text is no secret: removing it would garble every message
_PART = 12  # characters; a part of a secret that is this long is removed
_GRAM, _STEP = 6, 7  # a part of 12 characters covers a whole gram of 6 at one of any 7 positions in a row
_RECENT = 3  # tokens that calls under way may still use
_LONGEST = 64 * 1024  # characters; a longer text that shows a secret is left out as a whole
_CODED = pattern(r"(?s:%[0-9A-Fa-f]{2}|.)")
_SLICES = tuple(slice(at, at + _GRAM) for at in range(0, 1000 * _STEP, _STEP))
_SMALL = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class Secret(str):
    """A text that is sent and never shown: its `repr`, and that of a part of it, is `'***'`.

    Tracebacks that show local variables call `repr`, and some of them cut the text first.
    """

    __slots__ = ()

    @overload
    @classmethod
    def of(cls, value: str) -> "Secret": ...

    @overload
    @classmethod
    def of(cls, value: Other) -> "Other | Secret": ...

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return a `Secret` for a text; any other value as it is."""
        return cls(value) if isinstance(value, str) else value

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
        found = cast("bytes | int", super().__getitem__(key))
        return type(self)(found) if isinstance(found, bytes) else found


class Redactor:
    """Takes secrets out of texts and replies. It is made once for a set of secrets, and is quick where none is shown.

    A secret of fewer than eight characters is ignored.
    """

    __slots__ = ("_grams", "_parts", "_short", "shortest")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._parts: dict[int, set[str]] = {}
        self._grams: set[str] = set()
        self._short: list[str] = []
        for text in {form for secret in secrets if len(secret) >= _LEAST for form in _forms(secret)}:
            size = min(len(text), _PART)
            self._parts.setdefault(size, set()).update(text[at : at + size] for at in range(len(text) - size + 1))
            if size < _PART:
                self._short.append(text)
            else:
                self._grams.update(text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1))
        self.shortest: int = min(self._parts, default=_PART)
        """A text with fewer characters shows nothing."""

    def shows(self, text: str) -> bool:
        """Whether a text shows a secret, or a part of one."""
        return self._may_show(text.lower()) and self.text(text) != text

    def _may_show(self, low: str) -> bool:
        # for every reply: no Python code runs for each gram
        size = len(low)
        count = (size - _GRAM + _STEP) // _STEP
        found = (
            _SLICES[:count]
            if count <= len(_SLICES)
            else map(slice, range(0, size, _STEP), range(_GRAM, size + 1, _STEP))
        )
        if not self._grams.isdisjoint(map(low.__getitem__, found)):
            return True
        return bool(self._short) and any(text in low for text in self._short)

    def text(self, text: str) -> str:
        """Return a text with `***` in place of secrets, or the text itself if none is in it."""
        if len(text) < _LEAST:
            return text
        if self._may_show(text.lower()):
            if len(text) > _LONGEST:
                return "***"
            low = text.lower()
            text = self._without(text, low if len(low) == len(text) else text.translate(_SMALL), None)
        if "%" in text and len(text) <= _LONGEST and self._may_show(unquote(text, "latin-1").lower()):
            units = cast("list[str]", _CODED.findall(text))
            plain = "".join([unquote(unit, "latin-1") for unit in units]).translate(_SMALL)
            text = self._without(text, plain, units)
        return text

    def _without(self, text: str, low: str, units: list[str] | None) -> str:
        """Return `text` without the parts that `low` shows: the same text in small letters.

        `units`: the text in pieces, one for each character of `low`; `None`: it is not coded.
        """
        spans: list[tuple[int, int]] = []
        for size, parts in self._parts.items():
            spans += [(at, at + size) for at in range(len(low) - size + 1) if low[at : at + size] in parts]
        if not spans:
            return text
        pieces: list[str] = []
        whole: str | list[str] = text if units is None else units
        end = 0
        is_first = True
        for start, stop in sorted(spans):
            if is_first or start > end:
                pieces += [*whole[end:start], "***"]
                is_first = False
            end = max(end, stop)
        return "".join([*pieces, *whole[end:]])

    def body(self, body: bytes) -> bytes:
        """Return the body of a reply without secrets, or the body itself if none is in it."""
        if not body or not self._parts:
            return body
        low = body.lower().decode("latin-1")
        # a NUL: JSON may be UTF-16 or UTF-32
        if not (b"\\" in body or b"%" in body or b"\0" in body or self._may_show(low)):
            return body
        try:
            data = json.loads(body)
        except ValueError:
            return self.text(body.decode("latin-1")).encode("latin-1")
        except RecursionError:
            return b'"***"'
        try:
            clean = self._json(data)
            return body if clean is data else json.dumps(clean).encode()
        except (RecursionError, ValueError):
            return b'"***"'

    def _json(self, data: Any) -> Any:
        """Return a value of JSON without secrets, or the value itself."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, list):
            return self._list(data)
        if isinstance(data, dict):
            return self._object(cast("dict[str, Any]", data))
        if isinstance(data, int) and abs(data) >= 10 ** (_LEAST - 1) and self.shows(str(data)):
            return "***"
        return data

    def _list(self, found: Any) -> Any:
        items: list[Any] = found
        cleaned = [self._json(item) for item in items]
        return cleaned if any(new is not old for new, old in zip(cleaned, items, strict=True)) else items

    def _object(self, pairs: dict[str, Any]) -> dict[str, Any]:
        found = [(self.text(name), self._json(value)) for name, value in pairs.items()]
        is_clean = all(new is old and name is key for (name, new), (key, old) in zip(found, pairs.items(), strict=True))
        return pairs if is_clean else dict(found)

    def value(self, value: Value) -> Value:
        """Return a value without secrets, or the value itself if none is in it.

        Texts are searched, and so are the members of tuples and the fields of attrs values.
        """
        found: Any = value
        if isinstance(found, str):
            return cast("Value", self.text(found))
        if isinstance(found, tuple):
            members = cast("tuple[Any, ...]", value)
            cleaned = tuple(self.value(member) for member in members)
            is_clean = all(new is old for new, old in zip(cleaned, members, strict=True))
            return value if is_clean else cast("Value", cleaned)
        kind: Any = value.__class__
        if not has(kind):
            return value
        changed: dict[str, Any] = {}
        for one in fields(kind):
            old: Any = getattr(found, one.name)
            new = self.value(old)
            if new is not old:
                changed[one.alias] = new
        return cast("Value", evolve(found, **changed)) if changed else value


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may come back, in small letters."""
    low = secret.translate(_SMALL)
    yield low
    yield quote(low, safe="").translate(_SMALL)
    yield json.dumps(low)[1:-1]


class CleanHeaders(Mapping[str, str]):
    """The headers of a reply: one that shows a secret is `LEFT_OUT`. Each is looked through when it is read."""

    __slots__ = ("_headers", "_redactor")

    def __init__(self, headers: Mapping[str, str], redactor: Redactor) -> None:
        self._headers = headers
        self._redactor = redactor

    def __getitem__(self, name: str) -> str:
        return self._clean(self._headers[name])

    def _clean(self, value: str) -> str:
        return value if self._redactor.text(value) is value else LEFT_OUT

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, /, default: str) -> str: ...

    @overload
    def get(self, key: str, /, default: Other) -> "str | Other": ...

    def get(self, key: str, /, default: Any = None) -> Any:
        """Return the value of a header, or the default."""
        value = self._headers.get(key)
        if value is None:
            return default
        return value if len(value) < _LEAST else self._clean(value)

    def pairs(self) -> list[tuple[str, str]]:
        """Return all names and values, a name as often as it came."""
        return [(self._redactor.text(name), self._clean(value)) for name, value in self._headers.items()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"


class Secrets:
    """The secrets of one session: those that stay, such as a password, and the latest tokens."""

    __slots__ = ("_kept", "_recent", "redactor")

    def __init__(self) -> None:
        self._kept: dict[str, None] = {}
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self.redactor: Redactor = Redactor()
        """Removes these secrets. A change of the secrets makes a new one."""

    def keep(self, *texts: str) -> None:
        """Add secrets that stay for as long as the session."""
        self._kept.update(dict.fromkeys(map(Secret, texts)))
        self.redactor = Redactor([*self._kept, *self._recent])

    def renewed(self, token: str) -> None:
        """Add the token that is used from now on. Calls in progress may still show the ones before."""
        if token not in self._recent:
            self._recent.append(Secret(token))
            self.redactor = Redactor([*self._kept, *self._recent])


def without_frames(error: BaseException) -> BaseException:
    """Return an exception without its traceback so far: its frames hold replies as they came."""
    error.__context__ = None
    return error.with_traceback(None)
