"""The Fielding Assistants of target groups: what is stored of each, and how it is read and replaced.

Numbers are kept with their digits: while a body is read, each is a text with a mark around it, which no body holds.
"""

import json
import re
from collections import deque
from collections.abc import Callable
from secrets import token_hex
from typing import Any, cast

from attrs import define, frozen

from fielding_async.sandbox.catalog.catalog import Catalog
from fielding_async.sandbox.serving.bound import Bound, Kept
from fielding_async.sandbox.serving.dates import parse
from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.replies import InvalidParams, Reply, error_reply
from fielding_async.sandbox.serving.request_form import PROJECT_ID, Request, RequestForm

from .behaviour import Behaviour

__all__ = ["AssistantState", "AssistantWrite", "Assistants"]

_MODULES = ("pricing", "quota_overlay", "pacing", "soft_launch")
_MARK = token_hex(8)
_NUMBER = re.compile(rf'"{_MARK}([^"]*)"')
_HALF = re.compile("[\ud800-\udfff]")  # of a pair of surrogates, which UTF-8 cannot have alone
_AMOUNT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_WHOLE = re.compile(rf"{_MARK}-?[0-9]+")
_DURATION = re.compile(r"P(?=.)(?:([0-9]+)D)?(?:T(?=.)(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?")
_MOST_DAYS = 398
_WRITE = 512  # bytes of memory of a write beside its text, about
_CHANGED = "The assignment has been modified, or has another ETag than the one in the precondition."

Key = tuple[int, str, str]
"""Account, project and target group."""


@frozen(kw_only=True)
class AssistantState:
    """The assignment of an assistant. Both values are `None` before the first write."""

    __module__ = "fielding_async.sandbox"

    modules: str | None = None
    """The enabled modules, as the text of a JSON object."""
    etag: str | None = None
    """The ETag that a GET shows."""


@frozen(kw_only=True)
class AssistantWrite:
    """One write of an assignment."""

    __module__ = "fielding_async.sandbox"

    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""
    target_group_id: str
    """The target group's id."""
    by_client: bool
    """Whether a request of a client made the write. If not, `Sandbox.touch_assistant` made it."""
    etag_before: str | None
    """The ETag before the write; `None` for the first write."""
    etag_after: str
    """The ETag after the write."""
    modules: str
    """The modules after the write, as the text of a JSON object."""
    request_id: int | None = None
    """The `ReceivedRequest.id` of the request that made the write; `None` for `Sandbox.touch_assistant`."""


@define
class _Stored:
    modules: dict[str, Any]
    version: int = 1


def _marked(text: str) -> str:
    return _MARK + text


def _read(text: str) -> Any:
    return json.loads(text, parse_int=_marked, parse_float=_marked, parse_constant=_marked)


def _written(value: Any) -> str:
    text = _NUMBER.sub(r"\1", json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


class Assistants:
    """The assistants of all target groups."""

    def __init__(self, catalog: Catalog, behaviour: Behaviour, ids: IdGenerator, kept: Kept) -> None:
        self.writes: deque[AssistantWrite] = deque()
        self._bound = Bound(kept)
        self._catalog = catalog
        self._behaviour = behaviour
        self._ids = ids
        self._stored: dict[Key, _Stored] = {}

    def answer(self, request: Request, form: RequestForm) -> tuple[Reply, bool]:
        """Answer a GET or PUT, and say whether it changed something."""
        key = (form.account_id, form.project_id, form.target_group_id)
        if self._catalog.group(*key) is None:
            return error_reply(404, self._ids), False
        if request.operation.kind == "assistant":
            return self._get(key), False
        return self._put(request, key)

    def _etag(self, stored: _Stored | None) -> str | None:
        return None if stored is None else self._behaviour.etag_of(stored.version)

    def _get(self, key: Key) -> Reply:
        stored = self._stored.get(key)
        if stored is None and self._behaviour.assistant_before_first == "404":
            return error_reply(404, self._ids)
        shown: dict[str, Any] = dict.fromkeys(_MODULES) if self._behaviour.assistant_nulls else {}
        shown |= {} if stored is None else stored.modules
        if self._behaviour.assistant_adds_scale:
            shown = _with_scales(shown)
        etag = self._etag(stored)
        headers = (("Content-Type", "application/json"), *((("ETag", etag),) if etag else ()))
        return Reply(200, headers, _written(shown).encode())

    def _put(self, request: Request, key: Key) -> tuple[Reply, bool]:
        modules: dict[str, Any] = _read(request.body.decode())
        if_match, if_none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
        problems = list(_problems(modules))
        if if_match is None and if_none_match is None:
            problems.append(("If-Match", "is missing, and so is If-None-Match"))
        if problems:
            return error_reply(400, self._ids, invalid=tuple(problems)), False
        stored = self._stored.get(key)
        etag = self._etag(stored)
        refused = if_match is not None and (etag is None or if_match not in {etag, "*"})
        refused |= if_none_match is not None and etag is not None and if_none_match in {etag, "*"}
        if refused:
            return error_reply(412, self._ids, detail=_CHANGED), False
        after = self._replace(key, modules, by_client=True, request_id=request.request_id)
        headers = (("ETag", after),) if self._behaviour.assistant_etag_on_write else ()
        return Reply(204, headers), True

    def _replace(self, key: Key, modules: dict[str, Any], *, by_client: bool, request_id: int | None = None) -> str:
        stored = self._stored.get(key)
        before = self._etag(stored)
        enabled = {name: value for name, value in modules.items() if value is not None}
        if stored is None:
            stored = self._stored[key] = _Stored(enabled)
        elif stored.modules != enabled or self._behaviour.assistant_noop_steps_etag:
            stored.modules = enabled
            stored.version += self._behaviour.version_step
        after = self._behaviour.etag_of(stored.version)
        written = _written(enabled)
        for _ in range(self._bound.add(_WRITE + len(written))):
            self.writes.popleft()
        self.writes.append(
            AssistantWrite(
                account_id=key[0],
                project_id=key[1],
                target_group_id=key[2],
                by_client=by_client,
                etag_before=before,
                etag_after=after,
                modules=written,
                request_id=request_id,
            )
        )
        return after

    def state(self, key: Key) -> AssistantState:
        """Return the assignment of a target group."""
        stored = self._stored.get(key)
        modules = None if stored is None else _written(stored.modules)
        return AssistantState(modules=modules, etag=self._etag(stored))

    def replace(self, key: Key, modules: str) -> AssistantState:
        """Replace the assignment as another user. Raises `ValueError` for what is no JSON object, or is not valid."""
        content = _read(modules)
        if not isinstance(content, dict):
            raise ValueError("must be a JSON object")
        problems = _problems(cast("dict[str, Any]", content))
        if problems:
            raise ValueError("; ".join(f"{name} {what}" for name, what in problems))
        self._replace(key, cast("dict[str, Any]", content), by_client=False)
        return self.state(key)


def _with_scales(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    content = {name: _with_scales(part) for name, part in cast("dict[str, Any]", value).items()}
    return content | {"currency_scale": _marked("2")} if {"value", "currency_code"} <= content.keys() else content


# -- what the document says of a module

Check = Callable[[Any], str | None]


def _is_text(pattern: re.Pattern[str], what: str) -> Check:
    return lambda value: None if isinstance(value, str) and pattern.fullmatch(value) else f"must be {what}"


def _is_whole(least: int, most: int) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str) or not _WHOLE.fullmatch(value) or not least <= int(value[len(_MARK) :]) <= most:
            return f"must be a whole number from {least} to {most}"
        return None

    return check


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _money(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be an object"
    content = cast("dict[str, Any]", value)
    checks = {"value": _is_text(_AMOUNT, "a decimal number in a text"), "currency_code": _is_text(_CURRENCY, "a code")}
    found = next((problem for name, check in checks.items() if (problem := check(content.get(name)))), None)
    return found or (_is_whole(0, 10)(content["currency_scale"]) if "currency_scale" in content else None)


def _interval(value: Any) -> str | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or len(match[1] or "") > 3 or int(match[1] or 0) >= _MOST_DAYS:
        return "must be a duration of less than 398 days"
    return None


def _date(value: Any) -> str | None:
    try:
        parse(value)
    except ValueError as problem:
        return str(problem)
    return None


_FORMS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "dynamic": ({}, dict.fromkeys(("total_budget", "maximum_cpi", "minimum_cpi"), _money)),
    "rate_card": ({}, dict.fromkeys(("maximum_cpi", "boost_cpi"), _money)),
    "linear": ({"increment_interval": _interval}, {}),
    "adaptive": ({"increment_interval": _interval}, {}),
    "gemini": ({"exposed_target_group_id": _is_text(PROJECT_ID, "26 characters of 0-9 and A-Z")}, {}),
    "quota_overlay": ({"prevent_overfill": _flag, "balance_fill": _flag}, {}),
    "soft_launch": (
        {
            "end_at": _date,
            "filling_goal_percentage": _is_whole(1, 100),
            "demographics_strictness_percentage": _is_whole(0, 100),
        },
        {},
    ),
}
"""The members that a form of a module needs, and those that it may have."""

_TYPES = {"pricing": {"dynamic", "rate_card"}, "pacing": {"linear", "adaptive", "gemini"}}


def _problems(modules: dict[str, Any]) -> InvalidParams:
    problems: list[tuple[str, str]] = []
    for name in _MODULES:
        value = modules.get(name)
        if value is None and (name not in modules or name in _TYPES):
            continue
        if not isinstance(value, dict):
            problems.append((name, "must be an object"))
            continue
        content = cast("dict[str, Any]", value)
        form = content.get("type") if name in _TYPES else name
        if not isinstance(form, str) or form not in _TYPES.get(name, {name}):
            problems.append((f"{name}.type", f"must be one of {', '.join(sorted(_TYPES[name]))}"))
            continue
        needed, optional = _FORMS[form]
        for member, check in (needed | {key: check for key, check in optional.items() if key in content}).items():
            problem = check(content[member]) if member in content else "is missing"
            if problem:
                problems.append((f"{name}.{member}", problem))
    if modules.get("pricing") is not None and not problems:
        pricing = cast("dict[str, Any]", modules["pricing"])
        if pricing["type"] == "dynamic" and ("total_budget" in pricing) == ("maximum_cpi" in pricing):
            problems.append(("pricing", "must have either total_budget or maximum_cpi"))
    return tuple(problems)
