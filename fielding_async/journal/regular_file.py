"""Opens the file of a journal so that no other file is read, filled or made private in its place."""

import os
import stat

from fielding_async.core.errors import ConfigurationError

__all__ = ["belongs_to_another_user", "check_single_name", "open_regular"]

_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT")  # no system has all of them


def open_regular(path: str, flags: int, name: str) -> int:
    """Open a regular file that is no symbolic link, and return its descriptor. A new file gets mode 0600.

    Links among the folders above it are followed. Raises `ConfigurationError`, with `name` in front; `OSError`.
    """
    for flag in _FLAGS:
        flags |= getattr(os, flag, 0)
    if not hasattr(os, "O_NOFOLLOW"):
        _check_no_link(path, name)
    try:
        fd = os.open(path, flags, 0o600)
    except OSError:
        _check_no_link(path, name)  # the error number differs from system to system
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ConfigurationError(f"{name}: is not a regular file: name a file")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_no_link(path: str, name: str) -> None:
    if os.path.islink(path):  # noqa: PTH114
        raise ConfigurationError(
            f"{name}: is a symbolic link, through which another file would be read or changed: name the file itself"
        )


def check_single_name(fd: int, name: str) -> None:
    """Refuse a file that has other names: what is written here would show there. Raises `ConfigurationError`."""
    names = os.fstat(fd).st_nlink
    if names > 1:
        raise ConfigurationError(
            f"{name}: has {names} names (hard links), under which another program may keep it: copy it to a file of its"
            " own, and name that"
        )


def belongs_to_another_user(fd: int) -> bool:
    """Whether the file belongs to another user."""
    return hasattr(os, "geteuid") and os.fstat(fd).st_uid != os.geteuid()
