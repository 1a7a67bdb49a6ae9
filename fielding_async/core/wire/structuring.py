"""Values of attrs classes from JSON, through cattrs: strict about types, lenient about unknown fields.

A field that may be `None` and holds a text, a number or a date is informative: no judgement needs it. One with another
type is `None`, and is reported.

cattrs is loaded when a session is entered: an import of the package should cost little more than that of aiohttp, and
the first response should not block the event loop.
"""

from collections.abc import Callable, Hashable, Iterator
from datetime import datetime
from functools import cache, lru_cache
from itertools import repeat
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from attrs import has

from fielding_async.core.dates import read_date
from fielding_async.core.errors import ProtocolError

if TYPE_CHECKING:
    import cattrs

__all__ = ["Report", "clean_text", "load_cattrs", "structure"]

Report = Callable[[str], None]
"""Called with the path of each field that could not be read and was left out, such as `$.data[].account_id`."""

_T = TypeVar("_T")
_MAX_SHOWN = 500
_PLAIN = (str, int, float, bool, datetime)


def _exactly(wanted: type) -> Callable[[Any, Any], Any]:
    """Return a hook that takes a value of one type and coerces nothing (`True` is no int, `5` is no str)."""

    def check(value: Any, _: Any) -> Any:
        if type(value) is not wanted:
            raise ValueError(f"must be {wanted.__name__}, not {type(value).__name__}")
        return value

    return check


def clean_text(text: str) -> str:
    """Return a text without lone surrogates, which JSON can hold and which no encoding can write."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"must be str, not {type(value).__name__}")
    return clean_text(value)


def _timestamp(value: Any, _: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(f"must be a timestamp, not {type(value).__name__}")
    return read_date(value)[0]


def _object(value: Any, _: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {type(value).__name__}")
    return cast("dict[str, Any]", value)


def _is_sequence(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is list or origin is tuple


@lru_cache(maxsize=64)
def _fields(cls: Hashable) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the fields of an attrs class that are `None` where they cannot be read, and those that may hold more."""
    kinds = get_type_hints(cls)
    informative = tuple(name for name, kind in kinds.items() if _informative_type(kind) is not None)
    more = (name for name, kind in kinds.items() if name not in informative and kind not in _PLAIN)
    return informative, tuple(more)


def _informative_type(kind: Any) -> type | None:
    if not isinstance(kind, UnionType):
        return None
    types = [one for one in get_args(kind) if one is not type(None)]
    return types[0] if len(types) == 1 < len(get_args(kind)) and types[0] in {str, int, datetime} else None


def _class(value: Any) -> Any:
    return value.__class__


def _unread(data: Any, value: Any, path: str) -> Iterator[str]:
    """Yield the paths of the fields that are in `data` and could not be read."""
    if isinstance(value, list | tuple):
        for entry, part in zip(cast("list[Any]", data), cast("list[Any]", value), strict=False):
            yield from _unread(entry, part, f"{path}[]")
    elif has(kind := _class(value)):
        informative, more = _fields(kind)
        for name in informative:
            if getattr(value, name) is None and data.get(name) is not None:
                yield f"{path}.{name}"
        for name in more:
            found = data.get(name)
            if type(found) in {dict, list}:
                yield from _unread(found, getattr(value, name), f"{path}.{name}")


@cache
def _converter() -> "cattrs.Converter":
    import cattrs
    from cattrs.gen import make_dict_structure_fn

    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(datetime, _timestamp)
    converter.register_structure_hook_func(lambda kind: kind == dict[str, Any], _object)

    def items(value: Any, kind: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {type(value).__name__}")
        make: Any = get_origin(kind)
        return make(map(converter.structure, value, repeat(get_args(kind)[0])))  # pyright: ignore[reportUnknownArgumentType]

    converter.register_structure_hook_func(_is_sequence, items)

    def informative(kind: Any) -> Callable[[Any, Any], Any]:
        read = converter.get_structure_hook(_informative_type(kind))

        def hook(value: Any, _: Any) -> Any:
            try:
                return None if value is None else read(value, None)
            except ValueError:
                return None

        return hook

    converter.register_structure_hook_factory(lambda kind: _informative_type(kind) is not None, informative)

    def fields(cls: Any) -> Callable[[Any, Any], Any]:
        build = make_dict_structure_fn(cls, converter)
        return lambda value, kind: build(_object(value, kind), kind)

    converter.register_structure_hook_factory(has, fields)
    return converter


def load_cattrs() -> None:
    """Load cattrs and build the converter, unless that has been done: about 0.1 s, once."""
    _converter()


def _explain(error: BaseException, _: Any) -> str:
    if isinstance(error, KeyError):
        return "required field missing"
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return str(error)
    return f"wrong shape ({type(error).__name__})"


def structure(data: Any, cls: type[_T], what: str, report: Report | None = None) -> _T:
    """Return a JSON object as a value of an attrs class; raises `ProtocolError` that names each bad field.

    `report` is called with the path of each informative field that could not be read.
    """
    if not isinstance(data, dict):
        raise ProtocolError(f"{what}: expected a JSON object, got {type(data).__name__}")
    try:
        value = _converter().structure(data, cls)
        if report is not None:
            for path in _unread(data, value, "$"):
                report(path)
        return value
    except Exception as error:  # noqa: BLE001 - cattrs raises groups and whatever attrs constructors raise
        import cattrs

        problems = "; ".join(cattrs.transform_error(error, path="$", format_exception=_explain))
    raise ProtocolError(f"{what}: {problems[:_MAX_SHOWN]}")
