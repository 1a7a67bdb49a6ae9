"""Terminals: bash in an empty folder, with the commands `fielding` and `python`, as in an activated environment."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.tools.waits import HANG

from .pages import ROOT

__all__ = ["Terminal"]

PORT = "8080"  # as the pages have it; a free one is taken instead
MARK = "\x1e"  # what ends the output of a block, and begins the line of a command that failed


class Terminal:
    """One bash, which takes blocks one after the other and keeps its variables and jobs, and more for what serves."""

    def __init__(self, folder: Path, instead: Mapping[str, str]) -> None:
        """`instead` has the addresses of real servers for those on the pages."""
        self._folder = folder
        self._hidden = folder / ".harness"
        self._hidden.mkdir()
        for name, command in (("fielding", "-m fielding_async"), ("python", "")):
            script = self._hidden / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
            script.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self._instead = {PORT: self.port, **instead}
        self._opened: list[subprocess.Popen[str]] = []
        self._bash: subprocess.Popen[str] | None = None

    def real(self, text: str) -> str:
        """Return a text of the page with the port and the addresses that are really in use."""
        for shown, real in self._instead.items():
            text = text.replace(shown, real)
        return text

    def _open(self) -> subprocess.Popen[str]:
        path = f"{self._hidden}{os.pathsep}{os.environ['PATH']}"
        more = {"PATH": path, "PYTHONPATH": str(ROOT.parent), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self._folder,
            env=os.environ | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._opened.append(bash)
        return bash

    def _type(self, bash: subprocess.Popen[str], text: str) -> None:
        block = self._hidden / "block"
        block.write_text(self.real(text))
        failed = f'trap \'printf "{MARK}status %s of %s\\n" $? "$BASH_COMMAND"\' ERR'
        assert bash.stdin is not None
        bash.stdin.write(f"{failed}; set -E; . {block} </dev/null; env -0 >{self._hidden}/env; echo {MARK}\n")
        bash.stdin.flush()

    def run(self, text: str) -> str:
        """Run a block to its end; return what it printed, on both of its outputs. A command that fails is an error."""
        if self._bash is None:
            self._bash = self._open()
        self._type(self._bash, text)
        assert self._bash.stdout is not None
        printed: list[str] = []
        watch = threading.Timer(HANG, os.killpg, (self._bash.pid, signal.SIGKILL))
        watch.start()
        try:
            for line in self._bash.stdout:
                if line == f"{MARK}\n":
                    break
                printed.append(line)
            else:
                raise AssertionError(f"the terminal has ended: {text}\n{''.join(printed)}")
        finally:
            watch.cancel()
        shown = "".join(printed)
        assert MARK not in shown, f"{text}\n{shown}"
        return shown

    def settings(self) -> dict[str, str]:
        """Return the settings of the SDK that the page has exported."""
        file = self._hidden / "env"
        pairs = (entry.partition("=") for entry in file.read_text().split("\0")) if file.exists() else ()
        return {name: value for name, _, value in pairs if name.startswith("FIELDING_")}

    def serve(self, text: str) -> None:
        """Type a block that goes on into a terminal of its own, and wait until it listens."""
        bash = self._open()
        self._type(bash, text)
        assert bash.stdout is not None
        threading.Thread(target=bash.stdout.read, daemon=True).start()
        until = time.monotonic() + HANG
        while time.monotonic() < until:
            assert bash.poll() is None, f"ended: {text}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.port)), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"does not listen: {text}")

    def close(self) -> None:
        """Close the terminals, and end whatever they started."""
        for bash in self._opened:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGTERM)
            with contextlib.suppress(BrokenPipeError):
                bash.communicate(timeout=HANG)
