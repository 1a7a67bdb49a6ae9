"""Writes a page to its file, which then replaces an older page, and nothing else."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from fielding_async.cli.shared.new_files import open_beside, open_unlinked
from fielding_async.core.errors import ConfigurationError

from .document import MARK

__all__ = ["check_page_path", "write_page"]


def check_page_path(option: str, path: Path) -> None:
    """Raise `ConfigurationError` if a page cannot be written to this path: only an older page is replaced."""
    name = f"{option} {path}"
    try:
        found = path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise ConfigurationError(
                f"{name}: there is no folder {path.parent}: make it, or name another file"
            ) from None
        return
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{name}: cannot be used: {getattr(error, 'strerror', None) or error}: name another file"
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{name}: is not a regular file: name another file")
    try:
        with os.fdopen(open_unlinked(path), "rb") as file:
            is_page = file.read(len(MARK)) == MARK.encode()
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror or error}: name another file") from None
    if not is_page and found.st_size:
        raise ConfigurationError(f"{name}: is there already, and is no report: name another file, or remove it")


def write_page(path: Path, text: str) -> None:
    """Write a page, readable by its owner only. The path has the older page or the new one, whole. Raises `OSError`."""
    partial, fd = open_beside(path)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
