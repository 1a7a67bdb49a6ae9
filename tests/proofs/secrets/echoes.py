"""A token that a server echoes: the places where it can stand in a reply, and what looks for it in what users get."""

import asyncio
import json
import pickle
import traceback
from collections.abc import Callable, Mapping
from random import Random
from string import ascii_letters, digits
from typing import Any

from attrs import frozen

from fielding_async import FieldingSession, Run
from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.transport import Outgoing
from tests.tools.sessions import REF

__all__ = ["JWT", "PLACES", "Echo", "Place", "assert_not_shown", "offsets", "shown_in", "texts_of"]

_PART = 12
_LIMITS = (60, 80, 100, 200, 500, 4096)  # where texts are shortened
_LEFT = (12, 13, 200, 460, 465)  # characters of the token that such a cut leaves


def _jwt() -> str:
    dice = Random(15)
    rest = "".join(dice.choices(ascii_letters + digits + "-_", k=463 - 20))
    return f"eyJhbGciOiJSUzI1NiJ9.{rest[:100]}.{rest[100:]}"


JWT = _jwt()
assert len(JWT) == 465


def offsets() -> list[int]:
    """Return the lengths of text before the token: none, and those with which it lies across a limit."""
    return sorted({0, *(limit - left for limit in _LIMITS for left in _LEFT if limit >= left)})


def parts_of(secret: str) -> set[str]:
    """Return all parts of a secret that nothing may show, in small letters."""
    low = secret.lower()
    return {low[at : at + _PART] for at in range(len(low) - _PART + 1)}


def shown_in(text: str, secret: str = JWT) -> str | None:
    """Return twelve characters in a row of the secret that a text shows, if it does."""
    parts, low = parts_of(secret), text.lower()
    return next((low[at : at + _PART] for at in range(len(low) - _PART + 1) if low[at : at + _PART] in parts), None)


def texts_of(error: BaseException) -> str:
    """Return everything that an error shows of itself, pickled too."""
    return "\n".join(
        [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            str(getattr(error, "__notes__", "")),
            "".join(traceback.format_exception(error)),
            pickle.dumps(error).decode("latin-1"),
        ]
    )


def assert_not_shown(text: str, secret: str = JWT) -> None:
    """Fail if the text shows a part of the secret."""
    part = shown_in(text, secret)
    assert part is None, f"{part} in {text[:3000]}"


Answer = Callable[[str], Attempted]
Make = Callable[[FieldingSession, Run], Any]


@frozen
class Place:
    """A place in a reply. `operation`: whose reply; `answer`: makes it of a text; `make`: the call that meets it."""

    operation: str
    answer: Answer
    make: Make

    def __str__(self) -> str:
        return self.operation


class Echo:
    """A `Transport` on which one operation gets a scripted answer, and the others what they need to be met."""

    def __init__(self) -> None:
        self.operation = ""
        self.answer: Attempted = Lost("cut")
        self.version = 7

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        await outgoing.leave()
        await asyncio.sleep(0)
        operation = operation_of(outgoing)
        if operation == self.operation:
            if isinstance(self.answer, Response) and self.answer.status == 412:
                self.version += 1
            return self.answer
        if operation == "get":
            return json_reply(200, run_body(version=self.version), ETag=f'"{self.version}"')
        if operation == "token":
            return json_reply(200, {"access_token": JWT, "expires_in": 3600})
        if operation == "relaunch-job":
            return Response(201, {"Location": "/jobs/7"})
        return Response(204, {"ETag": '"8"'})

    def close_now(self) -> None:
        """Do nothing: there is nothing to close."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def operation_of(outgoing: Outgoing) -> str:
    """Return the name of the operation of a request."""
    if outgoing.url.endswith("/oauth/token"):
        return "token"
    last = outgoing.url.partition("?")[0].rsplit("/", maxsplit=1)[-1]
    if last in {"target-groups", "changelog", "overview"}:
        return last
    if "job" in outgoing.url:
        return "relaunch-job" if outgoing.method == "POST" else "job"
    if last == "fielding-runs":
        return "list"
    return "get" if outgoing.method == "GET" else "update" if outgoing.method == "PUT" else last


def run_body(**changes: Any) -> dict[str, Any]:
    """Return a run as JSON."""
    return {
        "id": REF.fielding_run_id,
        "status": "live",
        "version": 7,
        "start_fielding_at": "2030-01-01T08:00:00.000Z",
        "end_fielding_at": "2030-01-31T08:00:00.000Z",
        "last_changed_at": "2029-12-31T00:00:00.000Z",
        "last_changed_by": "somebody",
        **changes,
    }


def json_reply(status: int, body: object, **headers: str) -> Response:
    """Return a reply with a JSON body."""
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


def _get(fielding: FieldingSession, run: Run) -> Any:
    return run.get()


def _pause(fielding: FieldingSession, run: Run) -> Any:
    return run.pause()


def _pause_once(fielding: FieldingSession, run: Run) -> Any:
    return run.pause(on_conflict="raise")


def _launch(fielding: FieldingSession, run: Run) -> Any:
    return run.launch_now()


def _update(fielding: FieldingSession, run: Run) -> Any:
    from datetime import UTC, datetime

    return run.update(end_fielding_at=datetime(2030, 2, 1, tzinfo=UTC))


def _list(fielding: FieldingSession, run: Run) -> Any:
    return fielding.project(101, "0" * 26).target_group("1" * 26).list_runs()


def _groups(fielding: FieldingSession, run: Run) -> Any:
    return fielding.project(101, "0" * 26).list_target_groups().all()


def _found_runs(fielding: FieldingSession, run: Run) -> Any:
    return fielding.project(101, "0" * 26).find_runs().all()


def _changes(fielding: FieldingSession, run: Run) -> Any:
    return fielding.project(101, "0" * 26).target_group("1" * 26).list_changes().all()


def _overview(fielding: FieldingSession, run: Run) -> Any:
    return fielding.project(101, "0" * 26).target_group("1" * 26).overview()


def _group_page(**fields: Callable[[str], object]) -> Answer:
    def answer(text: str) -> Attempted:
        changes = {name: make(text) for name, make in fields.items()}
        return json_reply(200, {"target_groups": [{"id": "1" * 26, "name": "n", **changes}], **changes})

    return answer


def _changed(make: Callable[[str], object]) -> Answer:
    def answer(text: str) -> Attempted:
        return json_reply(200, {"changelog": [{"changes": [{"object": "name_change", "new_value": make(text)}]}]})

    return answer


def _relaunch_job(fielding: FieldingSession, run: Run) -> Any:
    return fielding.project(101, "0" * 26).relaunch(["1" * 26])


def _job(fielding: FieldingSession, run: Run) -> Any:
    return fielding.batch_job(101, "0" * 26, "7", kind="relaunch", target_group_ids=("1" * 26,)).wait()


def _checked_job(fielding: FieldingSession, run: Run) -> Any:
    async def wait() -> None:
        (await _job(fielding, run)).raise_for_failures()

    return wait()


def _draft_job(fielding: FieldingSession, run: Run) -> Any:
    return fielding.draft_job(101, "0" * 26, "1" * 26, "7", kind="launch").wait()


def _request(fielding: FieldingSession, run: Run) -> Any:
    async def shown() -> object:
        reply = await fielding.request("POST", "/things", json={"a": 1})
        return reply, list(reply.headers.items()), pickle.dumps(reply)

    return shown()


def _error(status: int, **fields: Callable[[str], object]) -> Answer:
    return lambda text: json_reply(status, {name: make(text) for name, make in fields.items()})


def _plain(text: str) -> object:
    return text


def _run(field: str, make: Callable[[str], object] = _plain) -> Answer:
    return lambda text: json_reply(200, run_body(**{field: make(text)}), ETag='"7"')


def _header(status: int, name: str, pattern: str = "%s", body: Mapping[str, Any] | None = None) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    return lambda text: Response(status, {name: pattern % text}, content)


def _body(status: int, pattern: str = "%s", encoding: str = "utf-8") -> Answer:
    return lambda text: Response(status, {"ETag": '"7"'}, (pattern % text).encode(encoding))


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def _quoted(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


def _batch(**changes: Any) -> Mapping[str, Any]:
    return {
        "job_id": "7",
        "status": "Completed",
        "created_at": "2029-12-31T00:00:00.000Z",
        "created_by": "somebody",
        **changes,
    }


def _job_body(make: Callable[[str], Mapping[str, Any]]) -> Answer:
    return lambda text: json_reply(200, _batch(**make(text)))


def _reason(text: str, **which: str) -> dict[str, Any]:
    return {"target_group_id": "1" * 26, "failure_reason": {"code": "c", "description": "d", **which}}


PLACES: dict[str, Place] = {
    "detail": Place("get", _error(400, detail=_plain), _get),
    "details": Place("get", _error(400, details=_plain), _get),
    "object": Place("get", _error(404, object=_plain), _get),
    "error id": Place("get", _error(500, id=_plain), _get),
    "parameter name": Place("pause", _error(400, invalid_params=lambda text: [{"name": text, "reason": "r"}]), _pause),
    "parameter reason": Place(
        "pause", _error(400, invalid_params=lambda text: [{"name": "n", "reason": text}]), _pause
    ),
    "key of an error": Place("get", lambda text: json_reply(400, {text: 1, "detail": "d"}), _get),
    "detail of a 422": Place("pause", _error(422, detail=_plain), _pause),
    "detail in escapes": Place(
        "get", lambda text: Response(400, {}, b'{"detail":"%s"}' % _escaped(text).encode()), _get
    ),
    "detail in UTF-16": Place("get", _body(400, '{"detail":"%s"}', "utf-16"), _get),
    "detail in percents": Place("get", lambda text: json_reply(400, {"detail": _quoted(text)}), _get),
    "detail in capitals": Place("get", lambda text: json_reply(400, {"detail": text.upper()}), _get),
    "plain text": Place("get", _body(500), _get),
    "HTML": Place("get", _body(502, "<html><title>%s</title></html>"), _get),
    "text in place of a run": Place("get", _body(200), _get),
    "string in place of a run": Place("get", _body(200, '"%s"'), _get),
    "text in place of the reply of an update": Place("update", _body(202), _update),
    "text in place of a list": Place("list", _body(200), _list),
    "text in place of a job": Place("job", _body(200), _job),
    "run id": Place("get", _run("id"), _get),
    "status": Place("get", _run("status"), _get),
    "status in escapes": Place(
        "get",
        lambda text: Response(
            200,
            {"ETag": '"7"'},
            json.dumps(run_body(status="@")).replace("@", _escaped(text)).encode(),
        ),
        _get,
    ),
    "last_changed_by": Place("get", _run("last_changed_by"), _get),
    "version": Place("get", _run("version"), _get),
    "start": Place("get", _run("start_fielding_at"), _get),
    "account of a run": Place("get", _run("account_id"), _get),
    "project of a run": Place("get", _run("project_id"), _get),
    "status before a pause": Place("get", _run("status"), _pause),
    "id in an update's reply": Place("update", lambda text: json_reply(202, {"id": [text]}, ETag='"8"'), _update),
    "dates of a launch": Place("launch-now", lambda text: json_reply(200, {"start_fielding_at": text}), _launch),
    "runs of a list": Place("list", lambda text: json_reply(200, {"data": [run_body(status=text)]}), _list),
    "bad runs of a list": Place(
        "list", lambda text: json_reply(200, {"data": [run_body(last_changed_at=text)]}), _list
    ),
    "id of a target group": Place("target-groups", _group_page(id=_plain), _groups),
    "name of a target group": Place("target-groups", _group_page(name=_plain), _groups),
    "status of a target group": Place("target-groups", _group_page(status=lambda text: [text]), _groups),
    "cursor of a list": Place("target-groups", _group_page(next_cursor=_plain), _groups),
    "text in place of target groups": Place("target-groups", _body(200), _found_runs),
    "id of a run that is found": Place("list", lambda text: json_reply(200, {"data": [run_body(id=text)]}), _list),
    "value of a change": Place("changelog", _changed(_plain), _changes),
    "key of a change": Place("changelog", _changed(lambda text: {text: [text]}), _changes),
    "status of an overview": Place("overview", lambda text: json_reply(200, {"status": text}), _overview),
    "detail of a missing overview": Place("overview", _error(404, object=_plain, detail=_plain), _overview),
    "ETag of a GET": Place("get", _header(200, "ETag", '"%s"', run_body()), _pause),
    "ETag of a GET that is returned": Place("get", _header(200, "ETag", "%s", run_body()), _get),
    "ETag of a write": Place("pause", _header(204, "ETag", '"%s"'), _pause),
    "ETag of a 412": Place("pause", _header(412, "ETag", "%s"), _pause_once),
    "Location": Place("relaunch-job", _header(201, "Location", "/jobs/%s"), _relaunch_job),
    "Location with a query": Place("relaunch-job", _header(201, "Location", "/jobs/?%s"), _relaunch_job),
    "Location of a redirect": Place("get", _header(302, "Location", "https://elsewhere.invalid/%s"), _get),
    "Retry-After": Place("get", _header(503, "Retry-After"), _get),
    "Date": Place("get", _header(400, "Date"), _get),
    "Content-Type": Place("get", _header(400, "Content-Type"), _get),
    "Server": Place("get", _header(400, "Server"), _get),
    "job id": Place("job", _job_body(lambda text: {"job_id": text}), _job),
    "job id of a failed job": Place("job", _job_body(lambda text: {"job_id": text, "status": "Failed"}), _job),
    "author of a job": Place("job", _job_body(lambda text: {"created_by": text}), _job),
    "target group of a job": Place(
        "job", _job_body(lambda text: {"failed_target_groups": {"data": [{"target_group_id": text}]}}), _checked_job
    ),
    "code of a target group": Place(
        "job", _job_body(lambda text: {"failed_target_groups": {"data": [_reason(text, code=text)]}}), _checked_job
    ),
    "description of a target group": Place(
        "job",
        _job_body(lambda text: {"failed_target_groups": {"data": [_reason(text, description=text)]}}),
        _checked_job,
    ),
    "code of a draft": Place(
        "job",
        _job_body(lambda text: {"status": "Failed", "failure_reason": {"code": text, "description": "d"}}),
        _draft_job,
    ),
    "description of a draft": Place(
        "job",
        _job_body(lambda text: {"status": "Failed", "failure_reason": {"code": "c", "description": text}}),
        _draft_job,
    ),
    "reasons of a draft": Place(
        "job",
        _job_body(
            lambda text: {
                "status": "Failed",
                "failure_reason": {"code": "c", "description": "d", "reasons": [{"reason": text, "detail": text}]},
            }
        ),
        _draft_job,
    ),
    "trace id of a draft": Place("job", _job_body(lambda text: {"status": "Failed", "job_trace_id": text}), _draft_job),
    "value of a reply to a request": Place("things", lambda text: json_reply(200, {"a": [text]}), _request),
    "name in a reply to a request": Place("things", lambda text: json_reply(200, {text: 1}), _request),
    "text in a reply to a request": Place("things", _body(200), _request),
    "page in a reply to a request": Place("things", _body(403, "<html>%s</html>"), _request),
    "header of a reply to a request": Place("things", _header(200, "X-Echo", "Bearer %s", {}), _request),
    "header of a 204 to a request": Place("things", _header(204, "X-Echo"), _request),
    "header's name to a request": Place("things", lambda text: Response(204, {text: "x"}), _request),
    "reason of a lost reply to a request": Place("things", lambda text: Lost(f"ClientError: {text}"[:200]), _request),
    "reason of a lost reply": Place("get", lambda text: Lost(f"ClientError: {text}"[:200]), _get),
    "reason of a request not sent": Place("get", lambda text: NotSent(f"not HTTP: {text}"[:200]), _get),
}
"""What a server can echo, by where it stands."""


def token_error(**fields: Any) -> Answer:
    """Return what makes an error of the token endpoint of a text, which stands for `...`."""
    return lambda text: json_reply(400, {name: text if value is ... else value for name, value in fields.items()})
