"""What `fielding sandbox` prints when it starts, as lines and as JSON."""

import shlex
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import asdict

from fielding_async.cli.shared.output import counted
from fielding_async.core.models import FieldingRun, RunRef

from .settings import Made

if TYPE_CHECKING:
    from fielding_async.sandbox import Sandbox

__all__ = ["is_loopback", "network_note", "sandbox_lines", "sandbox_object"]

_LOOPBACK_ONLY = "the SDK speaks plain http to loopback addresses only (127.0.0.1, ::1)"
_SHOWN = 200  # runs, and drafts, in lines; JSON has all


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def network_note(box: "Sandbox") -> str:
    """Return how it is reached from elsewhere, as the SDK refuses to send a token in the clear."""
    url = urlsplit(box.url)
    if not is_loopback(url.hostname or ""):
        return (
            f"fielding: note: {_LOOPBACK_ONLY}, and this sandbox listens at {url.hostname} only: leave --host out, or"
            " use --host 0.0.0.0; on other machines put https in front, and name its host with --allow-host"
        )
    near = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return (
        f"fielding: note: {_LOOPBACK_ONLY}: on other machines, forward the port (ssh -L {url.port}:{near}:{url.port}"
        " THIS-MACHINE), or put https in front and name its host with --allow-host"
    )


def _environment(made: Made) -> dict[str, str] | None:
    """Return the settings that point the SDK at it; `None` where the SDK refuses its URL."""
    box = made.box
    if not is_loopback(urlsplit(box.url).hostname or ""):
        return None
    if made.client is None:
        return {"FIELDING_BASE_URL": box.url, "FIELDING_TOKEN": made.token}
    names = ("FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET")
    return {
        "FIELDING_BASE_URL": box.url,
        **dict(zip(names, made.client, strict=True)),
        "FIELDING_TOKEN_URL": box.token_url,
    }


def _page_url(made: Made) -> str:
    """Return the URL of the page, with the token of the control door unless that is a secret of the caller."""
    url = made.box.page_url
    return url.partition("#")[0] if made.is_token_given else url


def sandbox_object(made: Made) -> dict[str, Any]:
    """Return it as a JSON object."""
    box = made.box
    return {
        "kind": "sandbox",
        "url": box.url,
        "token": made.token if made.client is None else None,
        "token_required": box.token is not None or made.client is not None,
        "token_url": box.token_url,
        "environment": _environment(made),
        "control_url": box.control_url,
        "control_token": None if made.is_token_given else box.control_token,
        "control_token_file": made.control_token_file,
        "page_url": _page_url(made) if is_loopback(urlsplit(box.url).hostname or "") else None,
        "project_id": box.project_id,
        "runs": [_run_object(ref, box.inspect(ref)) for ref in made.refs],
        "drafts": [asdict(draft) for draft in made.drafts],
    }


def _run_object(ref: RunRef, run: FieldingRun) -> dict[str, Any]:
    return {
        "ref": str(ref),
        "account_id": ref.account_id,
        "project_id": ref.project_id,
        "target_group_id": ref.target_group_id,
        "fielding_run_id": ref.fielding_run_id,
        "status": str(run.status),
    }


def sandbox_lines(made: Made) -> list[str]:
    """Return it as lines."""
    box, refs, token = made.box, made.refs, made.token
    lines = [f"The sandbox serves at {box.url}"]
    if made.client is not None:
        lines.append("Every request needs a token, which a client fetches; id and secret are below.")
    else:
        needs = "Every request needs this token" if box.token else "It takes any token, such as this one"
        lines += [f"{needs}, made for this start:", f"  {token}"]
    environment = _environment(made)
    if environment is not None:
        lines += ["", "See what happens, and act as a colleague, in a browser on this machine:", f"  {_page_url(made)}"]
        if made.is_token_given:
            lines += ["It asks for the control token, which is in the file:", f"  {made.control_token_file}"]
    if environment is not None:
        lines += ["", "Point the SDK at it, in another terminal:"]
        lines += [f"  export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if refs:
        lines += ["", f"{counted(len(refs), 'run')}:"]
        lines += [f"  {ref}  {box.inspect(ref).status}" for ref in refs[:_SHOWN]]
        if len(refs) > _SHOWN:
            lines.append(f"  and {len(refs) - _SHOWN:,} more, which `fielding list runs` and the page show")
    if made.drafts:
        lines += ["", f"{counted(len(made.drafts), 'draft')}:"]
        lines += [f"  {d.account_id}/{d.project_id}/{d.target_group_id}" for d in made.drafts[:_SHOWN]]
    if refs and environment is not None:
        first = refs[0]
        groups = " ".join(ref.target_group_id for ref in refs[3:8:4] or refs[:1])
        batch = f"--account {first.account_id} --project {first.project_id}"
        lines += [
            "",
            "Try:",
            f"  fielding run launch-now {first}",
            f"  fielding batch relaunch {batch} \\\n    {groups}",
        ]
    return [*lines, "", "Ctrl-C stops it."]
