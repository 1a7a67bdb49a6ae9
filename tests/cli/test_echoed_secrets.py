"""The commands show no token that a server echoes: not in what they print, and not in the files that they write."""

import json
from pathlib import Path

import pytest

from fielding_async.core.actions import Pause
from fielding_async.sandbox import Reply, Sandbox, SetHeader
from tests.cli.apply.plans import write_plan
from tests.cli.command_line import Cli
from tests.proofs.secrets.echoes import JWT, assert_not_shown, offsets


@pytest.mark.parametrize("form", ["--json", None])
def test_apply_shows_no_echoed_token(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str | None
) -> None:
    """A token that the server echoes in a refusal is in no report, journal or list of failed rows, whole or cut."""
    with Sandbox() as box:
        monkeypatch.setenv("FIELDING_BASE_URL", box.url)
        monkeypatch.setenv("FIELDING_TOKEN", JWT)
        texts = ["x" * offset + JWT for offset in offsets()]
        plan = write_plan(tmp_path / "plan.csv", [(box.add_run("live"), Pause()) for _ in texts])
        bodies = [json.dumps({"object": text, "detail": text}).encode() for text in texts]
        box.script(*(Reply(400, body=body) for body in bodies), on="pause")
        ended = cli("apply", plan, "--yes", *([form] if form else []))
        box.clear_faults()
    assert ended.status == 1
    found = [path for path in tmp_path.iterdir() if path != plan]
    assert len(found) >= 2
    assert_not_shown("\n".join([ended.out, ended.err, *(path.read_bytes().decode("latin-1") for path in found)]))


@pytest.mark.parametrize("form", ["--json", None])
@pytest.mark.parametrize("offset", [0, 48, 49, 60])
def test_doctor_shows_no_echoed_token(cli: Cli, monkeypatch: pytest.MonkeyPatch, offset: int, form: str | None) -> None:
    """A token that the server echoes in an ETag or in a refusal is in no line of the report."""
    text = "x" * offset + JWT
    with Sandbox() as box:
        monkeypatch.setenv("FIELDING_BASE_URL", box.url)
        monkeypatch.setenv("FIELDING_TOKEN", JWT)
        ref = box.add_run("live")
        box.script(SetHeader("ETag", f'"{text}"'), SetHeader("ETag", f'"{text}"'), on="get")
        ended = cli("doctor", "--run", ref, *([form] if form else []))
        assert "left out" in ended.out
        assert_not_shown(ended.out + ended.err)
        box.script(Reply(403, body=json.dumps({"object": "o", "detail": text}).encode()), on="get")
        ended = cli("doctor", "--run", ref, *([form] if form else []))
        assert_not_shown(ended.out + ended.err)


@pytest.mark.parametrize("form", ["--json", None])
@pytest.mark.parametrize("offset", [0, 48, 49, 60])
@pytest.mark.parametrize("command", [["list", "runs"], ["watch"]])
def test_lists_show_no_echoed_token(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: list[str], offset: int, form: str | None
) -> None:
    """A token that the server echoes in a refusal is in no message of a list, nor of what is watched."""
    text = "x" * offset + JWT
    with Sandbox() as box:
        monkeypatch.setenv("FIELDING_BASE_URL", box.url)
        monkeypatch.setenv("FIELDING_TOKEN", JWT)
        box.script(Reply(400, body=json.dumps({"object": text, "detail": text}).encode()), on="list-target-groups")
        ended = cli(*command, f"101/{box.project_id}", *([form] if form else []))
    assert ended.status == 1
    assert_not_shown(ended.out + ended.err)
