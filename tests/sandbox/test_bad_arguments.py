"""What a test passes to the sandbox by mistake: each error names the argument, the rule and the likely slip."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from fielding_async import RunRef
from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import (
    Behaviour,
    Cut,
    Delay,
    DropHeader,
    ExchangePauses,
    FailureReason,
    Hold,
    JobFails,
    JobFailure,
    JobOmits,
    RawReply,
    Refuse,
    Repeat,
    Reply,
    Sandbox,
    SecondWriter,
    SetHeader,
    Status,
)

NAIVE = datetime(2031, 1, 1)
LATE = datetime.fromisoformat("9999-12-31T23:59:59-14:00")
NAN = float("nan")


def bad(value: Any) -> Any:
    """Return the value, hidden from the type checker."""
    return value


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "Cut, a letter left out": (lambda: Cut(bad("befor")), r"Cut\(at='befor'\).*did you mean 'before'\?"),
    "Cut, no such place": (lambda: Cut(bad("middle")), r"one of 'before', 'after', 'headers', 'body'"),
    "Cut, no text": (lambda: Cut(bad(1)), r"Cut\(at=1\)"),
    "Delay, a text": (lambda: Delay(bad("1")), r"Delay\(seconds='1'\).*seconds.*did you mean 1\?"),
    "Delay, below zero": (lambda: Delay(-0.1), r"from 0 to 86400"),
    "Delay, not a number": (lambda: Delay(NAN), r"Delay\(seconds=nan\)"),
    "Delay, for ever": (lambda: Delay(float("inf")), r"from 0 to 86400"),
    "Delay, a bool": (lambda: Delay(True), r"Delay\(seconds=True\)"),
    "Delay, a timedelta": (lambda: Delay(bad(timedelta(seconds=2))), r"did you mean 2\?"),
    "Delay, no such moment": (lambda: Delay(1, bad("During")), r"when='During'"),
    "Hold, no such moment": (lambda: Hold(bad("befor")), r"Hold\(when='befor'\).*'before'\?"),
    "Status, Retry-After as a number": (
        lambda: Status(429, retry_after=bad(1)),
        r"retry_after=1\).*did you mean '1'\?",
    ),
    "Status, a text": (lambda: Status(bad("503")), r"Status\(code='503'\).*did you mean 503\?"),
    "Status, too low": (lambda: Status(99), r"from 200 to 999"),
    "Status, a body that is a text": (lambda: Status(503, body=bad("<p>")), r"bytes; did you mean b'<p>'\?"),
    "Status, applied as a text": (lambda: Status(503, applied=bad("yes")), r"True or False; did you mean True\?"),
    "Status, a header with a line break": (lambda: Status(503, headers={"X": "a\r\nY: b"}), r"line breaks"),
    "Status, headers that are a text": (lambda: Status(503, headers=bad("X: 1")), r"a dict of headers"),
    "Status, a header's value as a number": (lambda: Status(503, headers=bad({"Age": 1})), r"did you mean '1'\?"),
    "Reply, a bool": (lambda: Reply(True), r"Reply\(status=True\)"),
    "Reply, a body that is a text": (lambda: Reply(body=bad("{}")), r"did you mean b'{}'\?"),
    "RawReply, a text": (lambda: RawReply(bad("HTTP/1.1 200 OK")), r"RawReply\(data=.*bytes"),
    "DropHeader, letters swapped": (lambda: DropHeader("ETga"), r"did you mean 'etag'\?"),
    "DropHeader, with its colon": (lambda: DropHeader("ETag:"), r"did you mean 'ETag'\?"),
    "DropHeader, never sent": (lambda: DropHeader("X-Cache"), r"replies have ETag, Location"),
    "SetHeader, a number": (lambda: SetHeader("Age", bad(7)), r"SetHeader\(value=7\).*did you mean '7'\?"),
    "SetHeader, a name with a blank": (lambda: SetHeader("X Y", "1"), r"the name of a header"),
    "SecondWriter, no such status": (lambda: SecondWriter(status=bad("pause")), r"did you mean 'paused'\?"),
    "SecondWriter, a naive date": (lambda: SecondWriter(end_fielding_at=NAIVE), r"aware datetime; add tzinfo=UTC"),
    "SecondWriter, a date as a text": (lambda: SecondWriter(end_fielding_at=bad("2031-01-01")), r"fromisoformat"),
    "SecondWriter, a number of seconds": (lambda: SecondWriter(shift_end=bad(60)), r"timedelta\(seconds=60\)\?"),
    "SecondWriter, a long shift": (lambda: SecondWriter(shift_end=timedelta.max), r"shift_end=.*at most 36500 days"),
    "SecondWriter, a long shift back": (lambda: SecondWriter(shift_end=timedelta.min), r"at most 36500 days"),
    "SecondWriter, a shift beside a status": (
        lambda: SecondWriter(status=bad("paused"), shift_end=timedelta(hours=1)),
        r"shift_end=.*applies only without status",
    ),
    "ExchangePauses, no such moment": (lambda: ExchangePauses(bad("then")), r"when='then'"),
    "ExchangePauses, no such reason": (lambda: ExchangePauses(reason="low_ecp"), r"did you mean 'low_epc'\?"),
    "Repeat, no such answer": (lambda: Repeat(bad("frist")), r"did you mean 'first'\?"),
    "JobOmits, one id": (lambda: JobOmits(bad("A" * 26)), r"did you mean \('AAA.*',\)\?"),
    "JobOmits, none": (lambda: JobOmits(()), r"not empty"),
    "JobFails, a text": (lambda: JobFails(bad("QuotaInvalid")), r"a JobFailure, such as"),
    "JobFailure, a number": (lambda: JobFailure(bad(1), "x"), r"JobFailure\(code=1\)"),
    "JobFailure, reasons that are texts": (lambda: JobFailure("a", "b", bad(("c",))), r"a tuple of FailureReason"),
    "FailureReason, a number": (lambda: FailureReason(bad(3)), r"FailureReason\(name=3\)"),
}

SWITCHES: dict[str, tuple[Callable[[Sandbox, RunRef], object], str]] = {
    "advance, a text": (lambda box, _: box.advance(bad("1d")), r"advance\(seconds='1d'\).*did you mean 86400\?"),
    "advance, backwards": (lambda box, _: box.advance(-1), r"from 0 to"),
    "advance, not a number": (lambda box, _: box.advance(NAN), r"seconds=nan"),
    "advance, a timedelta": (lambda box, _: box.advance(bad(timedelta(days=2))), r"did you mean 172800\?"),
    "rate_limit, a text": (lambda box, _: box.rate_limit(bad("x")), r"rate_limit\(per_second='x'\)"),
    "rate_limit, zero": (lambda box, _: box.rate_limit(0), r"above 0"),
    "rate_limit, a bool": (lambda box, _: box.rate_limit(True), r"per_second=True"),
    "rate_limit, no such kind": (lambda box, _: box.rate_limit(5, kind=bad("fixed_window")), r"'fixed-window'\?"),
    "rate_limit, a window for a bucket": (
        lambda box, _: box.rate_limit(5, kind="token-bucket", window=2.0),
        r"window is not for buckets",
    ),
    "rate_limit, a burst for a window": (lambda box, _: box.rate_limit(5, burst=2), r"burst is for buckets only"),
    "rate_limit, a burst that is no whole number": (
        lambda box, _: box.rate_limit(5, kind="token-bucket", burst=bad(2.0)),
        r"did you mean 2\?",
    ),
    "rate_limit, no request in a window": (lambda box, _: box.rate_limit(0.5), r"write window=2"),
    "rate_limit, no such Retry-After": (lambda box, _: box.rate_limit(5, retry_after=bad("second")), r"'seconds'\?"),
    "rate_limit, a window without a rate": (lambda box, _: box.rate_limit(None, window=2.0), r"per_second=None"),
    "in_flight_limit, none": (lambda box, _: box.in_flight_limit(0), r"1 or more"),
    "latency, below zero": (lambda box, _: box.latency(-1), r"latency\(seconds=-1\)"),
    "latency, more jitter than latency": (lambda box, _: box.latency(1, jitter=2), r"at most seconds, 1"),
    "touch, a text": (lambda box, _: box.touch(bad("x")), r"touch\(ref='x'\): must be a RunRef"),
    "touch, the text of a ref": (lambda box, ref: box.touch(bad(str(ref))), r"RunRef.parse"),
    "touch, what has a ref": (lambda box, ref: box.touch(bad(SimpleNamespace(ref=ref))), r"or a Run; pass its .ref"),
    "touch, no such status": (lambda box, ref: box.touch(ref, status="Paused"), r"did you mean 'paused'\?"),
    "touch, a naive date": (lambda box, ref: box.touch(ref, end_fielding_at=NAIVE), r"aware datetime"),
    "touch, a date after the calendar": (lambda box, ref: box.touch(ref, end_fielding_at=LATE), r"the years 1 to 9999"),
    "add_run, no place for the other date": (
        lambda box, _: box.add_run(start_fielding_at=datetime.max.replace(tzinfo=UTC)),
        r"pass both dates",
    ),
    "touch, an end before the start": (
        lambda box, ref: box.touch(ref, end_fielding_at=box.now - timedelta(days=9)),
        r"after start_fielding_at",
    ),
    "inspect, a text": (lambda box, _: box.inspect(bad("x")), r"inspect\(ref='x'\)"),
    "pause_by_exchange, a text": (lambda box, ref: box.pause_by_exchange(ref, after=bad("1h")), r"mean 3600\?"),
    "pause_by_exchange, no ref": (lambda box, _: box.pause_by_exchange(bad(None)), r"ref=None"),
    "add_run, no such status": (lambda box, _: box.add_run("Live"), r"did you mean 'live'\?"),
    "add_run, a version as a text": (lambda box, _: box.add_run(version=bad("2")), r"did you mean 2\?"),
    "add_run, a flag as a number": (lambda box, _: box.add_run("paused", goal_reached=bad(1)), r"mean True\?"),
    "add_run, a run id with a slash": (lambda box, _: box.add_run(fielding_run_id="a/b"), r"without '/'"),
    "add_run, a run id that is a number": (lambda box, _: box.add_run(fielding_run_id=bad(7)), r"did you mean '7'\?"),
    "add_run, a project id in lower case": (lambda box, _: box.add_run(project_id="a" * 26), r"mean 'AAAA"),
    "add_run, a project id that is a number": (lambda box, _: box.add_run(project_id=bad(1)), r"26 characters"),
    "add_run, a date as a text": (lambda box, _: box.add_run(end_fielding_at=bad("2031")), r"fromisoformat"),
    "add_draft, a failure as a text": (lambda box, _: box.add_draft(failure=bad("x")), r"a JobFailure"),
    "add_project, no such status": (lambda box, _: box.add_project(status="activ"), r"did you mean 'active'\?"),
    "add_target_group, a goal as a text": (lambda box, _: box.add_target_group(filling_goal=bad("9")), r"mean 9\?"),
    "add_client, no text": (lambda box, _: box.add_client(bad(1), "s"), r"client_id=1"),
    "add_client, no secret": (lambda box, _: box.add_client("c", ""), r"client_secret=….*not empty"),
    "refuse, another status": (lambda box, _: box.refuse("t", bad(500)), r"401 or 403"),
    "expire_tokens, without any": (lambda box, _: box.expire_tokens(), r"there is no token"),
    "token_lifetime, a text": (lambda box, _: setattr(box, "token_lifetime", "1h"), r"did you mean 3600\?"),
    "touch_assistant, a dict": (lambda box, ref: box.touch_assistant(ref, bad({})), r"as a str"),
    "script, an empty tuple": (lambda box, _: box.script(()), r"must not be empty"),
    "script, a class": (lambda box, _: box.script(bad(Refuse)), r"did you mean Refuse\(\)\?"),
    "script, a status as a number": (lambda box, _: box.script(bad(503)), r"did you mean Status\(503\)\?"),
    "script, a list": (lambda box, _: box.script(bad([Refuse()])), r"write script\(\*faults\)"),
    "script, an operation with an underscore": (
        lambda box, _: box.script(Refuse(), on="launch_now"),
        r"did you mean 'launch-now'\?",
    ),
    "script, a ref that is a text": (lambda box, ref: box.script(Refuse(), ref=bad(str(ref))), r"RunRef.parse"),
    "script, a colleague on a list": (
        lambda box, _: box.script(SecondWriter(), on="list-accounts"),
        r"no request can meet this: SecondWriter is for requests about a run",
    ),
    "script, a failing job on a GET": (lambda box, _: box.script(JobFails(), on="GET"), r"JobFails is for"),
    "script, a bulk fault on a draft": (
        lambda box, _: box.script(JobOmits(("A",)), on="launch-from-draft"),
        r"JobOmits is for",
    ),
    "script, a GET that is repeated": (lambda box, _: box.script(Repeat(), on="get"), r"Repeat is for"),
    "script, a run of a bulk job": (
        lambda box, ref: box.script(Refuse(), on="bulk-pause", ref=ref),
        r"not about a run; leave ref out",
    ),
    "script, two ends": (lambda box, _: box.script((Refuse(), Cut())), r"would have no effect: with"),
    "script, two of a kind": (lambda box, _: box.script((Status(500), Status(503))), r"one Status only"),
    "script, a reply that nobody gets": (lambda box, _: box.script((Cut("after"), Status(503))), r"not sent"),
    "script, a header of no reply": (lambda box, _: box.script((RawReply(b""), SetHeader("A", "1"))), r"not sent"),
    "script, a delay after a reset": (lambda box, _: box.script((Delay(1, "after"), Refuse())), r"not handled"),
    "script, a colleague before a cut": (lambda box, _: box.script((SecondWriter(), Cut("before"))), r"not handled"),
    "script, a colleague after no write": (
        lambda box, _: box.script((Status(503), SecondWriter(when="after"))),
        r"pass applied=True",
    ),
    "script, one header twice": (lambda box, _: box.script((SetHeader("ETag", "1"), DropHeader("etag"))), r"same"),
    "Sandbox, a port as a text": (lambda _, __: Sandbox(port=bad("80")), r"Sandbox\(port='80'\).*did you mean 80\?"),
    "Sandbox, an empty token": (lambda _, __: Sandbox(require_token=""), r"require_token=….*a token"),
    "Sandbox, a token as a number": (lambda _, __: Sandbox(require_token=bad(1)), r"did you mean True\?"),
    "Sandbox, a naive clock": (lambda _, __: Sandbox(clock=lambda: NAIVE), r"must return an aware datetime"),
    "Sandbox, a time in place of a clock": (lambda _, __: Sandbox(clock=bad(NAIVE)), r"a function that returns"),
    "Sandbox, a behaviour as a dict": (lambda _, __: Sandbox(behaviour=bad({})), r"a Behaviour, such as"),
    "Sandbox, a life of zero": (lambda _, __: Sandbox(token_lifetime=0), r"above 0"),
    "Behaviour, a text": (lambda _, __: Behaviour(read_lag=bad("1s")), r"Behaviour\(read_lag='1s'\).*mean 1\?"),
    "Behaviour, no such form": (lambda _, __: Behaviour(location=bad("URL")), r"did you mean 'url'\?"),
    "Behaviour, a flag as a text": (lambda _, __: Behaviour(job_nulls=bad("no")), r"did you mean False\?"),
    "Behaviour, seconds for a timedelta": (lambda _, __: Behaviour(date_precision=bad(1)), r"timedelta\(seconds=1\)"),
    "Behaviour, an ETag for all": (lambda _, __: Behaviour(etag='"1"'), r"differs by version"),
    "Behaviour, an ETag of two lines": (lambda _, __: Behaviour(etag="{version}\n"), r"line breaks"),
    "Behaviour, an ETag that is no text": (
        lambda _, __: Behaviour(etag=bad(lambda number: number)),
        r"Behaviour\(etag=1",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_checked_when_it_is_made(case: str) -> None:
    """A fault that would play another one, or none, cannot be made."""
    make, message = FAULTS[case]
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize("case", SWITCHES)
def test_a_call_is_checked_when_it_is_made(case: str) -> None:
    """A switch that would be ignored, or fail later, is refused at the call."""
    box = Sandbox()
    ref = box.add_run()
    call, message = SWITCHES[case]
    with pytest.raises(ConfigurationError, match=message):
        call(box, ref)
    assert box.unused_faults == []


def test_a_hold_is_for_one_request() -> None:
    """A `Hold` that was released cannot hold another request."""
    box, hold = Sandbox(), Hold()
    box.script(hold)
    with pytest.raises(ConfigurationError, match="make one for each request"):
        box.script(hold)


def test_a_sandbox_says_what_it_has() -> None:
    """`repr` shows the URL, and how many runs and jobs there are."""
    box = Sandbox()
    box.add_run()
    assert repr(box) == "<Sandbox not started, 1 run, 0 jobs>"
    with box:
        assert repr(box) == f"<Sandbox {box.url}, 1 run, 0 jobs>"
