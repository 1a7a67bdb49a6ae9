"""What `fielding plans` refuses, and what it says then: one line with the remedy, no password, no traceback."""

from pathlib import Path

import pytest

from fielding_async import Pause, RunRef
from fielding_async.plans.database import choice
from tests.cli.apply.plans import write_plan
from tests.cli.command_line import Cli
from tests.tools.services import PostgresServer

pytestmark = pytest.mark.once

COMMANDS = [
    ("list",),
    ("status", "plan"),
    ("work", "plan"),
    ("report", "plan"),
    ("rows", "plan"),
    ("undo", "plan"),
    ("pause", "plan"),
    ("delete", "plan", "--yes"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_without_tables_the_command_to_make_them_is_told(
    cli: Cli, postgres_url: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """No other command makes tables."""
    monkeypatch.setenv("FIELDING_PLANS_URL", postgres_url)
    ended = cli("plans", *words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "fielding: the database has no tables of plans: run `fielding plans create-tables`\n"


def test_newer_tables_are_refused(cli: Cli, database: str, postgres_server: PostgresServer) -> None:
    """By every command, also by the one that makes tables."""
    postgres_server.execute("UPDATE fielding_plan_schema SET version = 99", database.rpartition("/")[2])
    for words in (("list",), ("create-tables",)):
        ended = cli("plans", *words)
        assert (ended.status, ended.out) == (2, "")
        assert "are of version 99" in ended.err
        assert "use a newer fielding-async" in ended.err


def test_without_a_url_the_setting_is_told(cli: Cli) -> None:
    """By its name and form."""
    ended = cli("plans", "list", "--json")
    assert ended.status == 2
    assert ended.err == (
        "fielding: no database for plans: set FIELDING_PLANS_URL to a URL such as"
        " postgresql://user:password@host:5432/database\n"
    )
    (told,) = ended.objects
    assert (told["kind"], told["error"]) == ("error", "ConfigurationError")


def test_a_database_that_cannot_be_reached_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exits with 3, names host and database, and shows no password."""
    monkeypatch.setenv("FIELDING_PLANS_URL", "postgresql://me:geheim-und-lang@127.0.0.1:1/mine")
    for words in COMMANDS:
        ended = cli("plans", *words, *(["--json"] if words == ("list",) else []))
        assert ended.status == 3, words
        assert len(ended.err.splitlines()) == 1
        assert "PostgreSQL at 127.0.0.1:1, database 'mine'" in ended.err
        assert "the same command may succeed later" in ended.err
        assert "geheim" not in ended.err + ended.out


def test_without_a_driver_the_packages_are_told(cli: Cli, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs one."""
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    ended = cli("plans", "list")
    assert ended.status == 2
    assert "pip install 'fielding-async[asyncpg]'" in ended.err


def test_what_cannot_be_a_plan_is_not_submitted(cli: Cli, plan: Path, refs: list[RunRef]) -> None:
    """Bad lines, no rows, no runs, no name, and another plan of the same name."""
    text = plan.read_text()
    for name, lines, said in (
        ("bad", text.replace("resume", "resumed"), "2 of 6 lines are not right; nothing was submitted"),
        ("empty", text.splitlines()[0] + "\n", "holds no rows, only the names of the columns; nothing was submitted"),
        ("groups", _without_runs(text), "has no column fielding_run_id, and a plan in PostgreSQL must name"),
    ):
        plan.with_name(f"{name}.csv").write_text(lines)
        ended = cli("plans", "submit", f"{name}.csv")
        assert (ended.status, ended.out) == (2, ""), name
        assert said in ended.err
    told = cli("plans", "submit", "bad.csv", "--json")
    assert [found["kind"] for found in told.objects] == ["bad-line", "bad-line", "plan"]
    assert "give it one with --name" in cli("plans", "submit", "-").err
    assert cli("plans", "submit", "-", "--name", "a\tb", stdin=text.encode()).status == 2
    piped = cli("plans", "submit", "-", "--name", "piped", stdin=text.encode())
    assert piped.out.startswith("piped: 6 rows submitted")
    assert cli("plans", "submit", plan).status == 0
    write_plan(plan, [(refs[0], Pause())])
    other = cli("plans", "submit", plan)
    assert (other.status, other.out) == (2, "")
    assert "plan 'plan'" in other.err
    assert "none.csv: cannot be read: No such file" in cli("plans", "submit", "none.csv").err


def _without_runs(text: str) -> str:
    return "".join(",".join(line.split(",")[:3] + line.split(",")[4:]) + "\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("delete",), "give either NAME or --older-than DAYS."),
        (("delete", "x", "--older-than", "3"), "give either NAME or --older-than DAYS."),
        (("delete", "--older-than", "-1"), "--older-than"),
        (("delete", "--older-than", "1", "--force"), "--force goes with NAME"),
        (("rows", "x", "--json", "--csv"), "--json and --csv exclude each other"),
        (("rows", "x", "--effect", "odd"), "'odd' is not one of"),
        (("rows", "x", "--since", "2026-08-31T18:00:00"), "has no time zone"),
        (("rows", "x", "--run", "a/b"), "--run"),
        (("work", "x", "--rate", "0"), "--rate"),
        (("work", "x", "--rate", "1e-9"), "--rate 1e-09: must be requests a second"),
        (("work", "x", "--seconds", "-1"), "--seconds"),
        (("work",), "Missing argument 'NAME'"),
        (("work", " x"), "no blank at either end"),
        (("status", ""), "must have 1 to 200 characters"),
        (("report", "x", "--html", "nowhere/x.html"), "there is no folder nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_arguments_are_told(cli: Cli, database: str, words: tuple[str, ...], said: str) -> None:
    """On stderr, with exit status 2."""
    ended = cli("plans", *words)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
