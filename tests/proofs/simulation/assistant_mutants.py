"""Bugs of assistants, put in on purpose, beside those of every resource in `mutants`."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from attrs import evolve

from fielding_async import FieldingAssistant
from fielding_async.core.assistant.assignment import assistant_body, decode_assistant
from fielding_async.core.conflict import assistant_resource, judgement
from fielding_async.core.conflict.assistant_resource import ASSISTANTS
from fielding_async.core.conflict.etag_memory import ETagMemory
from fielding_async.core.wire import assistant_requests
from fielding_async.core.wire.requests import Request

from .mutants import Mutant

__all__ = ["ASSISTANT_MUTANTS"]


@contextmanager
def value_applied_again_after_a_412() -> Generator[None]:
    """A whole value is sent again under the fresh ETag."""
    with patch.object(judgement, "_must_be_refused", lambda _: False):
        yield


@contextmanager
def changed_etag_as_proof() -> Generator[None]:
    """After a lost reply another ETag, with other modules, is taken for proof that nothing was applied."""
    with (
        patch.object(type(ASSISTANTS), "proves_not_applied", staticmethod(lambda *_: True)),
        patch.object(type(ASSISTANTS), "is_overtaken", staticmethod(lambda *_: False)),
    ):
        yield


@contextmanager
def unknown_module_dropped() -> Generator[None]:
    """A module of a name that is not known is left out."""
    original = decode_assistant

    def decode(body: bytes, etag: str | None) -> FieldingAssistant:
        found = original(body, etag)
        return evolve(found, others=tuple(module for module in found.others if module.name != "quality"))

    with patch.object(assistant_resource, "decode_assistant", decode):
        yield


@contextmanager
def numbers_as_floats() -> Generator[None]:
    """Numbers are read as floats and written anew."""
    original = assistant_body

    def body(assistant: FieldingAssistant) -> bytes:
        return json.dumps(json.loads(original(assistant))).encode()

    with patch.object(assistant_requests, "assistant_body", body):
        yield


@contextmanager
def pair_kept_after_a_204() -> Generator[None]:
    """What was sent is kept under the ETag that it was sent under."""
    original = ETagMemory.write_accepted

    def write_accepted(self: ETagMemory, ref: Any, base: Any, after: Any, *, has_changed: bool = True) -> None:
        original(self, ref, base, base if after is None else after, has_changed=has_changed)

    with patch.object(ETagMemory, "write_accepted", write_accepted):
        yield


@contextmanager
def creation_without_a_condition() -> Generator[None]:
    """Where there is none yet, the write goes under `If-Match: *`: whatever there is by then."""
    original = Request

    def request(row: Any, path: str, headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None) -> Any:
        kept = tuple(("If-Match", "*") if header == ("If-None-Match", "*") else header for header in headers)
        return original(row, path, kept, body)

    with patch.object(assistant_requests, "Request", request):
        yield


ASSISTANT_MUTANTS: dict[str, tuple[Mutant, str]] = {
    mutant.__name__: (mutant, breach)
    for mutant, breach in (
        (value_applied_again_after_a_412, "(d)"),
        (changed_etag_as_proof, "(i)"),
        (unknown_module_dropped, "(d)"),
        (numbers_as_floats, "(d)"),
        (pair_kept_after_a_204, "(p)"),
        (creation_without_a_condition, "(p)"),
    )
}
"""Each bug by name, and the invariant that must catch it."""
