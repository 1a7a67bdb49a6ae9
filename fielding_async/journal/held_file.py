"""Keeps batches out of a journal while it is read."""

import os
from collections.abc import Generator
from contextlib import contextmanager

from fielding_async.core.errors import ConfigurationError

from .locked_file import lock, unlock
from .reader import check_path
from .regular_file import open_regular

__all__ = ["held"]


@contextmanager
def held(path: "str | os.PathLike[str]") -> Generator[None]:
    """Lock a journal for the length of the block: no batch writes it meanwhile.

    Raises `ConfigurationError` if it is in use by a batch, or cannot be opened.
    """
    text = check_path(path)
    name = f"journal={text!r}"
    try:
        fd = open_regular(text, os.O_RDONLY, name)
    except OSError as error:
        raise ConfigurationError(
            f"{name}: cannot be read: {error.strerror or error}: name a file that can be read"
        ) from error
    try:
        try:
            is_free = lock(fd)
        except OSError as error:
            raise ConfigurationError(
                f"{name}: cannot be locked: {error.strerror or error}: use a file system that has locks"
            ) from error
        if not is_free:
            raise ConfigurationError(f"{name}: is in use by a batch: wait for its end, or stop it")
        try:
            yield
        finally:
            unlock(fd)
    finally:
        os.close(fd)
