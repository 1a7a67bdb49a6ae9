"""What a command about a job is asked, and the commands and lines that follow from it. Pure: writes nothing."""

import shlex
from typing import TYPE_CHECKING

from attrs import frozen

from fielding_async.cli.shared.output import printable

if TYPE_CHECKING:
    from fielding_async import BatchJob, DraftJob

__all__ = ["Asked", "Order", "ask_again", "job_ids", "job_lines", "send_again"]


@frozen(kw_only=True)
class Asked:
    """What every command about a job is asked. `doing`: the command, in short. `timeout`: seconds."""

    doing: str
    timeout: float | None
    wait: bool
    as_json: bool


@frozen(kw_only=True)
class Order(Asked):
    """A job to be made. `send_again`: the command that sends the same request again. `hint`: what that needs beside."""

    send_again: str
    hint: str = ""


def send_again(words: list[str], key: str, asked: Asked) -> str:
    """Return the command that sends a request again under its key. `words`: the command and its arguments."""
    made = [*words, "--idempotency-key", key, *([] if asked.wait else ["--no-wait"]), *_form(asked)]
    return shlex.join(["fielding", *made])


def ask_again(command: str, action: str, job: str, asked: Asked) -> str:
    """Return the command that asks for a job, or waits for it. `job`: its ids, as one text."""
    return shlex.join(["fielding", command, "status", action, job, *(["--wait"] if asked.wait else []), *_form(asked)])


def _form(asked: Asked) -> list[str]:
    words = ["--json"] if asked.as_json else []
    return words + ([] if asked.timeout is None else ["--timeout", f"{asked.timeout:g}"])


def job_ids(job: "BatchJob | DraftJob") -> dict[str, str | None]:
    """Return what names a job, as members of an object."""
    return {"job_id": job.job_id, "idempotency_key": job.idempotency_key, "trace_id": job.trace_id}


def job_lines(job: "BatchJob | DraftJob", ask: str) -> list[str]:
    """Return what names a job that was made, and the command that asks for it."""
    return [
        f"  job id           {printable(job.job_id)}",
        f"  idempotency key  {job.idempotency_key}",
        f"  trace id         {job.trace_id}",
        f"  to fetch it      {ask}",
    ]
