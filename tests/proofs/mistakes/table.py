"""Forty and more mistakes of a new user: each as code, with the message that it meets, word for word.

A mistake is a function of a session that was never entered, or a coroutine function of one that was; some need neither.
A variable part of a message is written as `…`.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from attrs import field, frozen

import fielding_async.sandbox as box
from fielding_async import (
    ClientCredentials,
    FieldingSession,
    Limits,
    Pause,
    Retry,
    RunRef,
    Timeout,
    webhooks,
)
from fielding_async.coordination import Shared
from fielding_async.sandbox import Sandbox

__all__ = ["MISTAKES", "Mistake"]

PROJECT, GROUP, RUN = "01PROJECT" + "0" * 17, "01GROUP" + "0" * 19, "01RUN" + "0" * 21
REF = RunRef(101, PROJECT, GROUP, RUN)
SOON = datetime(2031, 5, 1, tzinfo=UTC)
UNTYPED: dict[str, Any] = {"Session": FieldingSession, "Limits": Limits, "Timeout": Timeout, "Retry": Retry}

ULID = "must be a str of 26 characters out of 0-9 and A-Z"
NO_TOKEN = "set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET, or pass auth="
ACTIONS = "must be LaunchNow(), Pause(), Resume(), Complete(), Relaunch() or Update(…)"
SECONDS = "must be a number of seconds greater than 0, at most 1e+09, or None"


@frozen
class Mistake:
    """A mistake. `does`: gets a session; entered, if it returns an awaitable. `settings`: of the environment."""

    what: str
    does: Callable[[Any], object]
    message: str
    settings: Mapping[str, str] = field(factory=dict[str, str])


def _settings(what: str, message: str, **settings: str) -> Mistake:
    return Mistake(what, lambda _: FieldingSession(), message, settings)


def _base_url(url: str, message: str) -> Mistake:
    return _settings(
        f"FIELDING_BASE_URL={url}", f"FIELDING_BASE_URL{message}", FIELDING_TOKEN="t", FIELDING_BASE_URL=url
    )


def _session(what: str, message: str, **arguments: Any) -> Mistake:
    return Mistake(what, lambda _: UNTYPED["Session"](**({"auth": "t"} | arguments)), message)


async def _iterated_at_once(fielding: Any) -> None:
    async for _ in fielding.perform_all([(REF, Pause())]):
        pass


async def _batch(fielding: Any, pairs: Any, **arguments: Any) -> None:
    async with fielding.perform_all(pairs, **arguments) as batch:
        async for done in batch:
            if done.error is not None:
                raise done.error


def _second_loop(_: Any) -> None:
    session, first = FieldingSession("t", base_url="http://127.0.0.1:9/v1"), asyncio.new_event_loop()
    try:
        first.run_until_complete(session.__aenter__())
        asyncio.run(session.run(REF).get())
    finally:
        first.run_until_complete(session.aclose())
        first.close()


def _without_a_loop(_: Any) -> None:
    """As under trio: another library runs the coroutine."""
    coroutine = FieldingSession("t").__aenter__()
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


async def _swapped(sandbox: Sandbox, ref: RunRef) -> None:
    async with FieldingSession("t", base_url=sandbox.url) as fielding:
        await fielding.run(ref.account_id, ref.target_group_id, ref.project_id, ref.fielding_run_id).get()


async def _twice(_: Any) -> None:
    session = FieldingSession("t")
    async with session:
        pass
    async with session:
        pass


def _in_a_sandbox(does: Callable[[Sandbox], object]) -> Callable[[Any], object]:
    def run(_: Any) -> None:
        with Sandbox() as sandbox:
            does(sandbox)

    return run


def _unused_fault(sandbox: Sandbox) -> None:
    sandbox.script(box.Cut())
    sandbox.assert_faults_used()


def _any(value: object) -> Any:
    return cast("Any", value)


MISTAKES = [
    # -- settings in the environment
    _settings("nothing is set", f"no token: {NO_TOKEN}"),
    _settings(
        "FIELDING_TOKN is set",
        f"no token: FIELDING_TOKN is set, which is not read (did you mean FIELDING_TOKEN?); {NO_TOKEN}",
        FIELDING_TOKN="t",
    ),
    _settings(
        "feilding_token is set",
        f"no token: feilding_token is set, which is not read (did you mean FIELDING_TOKEN?); {NO_TOKEN}",
        feilding_token="t",
    ),
    _settings(
        "only FIELDING_CLIENT_ID is set",
        "no token: FIELDING_CLIENT_ID is set, and FIELDING_CLIENT_SECRET is not: set FIELDING_CLIENT_SECRET too, or set"
        " FIELDING_TOKEN, or pass auth=",
        FIELDING_CLIENT_ID="c",
    ),
    _settings(
        'FIELDING_TOKEN="Bearer abc"',
        'FIELDING_TOKEN: must be the token alone: leave out the word "Bearer", which the session adds',
        FIELDING_TOKEN="Bearer abc",
    ),
    _settings(
        "FIELDING_TOKEN with a line end",
        "FIELDING_TOKEN: must have no space and no line end around it: remove them (a text read from a file often ends"
        " in a line end; .strip() takes it away)",
        FIELDING_TOKEN="abc\n",
    ),
    _settings(
        "FIELDING_TOKEN with quotation marks",
        "FIELDING_TOKEN: must have no quotation marks around it: remove them (files of environment variables often keep"
        " them)",
        FIELDING_TOKEN='"abc"',
    ),
    _settings(
        "FIELDING_TOKEN with a blank in it",
        "FIELDING_TOKEN: must be printable ASCII characters without spaces: copy it again from where you got it",
        FIELDING_TOKEN="abc def",
    ),
    _base_url("https://api.cint.com", "=… must have the path of the API, …: use https://api.cint.com/v1"),
    _base_url("api.cint.com/v1", ": must start with https://: write a whole URL such as https://api.cint.com/v1"),
    _base_url("https://api.cint.com/v1?a=b", ": must have no query: leave out the ? and what follows it"),
    _base_url("https://api.cint.com/v1#top", ": must have no fragment: leave out the # and what follows it"),
    _base_url(
        "https://me:hush@api.cint.com/v1",
        ": must have no user and password: leave them out; credentials go into auth=, FIELDING_TOKEN, or"
        " FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET",
    ),
    _base_url(
        "http://api.cint.com/v1",
        "='http://api.cint.com/v1': plain http is for loopback hosts only (localhost, 127.0.0.0/8, [::1]): use https",
    ),
    _base_url("ftp://api.cint.com/v1", ": must start with https://, not ftp://"),
    _base_url(
        "https://api.cint.com:99999/v1", ": must have a port from 1 to 65535, or none: correct or leave out the port"
    ),
    _base_url(" https://api.cint.com/v1", ": must have no space and no line end around it: remove them"),
    # -- the session
    _session(
        "FieldingSession(timeout=30)", "timeout: must be a Timeout, not int: pass timeout=Timeout(total=30)", timeout=30
    ),
    _session(
        "FieldingSession(limits=20)", "limits: must be a Limits, not int: pass limits=Limits(concurrency=20)", limits=20
    ),
    _session("FieldingSession(retry=3)", "retry: must be a Retry, not int: pass retry=Retry(max_attempts=3)", retry=3),
    _session(
        'FieldingSession(("id", "secret"))',
        "auth: must be a token (a str), BearerToken, ClientCredentials or an async callable that returns a token, not"
        " tuple: pass ClientCredentials(client_id, client_secret)",
        auth=("id", "secret"),
    ),
    _session(
        "FieldingSession(ClientCredentials)",
        "auth: must be a value, not the class ClientCredentials: pass ClientCredentials(…)",
        auth=ClientCredentials,
    ),
    _session(
        'FieldingSession(ssl="ca.pem")',
        "ssl: must be an ssl.SSLContext of a client, True, False or None; for certificates in a file,"
        " ssl.create_default_context(cafile=…), not str",
        ssl="ca.pem",
    ),
    _session(
        'FieldingSession(proxy="socks5://…")',
        "proxy: must be http://HOST:PORT or https://HOST:PORT; … (for SOCKS, pass http= with a connector for it)",
        proxy="socks5://127.0.0.1:1080",
    ),
    _session(
        'FieldingSession(api_version="v1")',
        "api_version='v1': must be a str, a date as \"2025-12-18\"",
        api_version="v1",
    ),
    _session(
        'FieldingSession(shared="redis://…")',
        "shared: must be a Shared of fielding_async.coordination, not str: pass Shared(url)",
        shared="redis://localhost",
    ),
    _session(
        "FieldingSession(http=aiohttp)",
        "http: must be an aiohttp.ClientSession, not module: leave it out to have one made",
        http=asyncio,
    ),
    Mistake(
        "a session that was not entered",
        lambda session: asyncio.run(session.run(REF).get()),
        "the session has not been entered: use `async with FieldingSession() as fielding`",
    ),
    Mistake(
        "a session that is entered again",
        _twice,
        "the session is closed, and can be entered once: make a new FieldingSession",
    ),
    Mistake(
        "one session in two asyncio.run",
        _second_loop,
        "the session was entered on another event loop: make one for each asyncio.run, or do all work in one",
    ),
    Mistake(
        "a session under trio",
        _without_a_loop,
        "there is no running event loop of asyncio: use the session in a coroutine that asyncio.run(…) runs (under"
        " trio, run it in a thread of its own)",
    ),
    # -- handles
    Mistake('fielding.run("101/P/T/R")', lambda session: session.run("101/P/T/R"), f"project_id='P': {ULID}"),
    Mistake(
        'fielding.run("101/P/T")',
        lambda session: session.run("101/P/T"),
        "ref='101/P/T': must be a str of four ids, account/project/target_group/run, the account a number",
    ),
    Mistake(
        "fielding.run(101, project)",
        lambda session: session.run(101, PROJECT),
        "run: must be called with a RunRef, a Run, the text account/project/target_group/run, or all of account_id,"
        " project_id, target_group_id and fielding_run_id",
    ),
    Mistake(
        'fielding.account("101")',
        lambda session: session.account("101"),
        "account_id='101': must be an int from 0 to 2147483647: pass the number, int(…)",
    ),
    Mistake(
        "the project before the account",
        lambda session: session.project(PROJECT, 101),
        f"account_id={PROJECT!r}: must be an int from 0 to 2147483647: the account comes before the project",
    ),
    Mistake(
        "an id in small letters",
        lambda session: session.project(101, PROJECT.lower()),
        f"project_id={PROJECT.lower()!r}: {ULID}: write its letters as capitals",
    ),
    Mistake(
        'find_runs(status="Live")',
        lambda session: session.project(101, PROJECT).find_runs(status="Live"),
        'status=\'Live\': must be one of "scheduled", "live", "paused", "completed"; did you mean "live"?; use where='
        " for any other text",
    ),
    Mistake(
        "project.pause(one id)",
        lambda session: session.project(101, PROJECT).pause(GROUP),
        f"target_group_ids={GROUP!r}: must be a collection of ids, not one str: pass a list, [id]",
    ),
    Mistake(
        "project.pause([handle])",
        lambda session: session.project(101, PROJECT).pause([session.project(101, PROJECT).target_group(GROUP)]),
        f"target_group_ids[0]=TargetGroup(…: {ULID}: pass its .target_group_id",
    ),
    # -- actions
    Mistake(
        "run.update(a date)",
        lambda session: session.run(REF).update(SOON),
        "change=datetime.datetime(…: must be a callable that returns an Update, or an Update: pass the date by its"
        " name, end_fielding_at=…",
    ),
    Mistake(
        "run.update()",
        lambda session: session.run(REF).update(),
        "Update(): must name start_fielding_at, end_fielding_at or both",
    ),
    Mistake(
        "run.update(a callable and a date)",
        lambda session: session.run(REF).update(lambda _: None, end_fielding_at=SOON),
        "update: pass dates, an Update or a callable, and only one of them",
    ),
    Mistake(
        "a naive datetime",
        lambda session: session.run(REF).update(end_fielding_at=datetime(2031, 5, 1)),
        "end_fielding_at=datetime.datetime(2031, 5, 1, 0, 0): must be aware: give it a tzinfo, such as datetime.UTC,"
        " with .replace(tzinfo=datetime.UTC)",
    ),
    Mistake(
        "a date in text",
        lambda session: session.run(REF).update(end_fielding_at="2031-05-01"),
        "end_fielding_at='2031-05-01': must be an aware datetime, not str: pass datetime.fromisoformat(…)",
    ),
    Mistake(
        "a date without a time",
        lambda session: session.run(REF).update(end_fielding_at=date(2031, 5, 1)),
        "end_fielding_at=datetime.date(2031, 5, 1): must be an aware datetime, not date",
    ),
    Mistake(
        "a timedelta for a date",
        lambda session: session.run(REF).update(end_fielding_at=timedelta(days=2)),
        "end_fielding_at=datetime.timedelta(days=2): must be an aware datetime, not timedelta: pass a moment; to move"
        " the date that the run has, pass a callable to run.update(…)",
    ),
    Mistake(
        "run.perform(Pause)",
        lambda session: session.run(REF).perform(Pause),
        f"action=<class 'fielding_async.Pause'>: {ACTIONS}: pass Pause(), a value of the class",
    ),
    Mistake(
        'run.perform("pause")',
        lambda session: session.run(REF).perform("pause"),
        f"action='pause': {ACTIONS}: pass Pause()",
    ),
    Mistake(
        "timeout=Timeout(…) for a call",
        lambda session: session.run(REF).get(timeout=Timeout(total=3)),
        f"timeout=Timeout(…: {SECONDS}: pass the seconds of this call; a Timeout is for FieldingSession(timeout=…)",
    ),
    Mistake(
        "timeout=timedelta(…) for a call",
        lambda session: session.run(REF).get(timeout=timedelta(seconds=3)),
        f"timeout=datetime.timedelta(seconds=3): {SECONDS}: pass its total_seconds()",
    ),
    Mistake(
        "seen= an ETag",
        lambda session: session.run(REF).pause(seen='W/"5"'),
        "seen: must be a FieldingRun from run.get(), not str",
    ),
    Mistake(
        'on_conflict="retry"',
        lambda session: session.run(REF).pause(on_conflict="retry"),
        'on_conflict=\'retry\': must be "reapply" or "raise"',
    ),
    # -- batches
    Mistake(
        "await fielding.perform_all(…)",
        lambda session: _awaited(session.perform_all([(REF, Pause())])),
        "perform_all: cannot be awaited; use `async with fielding.perform_all(…) as batch`, and iterate over batch",
    ),
    Mistake(
        "async for … in fielding.perform_all(…)",
        _iterated_at_once,
        "perform_all: use `async with fielding.perform_all(…) as batch`, and iterate over batch",
    ),
    Mistake(
        "one pair in place of a list",
        lambda session: _batch(session, (REF, Pause())),
        "pairs: row 0 is RunRef(……: must be a pair of a RunRef and an action, such as (ref, Pause())",
    ),
    Mistake(
        "a dict of actions",
        lambda session: _batch(session, {REF: Pause()}),
        "pairs: must be an iterable or async iterable of (RunRef, action), not dict: pass its .items()",
    ),
    Mistake(
        "the action before the run",
        lambda session: _batch(session, [(Pause(), REF)]),
        "ref=Pause(): must be a RunRef or a Run: the action comes second",
    ),
    Mistake(
        "the text of a run in a pair",
        lambda session: _batch(session, [(str(REF), Pause())]),
        "ref='101/…: must be a RunRef or a Run: pass RunRef.parse(…)",
    ),
    Mistake(
        "plan= without a journal",
        lambda session: _batch(session, [], plan="digest"),
        "plan: must go with a journal: pass journal= too, or leave plan= out",
    ),
    Mistake(
        "a journal in a folder that does not exist",
        lambda session: _batch(session, [], journal="no-such-folder/rows.journal"),
        "journal='no-such-folder/rows.journal': cannot be used: No such file or directory: name a file that can be"
        " written",
    ),
    Mistake(
        'stop_on=True, stop="now"',
        lambda session: _batch(session, [], stop="now"),
        'stop=\'now\': must be "drain" or "cancel"',
    ),
    # -- requests of one's own
    Mistake(
        "fielding.request with a whole URL",
        lambda session: session.request("GET", "https://api.cint.com/v1/accounts"),
        "path='https://api.cint.com/v1/accounts': must be a path below base_url, such as /demand/accounts, without"
        " scheme and host",
    ),
    Mistake(
        "fielding.request with its own token",
        lambda session: session.request("GET", "/accounts", headers={"Authorization": "Bearer t"}),
        "headers['Authorization']: must not be passed, as the session sets it: leave it out",
    ),
    # -- the sandbox
    Mistake(
        'Cut("befor")',
        lambda _: box.Cut(_any("befor")),
        "Cut(at='befor'): must be one of 'before', 'after', 'headers', 'body'; did you mean 'before'?",
    ),
    Mistake(
        'Delay("1")',
        lambda _: box.Delay(_any("1")),
        "Delay(seconds='1'): must be a number of seconds from 0 to 86400; did you mean 1?",
    ),
    Mistake(
        "sandbox.script(Cut)",
        _in_a_sandbox(lambda sandbox: sandbox.script(_any(box.Cut))),
        "script(<class 'fielding_async.sandbox.Cut'>): must be a fault of fielding_async.sandbox; did you mean Cut()?",
    ),
    Mistake(
        'sandbox.advance("1d")',
        _in_a_sandbox(lambda sandbox: sandbox.advance(_any("1d"))),
        "advance(seconds='1d'): must be a number of seconds from 0 to 10000000000; did you mean 86400?",
    ),
    Mistake(
        "a fault that no request meets (pytest's fixture checks it)",
        _in_a_sandbox(_unused_fault),
        "scripted faults that were never used: Cut(at='after'): send the requests they are for, or do not script them",
    ),
    Mistake(
        "a sandbox that was not started",
        lambda _: Sandbox().url,
        "the sandbox is not started: use `async with`, `with` or start()",
    ),
    Mistake(
        "project and target group swapped (404)",
        _in_a_sandbox(lambda sandbox: asyncio.run(_swapped(sandbox, sandbox.add_run()))),
        "404 not_found_error: There is no such resource. (check the ids and their order: account 101, project …, target"
        " group …, run …)",
    ),
    # -- shared pace, webhooks
    Mistake(
        "Shared() without an address",
        lambda _: Shared(),
        "Shared: no address: pass url= or set FIELDING_SHARED_URL: it …",
    ),
    Mistake(
        "the parsed body of a webhook",
        lambda _: webhooks.verify(_any({}), "t=1,v1=0", "secret"),
        "body: must be bytes, not dict: pass the raw bytes, before they are decoded or parsed",
    ),
]


async def _awaited(value: Any) -> None:
    await value
