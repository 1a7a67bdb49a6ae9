"""A journal is a file of its own: links, other names, and files of other users are refused and left as they were."""

import os
import stat
import sys
from pathlib import Path

import pytest

from fielding_async import ConfigurationError, Pause, journal_rows, read_journal
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import applied, session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that another program keeps, empty as a lock file is: what a journal would fill."""
    file = tmp_path / "victim"
    file.touch()
    file.chmod(0o640)
    return file


async def refused(sandbox: Sandbox, path: Path, match: str) -> None:
    """Hold that a batch is refused with this message, and that nothing is sent."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match=match) as caught:
            async with fielding.perform_all([(ref, Pause())], journal=path):
                raise AssertionError("it was entered")
    assert str(path) in str(caught.value)
    assert not sandbox.requests


async def performed(sandbox: Sandbox, path: Path) -> None:
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding, fielding.perform_all([(ref, Pause())], journal=path) as batch:
        assert [done.error async for done in batch] == [None]


async def test_a_symbolic_link_is_refused_and_its_target_left_alone(sandbox: Sandbox, path: Path, victim: Path) -> None:
    """Neither filled nor made private: an empty target, one that a link names across two links, one that is missing."""
    missing, chain = victim.with_name("missing"), victim.with_name("chain")
    chain.symlink_to(victim)
    for target in (victim, chain, missing):
        path.symlink_to(target)
        await refused(sandbox, path, "is a symbolic link.*name the file itself")
        path.unlink()
    assert (victim.read_bytes(), stat.S_IMODE(victim.stat().st_mode)) == (b"", 0o640)
    assert not missing.exists()


async def test_a_link_to_a_journal_is_refused_for_reading_too(sandbox: Sandbox, path: Path) -> None:
    """The journal itself can be read, the link to it cannot: what is read and what is written are one file."""
    await performed(sandbox, path)
    link = path.with_name("link")
    link.symlink_to(path)
    assert read_journal(path).counts.done == 1
    with pytest.raises(ConfigurationError, match=r"link'.*is a symbolic link"):
        read_journal(link)
    with pytest.raises(ConfigurationError, match=r"link'.*is a symbolic link"):
        list(journal_rows(link))


async def test_a_folder_may_be_a_link(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only the file itself must be none: a home or a temporary folder often is."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    await performed(sandbox, tmp_path / "folder" / "rows.journal")
    assert read_journal(tmp_path / "real" / "rows.journal").counts.done == 1


async def test_a_file_with_a_second_name_is_refused(sandbox: Sandbox, path: Path, victim: Path) -> None:
    """A hard link to an empty file is neither filled nor made private, and the error says how to go on."""
    path.hardlink_to(victim)
    await refused(sandbox, path, r"has 2 names \(hard links\).*copy it")
    assert (victim.read_bytes(), stat.S_IMODE(victim.stat().st_mode)) == (b"", 0o640)


async def test_a_journal_with_a_second_name_can_be_read(sandbox: Sandbox, path: Path) -> None:
    """Backups that are hard links do not keep a journal from being read; a copy of it is gone on with."""
    await performed(sandbox, path)
    path.with_name("backup").hardlink_to(path)
    assert read_journal(path).counts.done == 1
    before = len(sandbox.requests)
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="hard links"):
            async with fielding.perform_all([(sandbox.add_run("live"), Pause())], journal=path):
                raise AssertionError("it was entered")
    assert len(sandbox.requests) == before


async def test_a_link_that_takes_the_journals_place_is_not_followed(
    sandbox: Sandbox, path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal replaced by a link to itself between opening and locking is refused: it is not the file at its path."""
    real_open = os.open

    def opened(name: str, *arguments: int) -> int:
        fd = real_open(name, *arguments)
        if name == str(path) and not path.is_symlink():
            path.rename(victim)
            path.symlink_to(victim)
        return fd

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opened)
        await refused(sandbox, path, "is a symbolic link")
    assert victim.read_bytes() == b""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give files away")
async def test_an_empty_file_of_another_user_is_not_filled(sandbox: Sandbox, path: Path) -> None:
    """Its owner could read and change the journal, whatever its mode; root goes on with what a user began."""
    path.touch(0o600)
    os.chown(path, 12345, 12345)
    await refused(sandbox, path, "belongs to another user.*name another file")
    assert path.read_bytes() == b""
    path.unlink()
    await performed(sandbox, path)
    path.chmod(0o640)
    os.chown(path, 12345, 12345)
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="row 0 is not the one on record"):
            async with fielding.perform_all([(ref, Pause())], journal=path) as batch:
                assert [done async for done in batch]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert len(applied(sandbox)) == 1


async def test_a_journal_of_another_user_is_gone_on_with_by_root_alone(
    sandbox: Sandbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others could be made to believe that rows have ended which have not."""
    await performed(sandbox, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="belongs to another user"):
            async with fielding.perform_all([], journal=path):
                raise AssertionError("it was entered")
    assert path.read_bytes() == before


async def test_where_links_cannot_be_refused_on_opening_they_are_looked_for(
    sandbox: Sandbox, path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without `O_NOFOLLOW`, such as Windows, refuses a link all the same."""
    monkeypatch.delattr(os, "O_NOFOLLOW")
    path.symlink_to(victim)
    await refused(sandbox, path, "is a symbolic link")
    with pytest.raises(ConfigurationError, match="is a symbolic link"):
        read_journal(path)
    assert victim.read_bytes() == b""
