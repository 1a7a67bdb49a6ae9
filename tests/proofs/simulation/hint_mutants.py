"""Bugs of hints, put in on purpose: what a client would do that takes a hint for what a GET shows."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from attrs import evolve

from fielding_async import FieldingRun
from fielding_async.core.conflict import hinting, judgement
from fielding_async.core.conflict.judgement import Situation
from fielding_async.core.conflict.verdicts import Finish, Send
from fielding_async.core.conflict.write_record import WriteRecord
from fielding_async.engine.fetch import BoundedHints
from fielding_async.engine.writing import hinted, write_call

from .mutants import Mutant

__all__ = ["HINT_MUTANTS"]

_USABLE = "fielding_async.engine.writing.hinted.usable_etag"


@contextmanager
def hint_founds_already() -> Generator[None]:
    """An action that a hint fulfils is done, without a GET."""
    original = hinted.send_under_hint

    async def send(hints: BoundedHints, writes: WriteRecord, action: Any, deadline: float | None) -> Any:
        hint = await hints.get(writes.ref, deadline)
        if isinstance(hint, FieldingRun) and action.is_there(hint):
            writes.fresh = hint
            return Finish("already", action)
        return await original(hints, writes, action, deadline)

    with patch.object(write_call, "send_under_hint", send):
        yield


@contextmanager
def hint_as_proof() -> Generator[None]:
    """A hint is judged as a run that was read: its version and status are proof, and an ETag refused is past."""
    original = hinting.usable_etag
    hints: dict[str, FieldingRun] = {}

    def usable_etag(memory: Any, ref: Any, order: Any, hint: object) -> str | None:
        etag = original(memory, ref, order, hint)
        if etag is not None and isinstance(hint, FieldingRun):
            hints[etag] = hint
        return etag

    def under_hint(self: WriteRecord, etag: str, order: Any) -> Send:
        ref: Any = self.ref
        bare = hinting.bare_run(ref, etag)
        hint = hints.get(etag, bare)
        self.fresh = self.bare = evolve(bare, version=hint.version, status=hint.status)
        return Send(order)

    judged = judgement.judge

    def judge(situation: Situation) -> Any:
        return judged(evolve(situation, is_hinted=False))

    with (
        patch.object(write_call, "judge", judge),
        patch(_USABLE, usable_etag),
        patch.object(WriteRecord, "under_hint", under_hint),
    ):
        yield


@contextmanager
def hint_as_pair() -> Generator[None]:
    """A hint is taken for a pair of the session's own, dates included."""
    original = hinting.usable_etag
    hints: dict[str, FieldingRun] = {}

    def usable_etag(memory: Any, ref: Any, order: Any, hint: object) -> str | None:
        etag = original(memory, ref, order, hint)
        if etag is not None and isinstance(hint, FieldingRun):
            hints[etag] = hint
        return etag

    def under_hint(self: WriteRecord, etag: str, order: Any) -> Send:
        self.fresh = hints[etag]
        return Send(order)

    with patch(_USABLE, usable_etag), patch.object(WriteRecord, "under_hint", under_hint):
        yield


@contextmanager
def hint_raises_what_is_past() -> Generator[None]:
    """A hint is used although this session has seen that its ETag or its version is past."""
    original = hinting.usable_etag

    class Forgetful:
        def is_past(self, *_: Any) -> bool:
            return False

        def in_doubt(self, *_: Any) -> bool:
            return False

    def usable_etag(_memory: Any, ref: Any, order: Any, hint: object) -> str | None:
        forgetful: Any = Forgetful()
        return original(forgetful, ref, order, hint)

    with patch(_USABLE, usable_etag):
        yield


@contextmanager
def hint_used_by_an_update() -> Generator[None]:
    """Updates and callables are made from a hint, too."""

    async def send(hints: BoundedHints, writes: WriteRecord, order: Any, deadline: float | None) -> Any:
        hint = await hints.get(writes.ref, deadline)
        if not isinstance(hint, FieldingRun) or hint.etag is None or type(hint.version) is not int:
            return None
        return writes.under(hint, order)

    with (
        patch.object(write_call, "goes_by_hints", lambda *_, **__: True),
        patch.object(write_call, "send_under_hint", send),
    ):
        yield


HINT_MUTANTS: dict[str, tuple[Mutant, str]] = {
    mutant.__name__: (mutant, breach)
    for mutant, breach in (
        (hint_founds_already, "(b)"),
        (hint_as_proof, "(g)"),
        (hint_as_pair, "(d)"),
        (hint_raises_what_is_past, "(q)"),
        (hint_used_by_an_update, "(d)"),
    )
}
"""Each bug by name, and the invariant that must catch it where hints are garbage."""
