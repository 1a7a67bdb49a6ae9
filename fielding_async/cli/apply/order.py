"""What one `fielding apply` was asked to do: its arguments, checked."""

import shlex
from pathlib import Path
from typing import Literal

import click
from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import OnConflict

__all__ = ["Order", "check_journal_path", "command_words"]


@frozen(kw_only=True)
class Order:
    """The arguments and options of the command.

    `is_lasting`: the plan can be read again later, under this name. `is_dated`: the journal's name has a date.
    `sandbox`: the server says that it is a sandbox. `check_runs`: of how many rows the run is fetched first.
    `words`: the command that continues the plan. `page`: where the report is
    written, if it is.
    """

    plan: str
    is_lasting: bool
    journal: Path
    is_dated: bool
    sandbox: bool
    base_url: str
    concurrency: int
    rate: float | None
    on_conflict: OnConflict
    fail_fast: bool
    wait: float
    as_json: bool
    check_runs: int | Literal["all"] | None
    words: tuple[str, ...]
    page: Path | None = None

    @property
    def place(self) -> str:
        """The server that the plan is applied to."""
        return f"SANDBOX at {self.base_url}" if self.sandbox else self.base_url

    @property
    def again(self) -> str:
        """The command that continues the plan, quoted for a shell."""
        return shlex.join(self.words)

    def beside(self, kind: str) -> Path:
        """Return the path of the file for `failed` or `unknown` rows: beside the journal, named after the plan.

        Only the suffix `.csv` is removed from the plan's name, so that `a.csv` and `a.jsonl` in one folder have
        different files.
        """
        plan = Path(self.plan)
        stem = plan.stem if plan.suffix == ".csv" else plan.name
        if not self.is_lasting:
            stem = self.journal.stem
        return self.journal.with_name(f"{stem}.{kind}.csv")


def check_journal_path(order: Order) -> None:
    """Refuse a journal at the path of a file of failed rows, which would replace it at the end."""
    if not order.journal.name:
        return  # a folder: refused when the journal is opened
    for path in (order.beside("failed"), order.beside("unknown")):
        if str(order.journal.resolve()).casefold() == str(path.resolve()).casefold():
            raise ConfigurationError(
                f"--journal {order.journal}: rows that do not end well are written there; name another file"
            )


def command_words() -> tuple[str, ...]:
    """Return the command as it was given, without `--fail-fast`: given again, it continues the plan."""
    context = click.get_current_context()
    plan = str(context.params["plan"])
    words = ["fielding", "apply", *([plan] if plan == "-" or not plan.startswith("-") else [])]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        if isinstance(parameter, click.Argument) or value == parameter.default or value is None or name == "fail_fast":
            continue
        option = parameter.opts[0]
        text = f"{value:g}" if isinstance(value, float) else f"{value}"
        words += [option] if value is True else [] if value is False else [option, text]
    return (*words, *(["--", plan] if plan not in words else []))
