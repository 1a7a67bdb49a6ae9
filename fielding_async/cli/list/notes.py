"""The notes that a list writes to stderr. Pure."""

from fielding_async.cli.shared.output import counted

__all__ = ["list_notes"]


def list_notes(count: int, limit: int | None, vanished: int) -> list[str]:
    """Return the notes on a list of `count` entries.

    `limit`: the value of `--limit`. `vanished`: how many target groups were listed, but gone when their runs were read.
    """
    notes = [f"--limit {limit} is reached: there may be more"] if count == limit else []
    return [*notes, f"{counted(vanished, 'target group')} vanished while the list was read"] if vanished else notes
