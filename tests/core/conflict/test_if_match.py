"""The judgement of a call that may be sent under one ETag only: every combination, beside the same call without it."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from attrs import evolve

from fielding_async import Pause, Resume, Update
from fielding_async.core.actions import Action
from fielding_async.core.conflict.judgement import Situation, Why, judge
from fielding_async.core.conflict.verdicts import Finish, Refuse, Send, SendAgain, Unreadable
from tests.tools.sessions import run_value

BASE = run_value(version=7, etag='"7"', status="live")
MOVED = BASE.end_fielding_at + timedelta(hours=1)
FLAGS = (
    *("may_be_applied", "only_server_errors", "only_pages", "resumed", "attempts_left"),
    *("in_doubt", "is_stale", "may_fetch_again"),
)


def situations(action: Action) -> Any:
    """Yield every situation of a call under the ETag of `BASE`, and of one that has sent nothing yet."""
    runs = [BASE, evolve(BASE, status="paused"), evolve(BASE, end_fielding_at=MOVED)]
    runs += [evolve(run, etag='"8"', version=version) for run in runs for version in (8, 9)]
    for fresh, why, flags in product(runs, Why, product((False, True), repeat=len(FLAGS))):
        values: dict[str, Any] = dict(zip(FLAGS, flags, strict=True))
        if why is Why.OPENING:
            if values["may_be_applied"] or values["resumed"]:
                continue
            yield Situation(fresh=fresh, why=why, order=action, if_match=BASE.etag, **values)
        else:
            first = BASE if values["may_be_applied"] else None
            sent: dict[str, Any] = {"sent": action, "base": BASE, "first": first}
            yield Situation(fresh=fresh, why=why, order=action, if_match=BASE.etag, **sent, **values)


@pytest.mark.parametrize("action", [Pause(), Resume(), Update(end_fielding_at=MOVED)])
def test_nothing_is_ever_sent_under_another_etag(action: Action) -> None:
    """Under another ETag nothing is sent, and nothing is `already`; what a lost reply means is as ever.

    A run with the ETag is judged as if there were no `if_match`.
    """
    seen: set[type] = set()
    for situation in situations(action):
        found, plain = judge(situation), judge(evolve(situation, if_match=None))
        if situation.fresh.etag == BASE.etag:
            assert found == plain
        elif isinstance(plain, Send) or plain in {Finish("already", action), Refuse(action, overtaken=True)}:
            assert found == (Unreadable() if situation.is_stale else Refuse(action)), situation
            seen.add(type(plain))
        else:
            assert found == plain
            assert not isinstance(found, Send | SendAgain)
    assert seen >= {Send, Finish}
