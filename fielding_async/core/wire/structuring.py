"""Values of attrs classes from JSON, through cattrs: strict about types, lenient about unknown fields.

cattrs is loaded when a session is entered: an import of the package should cost little more than that of aiohttp, and
the first response should not block the event loop.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin

from attrs import has

from fielding_async.core.dates import read_date
from fielding_async.core.errors import ProtocolError

if TYPE_CHECKING:
    import cattrs

__all__ = ["load_cattrs", "structure"]

_T = TypeVar("_T")
_MAX_SHOWN = 500


def _exactly(wanted: type) -> Callable[[Any, Any], Any]:
    """Return a hook that takes a value of one type and coerces nothing (`True` is no int, `5` is no str)."""

    def check(value: Any, _: Any) -> Any:
        if type(value) is not wanted:
            raise ValueError(f"must be {wanted.__name__}, not {type(value).__name__}")
        return value

    return check


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


@cache
def _converter() -> "cattrs.Converter":
    import cattrs
    from cattrs.gen import make_dict_structure_fn

    converter = cattrs.Converter(detailed_validation=True)
    for wanted in (str, int):
        converter.register_structure_hook(wanted, _exactly(wanted))
    converter.register_structure_hook(datetime, _timestamp)
    converter.register_structure_hook_func(lambda kind: kind == dict[str, Any], _object)

    def items(value: Any, kind: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {type(value).__name__}")
        make: Any = get_origin(kind)
        return make(map(converter.structure, value, repeat(get_args(kind)[0])))  # pyright: ignore[reportUnknownArgumentType]

    converter.register_structure_hook_func(_is_sequence, items)

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


def structure(data: Any, cls: type[_T], what: str) -> _T:
    """Return a JSON object as a value of an attrs class; raises `ProtocolError` that names each bad field."""
    if not isinstance(data, dict):
        raise ProtocolError(f"{what}: expected a JSON object, got {type(data).__name__}")
    try:
        return _converter().structure(data, cls)
    except Exception as error:  # noqa: BLE001 - cattrs raises groups and whatever attrs constructors raise
        import cattrs

        problems = "; ".join(cattrs.transform_error(error, path="$", format_exception=_explain))
    raise ProtocolError(f"{what}: {problems[:_MAX_SHOWN]}")
