"""Opens files that the command line writes, so that no link leads it to another file."""

import os
import secrets
from pathlib import Path

__all__ = ["claim", "open_beside", "open_unlinked"]

_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT")  # no system has all of them


def _flags() -> int:
    flags = 0
    for name in _FLAGS:
        flags |= getattr(os, name, 0)
    return flags


def open_beside(path: Path) -> tuple[Path, int]:
    """Make a new file in the folder of `path`, readable by its owner only; return its path and descriptor.

    Its name cannot be guessed, so that nobody can put a link there first. Raises `OSError`.
    """
    partial = path.with_name(f".fielding-{secrets.token_hex(16)}.partial")
    return partial, os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flags(), 0o600)


def claim(path: Path) -> None:
    """Make an empty file at `path`, readable by its owner only. Raises `OSError` if anything is there, also a link."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flags(), 0o600))


def open_unlinked(path: Path) -> int:
    """Open a file to read it, and return its descriptor. Raises `OSError`, also for a link where the system can."""
    return os.open(path, os.O_RDONLY | _flags())
