"""`fielding list`: what there is, down to the runs of a project."""

import csv
import io
import os
import signal

import pytest
from rich.cells import cell_len

from fielding_async.sandbox import Hold, Sandbox, Status
from tests.cli.command_line import HANG, Cli, end_of, environment, full_pipe, process

from .conftest import FORMULA, PROJECT, World

pytestmark = pytest.mark.once


def arguments(world: World, kind: str) -> list[str]:
    """The command for a list."""
    return ["list", kind, *{"accounts": [], "projects": ["101"]}.get(kind, [world.project])]


KINDS = {"accounts": 2, "projects": 2, "target-groups": 6, "runs": 5}


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_fits_the_terminal(
    cli: Cli, world: World, kind: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 60 columns as well, with every id whole; what is left out is named, beside the number of entries."""
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = cli(*arguments(world, kind))
    lines = ended.out.splitlines()
    assert ended.status == 0
    assert len(lines) == KINDS[kind] + 1
    assert max(map(cell_len, lines)) <= columns
    noun = kind[:-1].replace("-", " ")
    assert f"{KINDS[kind]} {noun}s" in ended.err
    ids = {"accounts": ["101", "102"], "projects": [PROJECT, world.other]}
    groups = sorted(ref.target_group_id for ref in world.runs)
    for name in ids.get(kind, groups):
        assert any(name in line for line in lines), name
    assert ("columns that do not fit" in ended.err) == (columns < 200 and kind != "accounts")


@pytest.mark.parametrize("columns", ["", "0", "-1", "many"])
def test_a_width_that_is_none_leaves_a_table_in_a_pipe_whole(
    cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """Some environments set COLUMNS to 0, where they know of no terminal."""
    monkeypatch.setenv("COLUMNS", columns)
    ended = cli("list", "projects", "101")
    assert "A study of many long words in its name, and of more" in ended.out
    assert "columns that do not fit" not in ended.err


def test_a_table_in_a_pipe_is_whole(cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal and no COLUMNS, nothing is cut."""
    monkeypatch.delenv("COLUMNS")
    ended = cli("list", "projects", "101")
    assert "A study of many long words in its name, and of more" in ended.out
    assert "columns that do not fit" not in ended.err


@pytest.mark.parametrize("kind", KINDS)
def test_json_is_one_object_a_line(cli: Cli, world: World, kind: str) -> None:
    """Each has its kind and its ids, and stderr is empty."""
    ended = cli(*arguments(world, kind), "--json")
    assert (ended.status, ended.err) == (0, "")
    assert len(ended.objects) == KINDS[kind]
    assert {found["kind"] for found in ended.objects} == {kind[:-1]}


def test_a_run_has_its_ids_and_its_target_group(cli: Cli, world: World) -> None:
    """What `fielding run get --json` has of a run, but for the ETag, which a list does not bear."""
    found = cli("list", "runs", world.project, "--json").objects
    assert [entry["ref"] for entry in found] == sorted(map(str, world.runs))
    (one,) = [entry for entry in found if entry["target_group"]["name"] == "Group 3"]
    ids = [str(one[name]) for name in ("account_id", "project_id", "target_group_id", "fielding_run_id")]
    assert "/".join(ids) == one["ref"]
    got = cli("run", "get", one["ref"], "--json").objects[0]
    assert got.pop("etag")
    assert got.items() <= one.items()
    assert one["target_group"]["statistics"]["progress"]["filling_goal"] == 1003


@pytest.mark.parametrize("kind", KINDS)
def test_csv_holds_no_formula(cli: Cli, world: World, kind: str) -> None:
    """Names come from outside; each row has as many cells as there are columns."""
    ended = cli(*arguments(world, kind), "--csv")
    heading, *rows = csv.reader(io.StringIO(ended.out))
    assert (ended.status, ended.err, len(rows)) == (0, "", KINDS[kind])
    assert all(len(row) == len(heading) for row in rows)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert (f"'{FORMULA}" in ended.out) == (kind == "projects")
    assert heading[0] == ("target_group_id" if kind == "target-groups" else "account_id")


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["--status", "live"], [0, 1]),
        (["--status", "live", "--status", "paused"], [0, 1, 2]),
        (["--target-group-status", "scheduled"], [3]),
        (["--search", "Group 4"], [4]),
        (["--status", "completed", "--search", "Group 4"], [4]),
        (["--status", "live", "--search", "Group 4"], []),
    ],
)
def test_runs_are_selected(cli: Cli, world: World, filters: list[str], numbers: list[int]) -> None:
    """By the status of run and target group, and by text; an empty list is no error, and is told."""
    ended = cli("list", "runs", world.project, "--json", *filters)
    assert ended.status == 0
    assert sorted(found["target_group"]["name"] for found in ended.objects) == [f"Group {n}" for n in numbers]
    assert ("none that these options select" in ended.err) == (not numbers)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["--status", "draft"], ["A draft"]),
        (["--country", "DE", "--status", "live"], ["Group 0"]),
        (["--country", "us", "--country", "de", "--status", "paused"], ["Group 2"]),
        (["--language", "fra"], []),
        (["--search", "draft"], ["A draft"]),
        (["--exclusions"], []),
    ],
)
def test_target_groups_are_selected(cli: Cli, world: World, filters: list[str], names: list[str]) -> None:
    """By each filter of the exchange."""
    ended = cli("list", "target-groups", world.project, "--json", *filters)
    assert (ended.status, [found["name"] for found in ended.objects]) == (0, names)


def test_a_short_id_finds_its_target_group(cli: Cli, world: World) -> None:
    """The id that people see in the exchange's own pages; together with another filter it is refused."""
    one = cli("list", "target-groups", world.project, "--json").objects[0]
    short = one["human_readable_id"]
    found = cli("list", "target-groups", world.project, "--json", "--short-id", short).objects
    assert [entry["id"] for entry in found] == [one["id"]]
    refused = cli("list", "target-groups", world.project, "--short-id", short, "--status", "live")
    assert (refused.status, refused.out) == (2, "")
    assert "--short-id" in refused.err


@pytest.mark.parametrize(
    ("filters", "count"), [(["--status", "active"], 1), (["--status", "inactive"], 1), (["--search", "HYPERLINK"], 1)]
)
def test_projects_are_selected(cli: Cli, world: World, filters: list[str], count: int) -> None:
    """By status and text."""
    assert world
    ended = cli("list", "projects", "101", "--json", *filters)
    assert (ended.status, len(ended.objects)) == (0, count)


def test_a_limit_ends_the_list_early(box: Sandbox, cli: Cli, world: World) -> None:
    """No more than that is shown, and it is said that there may be more."""
    ended = cli("list", "runs", world.project, "--limit", 2)
    assert (ended.status, len(ended.out.splitlines())) == (0, 3)
    assert "--limit 2 is reached: there may be more" in ended.err


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (["runs", "101"], "give 101/PROJECT. `fielding list projects ACCOUNT`"),
        (["runs", "101/"], "give 101/PROJECT"),
        (["runs", "acme/P"], "`fielding list accounts` shows them"),
        (["runs", f"101/{PROJECT}/01BTGNYV6HRNK8K8VKZASZCFP1"], f"give '101/{PROJECT}' alone"),
        (["runs", f"101/{PROJECT.lower()}"], f"give {PROJECT}"),
        (["runs", "101/P"], "`fielding list projects 101` shows them"),
        (["runs", "{}", "--status", "liv"], "'scheduled', 'live', 'paused', 'completed'"),
        (["runs", "{}", "--limit", "0"], "leave --limit out for all of them"),
        (["runs", "{}", "--limit", "-1"], "1 or more"),
        (["runs", "{}", "--plan", "update"], "give --start, --end or both"),
        (["runs", "{}", "--plan", "pause", "--end", "2031-01-01T00:00:00Z"], "--end is for --plan update"),
        (["runs", "{}", "--start", "2031-01-01T00:00:00Z"], "--start is for --plan update"),
        (["runs", "{}", "--plan", "update", "--end", "2031-01-01"], "RFC 3339"),
        (["runs", "{}", "--plan", "update", "--end", "2031-01-01T00:00:00"], "add Z for UTC"),
        (
            ["runs", "{}", "--plan", "update", "--start", "2031-01-02T00:00:00Z", "--end", "2031-01-01T00:00:00Z"],
            "--end must be after --start",
        ),
        (["runs", "{}", "--plan", "stop"], "'pause', 'resume', 'complete', 'update'"),
        (["runs", "{}", "--plan", "pause", "--json"], "leave out --json"),
        (["runs", "{}", "--plan", "pause", "--csv"], "leave out --csv"),
        (["runs", "{}", "--json", "--csv"], "give one of them"),
        (["runs", "{}", "--search", ""], "--search"),
        (["projects", "101/P"], "give '101' alone"),
        (["projects", "99999999999"], "0 to 2147483647"),
        (["projects", "101", "--search", "abcd"], "--search 'abcd': must"),
        (["projects", "101", "--project-manager", "me"], "--project-manager 'me': must"),
        (["target-groups", "{}", "--country", "usa"], "--country 'usa': must"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(box: Sandbox, cli: Cli, world: World, wrong: list[str], remedy: str) -> None:
    """Exit status 2, nothing on stdout but with --json, and no request."""
    ended = cli("list", *(text.format(world.project) for text in wrong))
    assert ended.status == 2
    assert "--json" in wrong or ended.out == ""
    assert remedy in ended.err
    assert box.requests == ()


@pytest.mark.parametrize("kind", ["projects", "target-groups", "runs"])
def test_what_is_not_there_is_told_with_what_is(cli: Cli, world: World, kind: str) -> None:
    """A well-formed id of nothing: exit status 1, and the command that shows what there is."""
    assert world
    ended = cli("list", kind, "404" if kind == "projects" else "101/01BTGNYV6HRNK8K8VKZASZCFZZ")
    assert (ended.status, ended.out) == (1, "")
    assert "`fielding list" in ended.err


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"], ["--plan", "pause"]])
def test_of_a_list_that_failed_nothing_is_written(box: Sandbox, cli: Cli, world: World, form: list[str]) -> None:
    """The runs that were found before the error are no list: exit status 1, and no row in any form."""
    box.script(Status(400), on="list")
    ended = cli("list", "runs", world.project, *form)
    assert ended.status == 1
    assert "BadRequestError" in ended.err
    assert [found["kind"] for found in ended.objects] == (["error"] if form == ["--json"] else [])


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"], ["--plan", "complete"]])
def test_a_target_group_that_vanished_is_told(box: Sandbox, cli: Cli, world: World, form: list[str]) -> None:
    """Its run is left out of the list, which is no error."""
    box.script(Status(404), on="list")
    ended = cli("list", "runs", world.project, *form)
    heading = 0 if form == ["--json"] else 1
    assert (ended.status, len(ended.out.splitlines())) == (0, heading + 4)
    assert "1 target group vanished while the list was read" in ended.err


def test_ctrl_c_ends_a_list_without_a_row(box: Sandbox, world: World) -> None:
    """Exit status 130."""
    hold = Hold("after")
    box.script(hold, on="list")
    with process("list", "runs", world.project, "--csv", env=environment(box)) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        ended = end_of(child)
    hold.release()
    assert (ended.status, ended.out) == (130, "")
    assert "list runs: interrupted by SIGINT" in ended.err


def test_a_reader_that_leaves_is_no_error(box: Sandbox, world: World) -> None:
    """`fielding list … | head -1`: quiet, and exit status 0."""
    reading, writing = os.pipe()
    os.close(reading)
    with process("list", "runs", world.project, "--json", env=environment(box), stdout=writing) as child:
        os.close(writing)
        assert child.wait(HANG) == 0
        assert child.stderr is not None
        assert child.stderr.read() == ""


def test_the_settings_are_those_of_the_environment(box: Sandbox, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token nothing is sent, and the variable is named."""
    monkeypatch.delenv("FIELDING_TOKEN")
    ended = cli("list", "accounts")
    assert (ended.status, ended.out, box.requests) == (2, "", ())
    assert "FIELDING_TOKEN" in ended.err


@pytest.mark.parametrize(
    ("form", "signum"), [("--json", signal.SIGINT), ("--csv", signal.SIGTERM), (None, signal.SIGINT)]
)
def test_a_signal_ends_a_list_that_nobody_reads_on(
    box: Sandbox, world: World, form: str | None, signum: signal.Signals
) -> None:
    """The reader of the pipe is there and reads nothing, as `less` does: the command does not wait for it."""
    for number in range(95):
        box.add_target_group(101, PROJECT, name=f"{number} {'long ' * 20}")
    with full_pipe() as (writing, wait_until_written):
        more = () if form is None else (form,)
        with process("list", "target-groups", world.project, *more, stdout=writing, env=environment(box)) as child:
            wait_until_written()
            child.send_signal(signum)
            assert child.wait(HANG) == 128 + signum
            assert child.stderr is not None
            said = child.stderr.read()
    assert f"interrupted by {signum.name}" in said
    assert "Traceback" not in said
