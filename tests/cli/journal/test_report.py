"""`fielding journal report`: the page is written, for its owner only, and nothing but an older page is replaced."""

import os
import stat
from pathlib import Path

import pytest

from fielding_async import journal_rows
from fielding_async.cli.shared.page.document import MARK
from fielding_async.cli.shared.row_texts import error_text
from tests.cli.command_line import SECRET, Cli

from .conftest import Applied


def test_the_page_of_a_journal_is_written(cli: Cli, applied: Applied) -> None:
    """Beside the journal, with all its rows; no token is in it, and only its owner can read it."""
    ended = cli("journal", "report", applied.journal)
    path = applied.journal.with_name("plan.csv.journal.html")
    assert (ended.status, ended.out, ended.err) == (0, f"6 rows: {path}\n", "")
    text = path.read_text(encoding="utf-8")
    assert text.startswith(MARK)
    assert SECRET not in text
    for row in journal_rows(applied.journal, all=True):
        assert row.ref is not None
        assert row.ref.fielding_run_id in text
        assert (row.trace_id or "") in text
    assert "6 rows on record, 4 done, 2 not done" in text
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(path.parent.glob(".fielding-*"))


def test_an_older_page_is_replaced(cli: Cli, applied: Applied) -> None:
    """The command can be given again, also with `--output` and `--json`."""
    for _ in range(2):
        ended = cli("journal", "report", applied.journal, "--output", "page.html", "--json")
        (told,) = ended.objects
        assert told == {"kind": "report", "journal": str(applied.journal), "rows": 6, "report": "page.html"}
    assert Path("page.html").read_text().startswith(MARK)


def test_nothing_else_is_replaced(cli: Cli, applied: Applied) -> None:
    """A plan, a journal, a link, a folder and a pipe are left as they are, with the rule and the remedy."""
    before = {path: path.read_bytes() for path in (Path("plan.csv"), applied.journal)}
    Path("folder").mkdir()
    Path("link").symlink_to("plan.csv")
    Path("dangling").symlink_to("nowhere")
    os.mkfifo("pipe")
    for name, said in (
        ("plan.csv", "is there already, and is no report: name another file"),
        (applied.journal.name, "is there already, and is no report"),
        ("folder", "is not a regular file"),
        ("link", "is not a regular file"),
        ("dangling", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("nowhere/page.html", "there is no folder nowhere"),
        ("plan.csv/page.html", "cannot be used"),
    ):
        ended = cli("journal", "report", applied.journal, "--output", name)
        assert (ended.status, ended.out) == (2, ""), name
        assert f"--output {name}: {said}" in ended.err
    assert {path: path.read_bytes() for path in before} == before
    assert not Path("nowhere").exists()


@pytest.mark.skipif(not Path("/dev/full").exists() or os.geteuid() == 0, reason="needs a user who may not write")
def test_a_folder_that_cannot_be_written_to_is_an_error(cli: Cli, applied: Applied) -> None:
    """The status is 1, and the path and the reason are told."""
    folder = Path("closed")
    folder.mkdir(mode=0o500)
    ended = cli("journal", "report", applied.journal, "--output", folder / "page.html")
    assert ended.status == 1
    assert "closed/page.html: cannot be written: Permission denied" in ended.err


def test_a_secret_of_the_environment_is_taken_out(cli: Cli, applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if a message on record held one, the page would not."""
    (skipped,) = [row for row in journal_rows(applied.journal) if row.state == "skipped"]
    word = max(error_text(skipped).split(), key=len)
    assert len(word) >= 8
    assert cli("journal", "report", applied.journal).status == 0
    path = Path(f"{applied.journal}.html")
    assert word in path.read_text()
    monkeypatch.setenv("FIELDING_TOKEN", word)
    assert cli("journal", "report", applied.journal).status == 0
    assert word not in path.read_text().partition('id="data"')[2].partition("</script>")[0]
