"""The endpoints of the control door: each takes checked values of a JSON object or a query, and returns JSON."""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from attrs import asdict

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.faults.values import Fault
from fielding_async.sandbox.serving import checks
from fielding_async.sandbox.world.records import JobFailure

from .controlled import Controlled, View
from .fault_forms import fault_from_json, instant
from .json_forms import job_object, request_object, write_object

__all__ = ["Endpoints", "NoSuchRunError"]

_MOST_SHOWN = 1000
_MOST_ADDED = 10_000  # at a time
_RUN = ("status", "account_id", "project_id", "target_group_id", "fielding_run_id", "version", "goal_reached")
_DATES = ("start_fielding_at", "end_fielding_at")
_IDS = ("account_id", "project_id", "target_group_id")


class NoSuchRunError(LookupError):
    """The sandbox has no such run."""


class Endpoints:
    """What can be asked of a sandbox from outside."""

    def __init__(self, sandbox: Controlled, view: View) -> None:
        self._sandbox, self._view = sandbox, view

    def table(self) -> dict[str, dict[str, Callable[[Mapping[str, Any]], Any]]]:
        """Return the endpoints by name and method."""
        return {
            "": {"GET": self.state},
            "projects": {"GET": self.projects},
            "runs": {"GET": self.runs, "POST": self.add_runs},
            "drafts": {"POST": self.add_draft},
            "touch": {"POST": self.touch},
            "pause-by-exchange": {"POST": self.pause_by_exchange},
            "faults": {"GET": self.faults, "POST": self.script, "DELETE": self.clear_faults},
            "release": {"POST": self.release},
            "clock": {"GET": self.clock, "POST": self.advance},
            "rate-limit": {"PUT": self.rate_limit},
            "in-flight-limit": {"PUT": self.in_flight_limit},
            "latency": {"PUT": self.latency},
            "expire-tokens": {"POST": self.expire_tokens},
            "history": {"GET": self.history},
            "requests": {"GET": self.requests},
            "jobs": {"GET": self.jobs},
            "failures": {"GET": self.failures},
        }

    # Reading

    def state(self, given: Mapping[str, Any]) -> Any:
        _only("state", given)
        return self._view.state()

    def projects(self, given: Mapping[str, Any]) -> Any:
        _only("projects", given)
        return {"projects": self._view.projects()}

    def runs(self, given: Mapping[str, Any]) -> Any:
        _only("runs", given, "project_id", "status", "offset", "limit")
        if "status" in given:
            checks.one_of("runs", "status", given["status"], list(map(str, RunStatus)))
        offset = _number("runs", given, "offset", 0, 10**9, 0)
        return self._view.runs(given.get("project_id"), given.get("status"), offset, _limit("runs", given))

    def faults(self, given: Mapping[str, Any]) -> Any:
        _only("faults", given)
        return {"unused": [repr(fault) for fault in self._sandbox.unused_faults]}

    def clock(self, given: Mapping[str, Any]) -> Any:
        _only("clock", given)
        return {"now": self._view.state()["now"]}

    def history(self, given: Mapping[str, Any]) -> Any:
        _only("history", given, "after", "limit")
        after = _number("history", given, "after", 0, 10**15, 0)
        return {"writes": [write_object(write) for write in self._view.writes_after(after, _limit("history", given))]}

    def requests(self, given: Mapping[str, Any]) -> Any:
        _only("requests", given, "after", "limit")
        after = _number("requests", given, "after", 0, 10**15, 0)
        found = self._view.requests_after(after, _limit("requests", given))
        return {"requests": [request_object(request) for request in found]}

    def jobs(self, given: Mapping[str, Any]) -> Any:
        _only("jobs", given)
        return {"jobs": [job_object(job) for job in self._sandbox.jobs[-_MOST_SHOWN:]]}

    def failures(self, given: Mapping[str, Any]) -> Any:
        _only("failures", given)
        return {"failures": [f"{type(error).__name__}: {error}" for error in self._sandbox.failures]}

    # Adding and changing

    def add_runs(self, given: Mapping[str, Any]) -> Any:
        _only("runs", given, "count", *_RUN, *_DATES)
        count = given.get("count", 1)
        checks.whole("runs", "count", count, 1, _MOST_ADDED)
        if count > 1 and ("target_group_id" in given or "fielding_run_id" in given):
            raise ConfigurationError("runs(count=…): must be 1 if target_group_id or fielding_run_id is given")
        named = _with_dates("runs", {name: value for name, value in given.items() if name != "count"})
        status = named.pop("status", "scheduled")
        refs = [self._sandbox.add_run(status, **named) for _ in range(count)]
        return {"runs": [{"ref": str(ref), **asdict(ref)} for ref in refs]}

    def add_draft(self, given: Mapping[str, Any]) -> Any:
        _only("drafts", given, "failure", *_IDS)
        named = dict(given)
        if named.get("failure") is not None:
            failure = cast("dict[str, Any]", named["failure"]) if isinstance(named["failure"], dict) else {}
            if set(failure) != {"code", "description"}:
                raise ConfigurationError("drafts(failure=…): must be an object with code and description")
            named["failure"] = JobFailure(**failure)
        return asdict(self._sandbox.add_draft(**named))

    def touch(self, given: Mapping[str, Any]) -> Any:
        _only("touch", given, "ref", "status", *_DATES)
        ref = self._ref("touch", given)
        self._sandbox.touch(ref, **_without_ref(_with_dates("touch", given)))
        return self._view.run(ref)

    def pause_by_exchange(self, given: Mapping[str, Any]) -> Any:
        _only("pause-by-exchange", given, "ref", "after", "requests", "reason")
        ref = self._ref("pause-by-exchange", given)
        self._sandbox.pause_by_exchange(ref, **_without_ref(given))
        return self._view.run(ref)

    def script(self, given: Mapping[str, Any]) -> Any:
        _only("faults", given, "faults", "on", "ref")
        listed = given.get("faults")
        if not isinstance(listed, list) or not listed:
            raise ConfigurationError("faults(faults=…): must be an array of faults; an array in it is for one request")
        entries: list[Fault | tuple[Fault, ...]] = []
        for entry in cast("list[object]", listed):
            together = cast("list[object]", entry) if isinstance(entry, list) else None
            entries.append(fault_from_json(entry) if together is None else tuple(map(fault_from_json, together)))
        ref = None if given.get("ref") is None else self._ref("faults", given)
        self._sandbox.script(*entries, on=given.get("on"), ref=ref)
        return self.faults({})

    def clear_faults(self, given: Mapping[str, Any]) -> Any:
        _only("faults", given)
        self._sandbox.clear_faults()
        return self.faults({})

    def release(self, given: Mapping[str, Any]) -> Any:
        _only("release", given)
        return {"released": self._sandbox.release_holds()}

    def advance(self, given: Mapping[str, Any]) -> Any:
        _only("clock", given, "advance")
        self._sandbox.advance(checks.seconds("clock", "advance", given.get("advance")))
        return self.clock({})

    def rate_limit(self, given: Mapping[str, Any]) -> Any:
        _only("rate-limit", given, "per_second", "kind", "burst", "retry_after", "window")
        named = dict(given)
        self._sandbox.rate_limit(_given("rate-limit", named, "per_second"), **named)
        return self._view.state()

    def in_flight_limit(self, given: Mapping[str, Any]) -> Any:
        _only("in-flight-limit", given, "requests", "retry_after")
        named = dict(given)
        self._sandbox.in_flight_limit(_given("in-flight-limit", named, "requests"), **named)
        return self._view.state()

    def latency(self, given: Mapping[str, Any]) -> Any:
        _only("latency", given, "seconds", "jitter")
        named = dict(given)
        self._sandbox.latency(_given("latency", named, "seconds"), **named)
        return self._view.state()

    def expire_tokens(self, given: Mapping[str, Any]) -> Any:
        _only("expire-tokens", given)
        self._sandbox.expire_tokens()
        return {}

    def _ref(self, call: str, given: Mapping[str, Any]) -> RunRef:
        text = given.get("ref")
        if not isinstance(text, str):
            raise checks.wrong(call, "ref", text, "a run: account/project/target_group/run")
        ref = RunRef.parse(text)
        if self._view.run(ref) is None:
            raise NoSuchRunError(f"There is no run {text[:200]}.")
        return ref


def _only(call: str, given: Mapping[str, Any], *names: str) -> None:
    for name in given:
        if name not in names:
            hint = checks.did_you_mean(name, names) or (f"it takes {', '.join(names)}" if names else "it takes none")
            raise ConfigurationError(f"{call}({name[:60]}=…): must not be passed, as there is no such argument; {hint}")


def _given(call: str, named: dict[str, Any], name: str) -> Any:
    if name not in named:
        raise ConfigurationError(f"{call}({name}=…): must be given; null removes the limit")
    return named.pop(name)


def _number(call: str, given: Mapping[str, Any], name: str, least: int, most: int, otherwise: int) -> int:
    text = given.get(name, "")
    if name in given and not re.fullmatch(r"[0-9]{1,16}", text):
        raise checks.wrong(call, name, text, f"a whole number from {least} to {most}")
    return int(checks.whole(call, name, int(text) if text else otherwise, least, most))


def _limit(call: str, given: Mapping[str, Any]) -> int:
    return _number(call, given, "limit", 1, _MOST_SHOWN, 100)


def _with_dates(call: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: instant(call, name, value) if name in _DATES else value for name, value in given.items()}


def _without_ref(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "ref"}
