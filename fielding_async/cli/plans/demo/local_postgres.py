"""Starts this machine's PostgreSQL in a temporary folder, reached by a socket that only this user can open."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = ["NoPostgresError", "local_postgres"]

_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
_INSTALL = (
    "install it (Debian, Ubuntu: apt install postgresql; Fedora: dnf install postgresql-server; macOS: brew install"
    " postgresql), or set FIELDING_PLANS_URL to a database"
)
_READY_SECONDS = 60.0
_PORT = "5432"  # of the socket's name: nothing listens on the network


class NoPostgresError(Exception):
    """There is no PostgreSQL on this machine, or it does not start; the text says what to do."""


def _find(program: str) -> str:
    folders = [str(path) for pattern in _FOLDERS for path in sorted(Path("/").glob(pattern[1:]), reverse=True)]
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *folders]))
    if found is None:
        raise NoPostgresError(f"there is no {program} on this machine, which the demo needs: {_INSTALL}")
    return found


def _user(folder: Path) -> dict[str, Any]:
    """Return what starts a program as another user if we are root, as whom PostgreSQL refuses to run."""
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    import pwd  # not on Windows

    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def local_postgres() -> Generator[str]:
    """Give the URL of a database that lasts as long as the block. Raises `NoPostgresError`."""
    initdb, postgres = _find("initdb"), _find("postgres")
    with tempfile.TemporaryDirectory(prefix="fielding-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        options: dict[str, Any] = {
            "cwd": folder,
            "stdin": subprocess.DEVNULL,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            **_user(folder),
        }
        made = subprocess.run(  # noqa: S603 - programs of this machine, words of ours
            [initdb, "-D", str(folder / "data"), "-U", "fielding", "-A", "trust", "-E", "UTF8", "-N"],
            check=False,
            capture_output=True,
            text=True,
            **options,
        )
        if made.returncode:
            raise NoPostgresError(f"initdb failed: {_last_line(made.stderr)}")
        settings = (f"unix_socket_directories={folder}", "listen_addresses=", f"port={_PORT}", "fsync=off")
        words = [postgres, "-D", str(folder / "data"), *(word for setting in settings for word in ("-c", setting))]
        with (folder / "log").open("wb") as log:
            # a session of its own: Ctrl-C is for the demo, which ends it
            server = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, **options)  # noqa: S603
        try:
            _wait_ready(server, folder)
            yield f"postgresql://fielding@/postgres?host={quote(str(folder), safe='')}&port={_PORT}"
        finally:
            server.send_signal(signal.SIGINT)  # it ends sessions and stops, without waiting for anybody
            with suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()
            server.wait()


def _wait_ready(server: "subprocess.Popen[Any]", folder: Path) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError):
            lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready":
                return
        time.sleep(0.05)
    raise NoPostgresError(f"PostgreSQL did not start: {_last_line((folder / 'log').read_text(errors='replace'))}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
