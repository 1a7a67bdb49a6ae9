"""Whether the reports of a plan agree with what the exchange has applied. Pure.

Of a run, each write that was applied belongs to one row, and the writes are in the order of their rows. Which write is
whose need not be known: the judge looks for one assignment in which everything that is reported is true. A write may
belong to a row that asks for just this, has an intent on record under the ETag that the run had, and is not said by
its trace id to be another row's. Accepted rows have one write; rows that were already so, failed or were skipped none;
`unknown` ones at most one. Nobody else writes to the runs, and no two rows of a run ask for the same one after the
other: so one that is `unconfirmed`, as the run is as it asks for, has one write, too.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from .records import AppliedWrite, Evidence, PlannedRow, RecordedIntent, ReportedRow

__all__ = ["MOST_UNKNOWN", "breaches", "unknown_share"]

MOST_UNKNOWN = 0.005

_ENDED = {"done", "failed", "unknown", "skipped"}
_WRITES = {"accepted": (1, 1), "already": (0, 0), "unconfirmed": (1, 1), "unknown": (0, 1)}
_MOST_NAMED = 50


def unknown_share(evidence: Evidence) -> float:
    """Return the share of the rows that ended as unknown."""
    return sum(report.state == "unknown" for report in evidence.reports) / max(1, len(evidence.rows))


def breaches(evidence: Evidence) -> list[str]:
    """Return what is wrong, in words: nothing, if all is well."""
    found: list[str] = []
    reports: dict[int, ReportedRow] = {}
    for report in evidence.reports:
        if report.number in reports:
            found.append(f"row {report.number} is reported twice")
        reports[report.number] = report
    planned = {row.number for row in evidence.rows}
    found += [f"row {number} is reported, and was never submitted" for number in reports.keys() - planned]
    for row in evidence.rows:
        reported = reports.get(row.number)
        if reported is None:
            found.append(f"row {row.number} is lost: it is not reported")
        elif reported.state not in _ENDED:
            found.append(f"row {row.number} is lost: it has not ended, but is {reported.state}")
    tally = Counter(report.state for report in reports.values() if report.state in _ENDED)
    for state in sorted(_ENDED):
        if evidence.counts.get(state, 0) != tally[state]:
            found.append(
                f"the plan counts {evidence.counts.get(state, 0)} rows as {state}, its rows are {tally[state]}"
            )
    if found:
        return found[:_MOST_NAMED]
    found = _of_runs(evidence, reports)
    if (share := unknown_share(evidence)) >= MOST_UNKNOWN:
        found.append(f"{share:.2%} of the rows are unknown")
    return found[:_MOST_NAMED]


def _of_runs(evidence: Evidence, reports: Mapping[int, ReportedRow]) -> list[str]:
    rows_of: dict[str, list[PlannedRow]] = defaultdict(list)
    for row in evidence.rows:
        rows_of[row.run].append(row)
    writes_of: dict[str, list[AppliedWrite]] = defaultdict(list)
    for write in evidence.writes:
        writes_of[write.run].append(write)
    owners = {report.trace: report.number for report in reports.values() if report.trace}
    found = [f"writes to run {run}, which has no rows" for run in writes_of.keys() - rows_of.keys()]
    for run, rows in rows_of.items():
        case = _Run(rows, writes_of.get(run, []), reports, evidence.intents, owners)
        if not case.holds():
            found.append(f"run {run}: {case.problem()}\n{case.shown()}")
    return found


class _Run:
    """The rows and the writes of one run."""

    def __init__(
        self,
        rows: Sequence[PlannedRow],
        writes: Sequence[AppliedWrite],
        reports: Mapping[int, ReportedRow],
        intents: Mapping[int, Sequence[RecordedIntent]],
        owners: Mapping[str, int],
    ) -> None:
        self._rows = sorted(rows, key=lambda row: row.number)
        self._writes = sorted(writes, key=lambda write: write.seq)
        self._reports = [reports[row.number] for row in self._rows]
        self._etags = [{intent.etag for intent in intents.get(row.number, ())} for row in self._rows]
        self._owners = owners

    def holds(self) -> bool:
        """Whether there is an assignment in which everything that is reported is true."""
        return self._fits(self._bounds, self._may_own)

    def problem(self) -> str:
        """Return what kind of breach it is: the first promise without which all else would agree."""
        if self._fits(lambda row: (self._bounds(row)[0], max(2, self._bounds(row)[1])), self._may_own):
            if any(self._reports[row].effect == "already" for row in range(len(self._rows))) and self._fits(
                self._bounds_if_already_counts, self._may_own
            ):
                return "reported as already, but applied"
            return "applied more often than reported"
        if self._fits(lambda row: (0, self._bounds(row)[1]), self._may_own):
            return "reported as accepted or unconfirmed, but not applied"
        if self._fits(self._bounds, lambda row, write: self._asks_for(row, write) and self._is_owner(row, write)):
            return (
                "applied under an ETag that is on record for no such row, or accepted under another one than reported"
            )
        if Counter(write.what for write in self._writes) <= Counter(row.what for row in self._rows):
            return "applied out of order"
        return "applied what no row, or fewer rows ask for"

    def shown(self) -> str:
        """Return rows and writes, a line each."""
        lines = [
            f"  row {row.number} {row.what}: {report.state} {report.effect} {report.trace} {report.etag},"
            f" intents under {sorted(etags)}"
            for row, report, etags in zip(self._rows, self._reports, self._etags, strict=True)
        ]
        return "\n".join([*lines, *(f"  applied: {write}" for write in self._writes)])

    def _bounds(self, row: int) -> tuple[int, int]:
        report = self._reports[row]
        return _WRITES.get(report.effect or report.state, (0, 0))

    def _bounds_if_already_counts(self, row: int) -> tuple[int, int]:
        return (0, 1) if self._reports[row].effect == "already" else self._bounds(row)

    def _asks_for(self, row: int, write: AppliedWrite) -> bool:
        return self._rows[row].what == write.what

    def _is_owner(self, row: int, write: AppliedWrite) -> bool:
        return self._owners.get(write.trace, self._rows[row].number) == self._rows[row].number

    def _may_own(self, row: int, write: AppliedWrite) -> bool:
        report = self._reports[row]
        told = report.etag if report.effect == "accepted" else None
        return (
            self._asks_for(row, write)
            and self._is_owner(row, write)
            and write.etag_before in self._etags[row]
            and told in {None, write.etag_after}
        )

    def _fits(self, bounds: Callable[[int], tuple[int, int]], may_own: Callable[[int, AppliedWrite], bool]) -> bool:
        """Whether the writes, in order, can be dealt out to the rows, in order, each with as many as its bounds say."""
        reached = {0}  # how many writes may belong to the rows so far
        for row in range(len(self._rows)):
            least, most = bounds(row)
            after: set[int] = set()
            for start in reached:
                taken = 0
                while True:
                    if taken >= least:
                        after.add(start + taken)
                    at = start + taken
                    if taken == most or at == len(self._writes) or not may_own(row, self._writes[at]):
                        break
                    taken += 1
            reached = after
        return len(self._writes) in reached
