"""What one `fielding apply` was asked to do: its arguments, checked."""

import shlex
from pathlib import Path

from attrs import frozen

from fielding_async.core.models import OnConflict

__all__ = ["Order"]


@frozen(kw_only=True)
class Order:
    """The arguments and options of the command.

    `is_lasting`: the plan can be read again later, under this name. `sandbox`: the server says that it is a sandbox.
    `words`: the command that continues the plan. `page`: where the report is written, if it is.
    """

    plan: str
    is_lasting: bool
    journal: Path
    sandbox: bool
    base_url: str
    concurrency: int
    rate: float | None
    on_conflict: OnConflict
    fail_fast: bool
    as_json: bool
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
