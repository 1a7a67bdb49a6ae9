"""What the stages of a run of Schemathesis have in common: their settings, and what they count."""

from collections import Counter, defaultdict
from typing import Any, ClassVar

from fielding_async.sandbox import Sandbox
from fielding_async.sandbox.serving.routes import OPERATIONS

__all__ = ["ASTRAY", "NAMES", "TOKEN", "VERSION", "Counts", "is_positive", "name_of", "phase_of"]

TOKEN = "the-token-of-the-fuzzer"
VERSION = "2025-12-18"
ASTRAY = 8  # one example in so many is left as it was generated, so that ids of nothing and stale ETags occur as well

NAMES = {(row.method, row.template.removeprefix("/v1")): row.name for row in OPERATIONS}


class Counts:
    """A stage prepares what a request is about, and counts what came of it."""

    configuration: ClassVar[str] = "schemathesis.toml"

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.calls: Counter[str] = Counter()
        self.statuses: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self.failures: dict[str, set[str]] = defaultdict(set)

    def prepare(self, case: Any) -> None:
        """Lead a request to what exists, where nothing of the kind was negated on purpose."""
        raise NotImplementedError

    def is_known(self, case: Any, failure: Any, response: Any) -> bool:
        """Return whether what a check has found is a listed difference that cannot be seen to in another way."""
        return False

    def note_reply(self, case: Any, status: int) -> None:
        """Count a reply."""
        self.statuses[name_of(case)][phase_of(case)][str(status)] += 1

    def note_failure(self, case: Any, failure: Any) -> None:
        """Note what a check has found."""
        self.failures[type(failure).__name__].add(name_of(case))


def name_of(case: Any) -> str:
    """Return the name of the operation that a request is for."""
    return NAMES[case.operation.method.upper(), case.operation.path]


def phase_of(case: Any) -> str:
    """Return the phase that a request was generated in."""
    # the attribute without underscore would judge the case anew
    return "none" if case._meta is None else str(case._meta.phase.name.value).lower()


def is_positive(case: Any, place: str) -> bool:
    """Return whether what a request has in a place (`"path"`, `"query"`, …) was generated to be valid."""
    if case._meta is None:
        return True
    modes = {location.value: info.mode for location, info in case._meta.components.items()}
    return place not in modes or modes[place].is_positive
