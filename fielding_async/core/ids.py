"""Checks on the ids that callers pass, before anything is sent."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeGuard

from .errors import ConfigurationError, briefly
from .models import RunRef

__all__ = [
    "check_account_id",
    "check_idempotency_key",
    "check_kind",
    "check_parents",
    "check_plain_id",
    "check_ref",
    "check_target_group_ids",
    "check_ulid",
    "is_plain_id",
    "is_ulid",
]

_MAX_ACCOUNT_ID = 2**31 - 1
_ULID = re.compile(r"[0-9A-Z]{26}", re.ASCII)
_IN_PATH = re.compile(r"[^/?#\\%\s\x00-\x20\x7f-\x9f]+")
_PLAIN = re.compile(r"[0-9A-Z]{26}/[0-9A-Z]{26}/[A-Za-z0-9_-]+", re.ASCII)  # the three texts of most refs, joined
_KINDS = (RunRef, int, str, str, str)
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?", re.ASCII)


def check_account_id(value: Any) -> int:
    """Return `value` if it is an account id (int32, not negative); raises `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_ACCOUNT_ID:
        hint = ""
        if isinstance(value, str):
            hint = ": pass the number, int(…)" if value.isdecimal() else ": the account comes before the project"
        raise ConfigurationError(f"account_id={briefly(value)}: must be an int from 0 to {_MAX_ACCOUNT_ID}{hint}")
    return value


def is_ulid(value: object) -> TypeGuard[str]:
    """Whether a value can be a project or target group id: 26 characters out of 0-9 and A-Z."""
    return isinstance(value, str) and _ULID.fullmatch(value) is not None


def check_ulid(name: str, value: Any) -> str:
    """Return `value` if it is a project or target group id (26 of 0-9 A-Z); raises `ConfigurationError`."""
    if not isinstance(value, str) or not _ULID.fullmatch(value):
        hint = f": pass its .{name.partition('[')[0].removesuffix('s')}" if hasattr(value, "target_group_id") else ""
        if isinstance(value, str) and _ULID.fullmatch(value.upper()):
            hint = ": write its letters as capitals"
        raise ConfigurationError(f"{name}={briefly(value)}: must be a str of 26 characters out of 0-9 and A-Z{hint}")
    return str.__str__(value)  # a plain str, also for a member of an enumeration


def is_plain_id(value: str) -> bool:
    """Whether a text can be one segment of a path without being encoded."""
    return bool(_IN_PATH.fullmatch(value)) and value not in {".", ".."} and value.isprintable()


def check_plain_id(name: str, value: Any) -> str:
    """Return `value` if it is a run or job id that can be in a path as it is; raises `ConfigurationError`."""
    if not isinstance(value, str) or not is_plain_id(value):
        raise ConfigurationError(
            f"{name}={briefly(value)}: must be a non-empty str without / ? # \\ %, whitespace or control characters,"
            " and not '.' or '..'"
        )
    return str.__str__(value)


def check_ref(ref: RunRef) -> RunRef:
    """Return `ref` if its four ids are well-formed, as a plain `RunRef` of plain ids; raises `ConfigurationError`.

    A ref of a subclass, which may hold more than the ids, would not equal another ref of the same run.
    """
    if type(ref) is RunRef and type(ref.account_id) is int:  # otherwise it may equal one whose ids are of other types
        try:
            return _checked(ref)
        except TypeError:
            pass  # an id that has no hash is none
    return _check_ref(ref)


@lru_cache(maxsize=4096)  # a handle is made for every call
def _checked(ref: RunRef) -> RunRef:
    return _check_ref(ref)


def _check_ref(ref: RunRef) -> RunRef:
    check_account_id(ref.account_id)
    texts = (ref.project_id, ref.target_group_id, ref.fielding_run_id)
    kinds = (type(ref), type(ref.account_id), *map(type, texts))
    if kinds == _KINDS and _PLAIN.fullmatch("/".join(texts)):
        return ref  # one match instead of three: this is done for every handle
    return RunRef(
        int(ref.account_id),
        check_ulid("project_id", ref.project_id),
        check_ulid("target_group_id", ref.target_group_id),
        check_plain_id("fielding_run_id", ref.fielding_run_id),
    )


def check_parents(account_id: Any, project_id: Any, *target_group_id: Any) -> dict[str, Any]:
    """Return the ids of what a job belongs to, by name; raises `ConfigurationError` for a bad one."""
    ids = {"account_id": check_account_id(account_id), "project_id": check_ulid("project_id", project_id)}
    for value in target_group_id:
        ids["target_group_id"] = check_ulid("target_group_id", value)
    return ids


def check_kind(kind: object, *kinds: str) -> None:
    """Check that a `kind=` is one of these; raises `ConfigurationError`."""
    if kind not in kinds:
        quoted = [f'"{known}"' for known in kinds]
        raise ConfigurationError(f"kind={briefly(kind)}: must be {', '.join(quoted[:-1])} or {quoted[-1]}")


def check_target_group_ids(value: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of a bulk job: at least one, each well-formed, none twice; raises `ConfigurationError`."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        kind = type(value).__name__
        hint = ": pass a list, [id]" if isinstance(value, str) else ""
        raise ConfigurationError(
            f"target_group_ids={briefly(value)}: must be a collection of ids, not one {kind}{hint}"
        )
    ids = tuple(check_ulid(f"target_group_ids[{index}]", entry) for index, entry in enumerate(value))
    if not ids:
        raise ConfigurationError("target_group_ids=(): must name at least one target group")
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(entry for entry in ids if entry in seen or seen.add(entry))  # type: ignore[func-returns-value]
        raise ConfigurationError(f"target_group_ids: must name each id once: {twice!r} is named more than once")
    return ids


def check_idempotency_key(value: Any) -> str:
    """Return `value` if it can be sent as an `Idempotency-Key`; raises `ConfigurationError`."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ConfigurationError(
            f"idempotency_key={briefly(value)}: must be a str of 1 to 255 printable ASCII characters, not padded"
            " with spaces"
        )
    return value
