"""The filters of lists: checked before anything is sent, and written as query parameters.

An array is a repeated parameter; the API's description names no other style. A filter without a value in it is refused:
sent, it would be no filter at all.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from inspect import iscoroutinefunction
from typing import Any, cast

from fielding_async.core.discovery.projects import ProjectStatus
from fielding_async.core.discovery.target_groups import TargetGroupStatus
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import RunStatus

__all__ = [
    "Params",
    "change_params",
    "check_concurrency",
    "check_where",
    "project_params",
    "run_statuses",
    "target_group_params",
]

Params = tuple[tuple[str, str], ...]
"""The parameters of a query, in their order."""

_MOST_ON_PAGE = 100
_MOST_CHANGES_ON_PAGE = 50
_MOST_SIDE_BY_SIDE = 1000
_LONGEST_SEARCH = 128
_SHORTEST_PROJECT_SEARCH = 5
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_COUNTRY = re.compile(r"[a-z]{2}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{3}", re.ASCII)
_HUMAN_READABLE = re.compile(r"[0-9A-Za-z]{7}", re.ASCII)
_REFERENCE = re.compile(r"[a-zA-Z0-9_ -]{3,128}", re.ASCII)
_CHANGE_TYPE = re.compile(r"[a-z][a-z0-9_]{0,99}", re.ASCII)


def project_params(*, status: str | None, search: str | None, project_manager_id: str | None, page_size: int) -> Params:
    """Return the query of a list of projects; raises `ConfigurationError` for a bad filter."""
    params = [("page_size", _page_size(page_size, _MOST_ON_PAGE))]
    if status is not None:
        params.append(("status", _one_of("status", status, ProjectStatus)))
    if search is not None:
        params.append(("search_string", _search(search, at_least=_SHORTEST_PROJECT_SEARCH)))
    params += _project_manager(project_manager_id)
    return tuple(params)


def target_group_params(
    *,
    status: str | Iterable[str] | None = None,
    status_argument: str = "status",
    search: str | None = None,
    country: str | Iterable[str] | None = None,
    language: str | Iterable[str] | None = None,
    exclusion_status: bool | None = None,
    project_manager_id: str | None = None,
    human_readable_ids: Iterable[str] | None = None,
    target_group_customer_reference_numbers: Iterable[str] | None = None,
    page_size: int = _MOST_ON_PAGE,
) -> Params:
    """Return the query of a list of target groups; raises `ConfigurationError` for a bad filter.

    `status_argument`: what the caller's argument for `status` is called, for messages.
    """
    params: list[tuple[str, str]] = []
    if status is not None:
        checked = _repeated(status_argument, status, lambda name, value: _one_of(name, value, TargetGroupStatus))
        params += [("status", value) for _, value in checked]
    if search is not None:
        params.append(("search_string", _search(search, at_least=1)))
    if country is not None:
        params += _repeated("country", country, _like(_COUNTRY, "two small letters, such as 'us'"))
    if language is not None:
        params += _repeated("language", language, _like(_LANGUAGE, "three small letters, such as 'eng'"))
    if exclusion_status is not None:
        if not isinstance(cast("object", exclusion_status), bool):
            raise ConfigurationError(f"exclusion_status={briefly(exclusion_status)}: must be True or False")
        params.append(("exclusion_status", "true" if exclusion_status else "false"))
    params += _project_manager(project_manager_id)
    ids = {
        "human_readable_ids": _like(_HUMAN_READABLE, "an id of 7 letters and digits"),
        "target_group_customer_reference_numbers": _like(
            _REFERENCE, "3 to 128 letters, digits, blanks, hyphens and underscores"
        ),
    }
    given = {"human_readable_ids": human_readable_ids}
    given["target_group_customer_reference_numbers"] = target_group_customer_reference_numbers
    for name, values in given.items():
        if values is None:
            continue
        if params:
            raise ConfigurationError(
                f"{name}: must be the only filter, as the API defines it: leave out"
                f" {params[0][0].replace('search_string', 'search')}"
            )
        if isinstance(values, str):
            raise ConfigurationError(
                f"{name}={briefly(values)}: must be a collection of str, not one str: pass a list, [text]"
            )
        params += _repeated(name, values, ids[name])
    return (("page_size", _page_size(page_size, _MOST_ON_PAGE)), *params)


def change_params(*, types: str | Iterable[str] | None, page_size: int) -> Params:
    """Return the query of a list of changes; raises `ConfigurationError` for a bad filter."""
    params = [("page_size", _page_size(page_size, _MOST_CHANGES_ON_PAGE))]
    if types is not None:
        params += [
            ("change_types", value)
            for _, value in _repeated("types", types, _like(_CHANGE_TYPE, "a type of change, such as 'status_change'"))
        ]
    return tuple(params)


def run_statuses(status: str | Iterable[str] | None) -> frozenset[str] | None:
    """Return the statuses that a run may have; `None`: any. Raises `ConfigurationError` for one that is not known."""
    if status is None:
        return None
    return frozenset(value for _, value in _repeated("status", status, _run_status))


def _run_status(name: str, value: Any) -> str:
    try:
        return _one_of(name, value, RunStatus)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.message}; use where= for any other text") from None


def check_where(where: object) -> None:
    """Check that a `where=` is a plain callable, or `None`; raises `ConfigurationError`."""
    if where is None:
        return
    if not callable(where):
        raise ConfigurationError(f"where: must be a callable that takes a FoundRun, not {type(where).__name__}")
    if iscoroutinefunction(where) or iscoroutinefunction(getattr(where, "__call__", None)):  # noqa: B004 - of a class
        raise ConfigurationError("where: must be a plain callable, not an async one: fetch in your loop instead")


def check_concurrency(value: Any) -> int:
    """Return the number of requests side by side; raises `ConfigurationError`."""
    if type(value) is not int or not 1 <= value <= _MOST_SIDE_BY_SIDE:
        raise ConfigurationError(f"concurrency={briefly(value)}: must be an int from 1 to {_MOST_SIDE_BY_SIDE}")
    return value


def _page_size(value: Any, most: int) -> str:
    if type(value) is not int or not 1 <= value <= most:
        raise ConfigurationError(f"page_size={briefly(value)}: must be an int from 1 to {most}")
    return str(value)


def _search(value: Any, *, at_least: int) -> str:
    if not isinstance(value, str) or not at_least <= len(value) <= _LONGEST_SEARCH or not value.isprintable():
        raise ConfigurationError(
            f"search={briefly(value, 200)}: must be a str of {at_least} to {_LONGEST_SEARCH} printable characters"
        )
    return str.__str__(value)


def _project_manager(value: Any) -> Params:
    if value is None:
        return ()
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ConfigurationError(f"project_manager_id={briefly(value, 100)}: must be the id of a user, a UUID")
    return (("project_manager_id", str.__str__(value)),)


def _one_of(name: str, value: Any, known: type[StrEnum]) -> str:
    texts = [member.value for member in known]
    if not isinstance(value, str) or value not in texts:
        quoted = ", ".join(f'"{text}"' for text in texts)
        raise ConfigurationError(f"{name}={briefly(value)}: must be one of {quoted}{_meant(value, texts)}")
    return str.__str__(value)


def _meant(value: object, texts: list[str]) -> str:
    found = get_close_matches(value.lower(), texts, 1) if isinstance(value, str) else []
    return f'; did you mean "{found[0]}"?' if found else ""


def _like(pattern: re.Pattern[str], rule: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ConfigurationError(f"{name}={briefly(value, 200)}: must be {rule}")
        return str.__str__(value)

    return check


def _repeated(name: str, values: Any, check: Callable[[str, Any], str]) -> Params:
    """Return a parameter for each of one or more values, in their order, each once."""
    if isinstance(values, str):
        return ((name, check(name, values)),)
    given: object = values
    if isinstance(values, bytes | Mapping) or not isinstance(values, Iterable):
        raise ConfigurationError(f"{name}={briefly(given)}: must be a str, or a collection of str")
    found = dict.fromkeys(
        check(f"{name}[{index}]", value) for index, value in enumerate(cast("Iterable[object]", values))
    )
    if not found:
        raise ConfigurationError(f"{name}: must name at least one value; leave it out to filter by nothing")
    return tuple((name, value) for value in found)
