"""The judge of the kill runs finds each kind of breach in doctored logs, and nothing where nothing is wrong."""

from collections.abc import Callable

import pytest
from attrs import evolve

from .judge import breaches
from .records import AppliedWrite, Evidence, PlannedRow, RecordedIntent, ReportedRow, read_shard

EFFECTS = ("accepted", "accepted", "already", "unconfirmed", "accepted", "accepted")
WHATS = ("pause", "resume", "resume", "update 2031", "pause", "resume")


def honest() -> Evidence:
    """Return what is left after a run in which all went well: six rows of one run, 1,200 others of one run each."""
    rows = [PlannedRow(number, "a", what) for number, what in enumerate(WHATS)]
    reports = [
        ReportedRow(number, "done", effect, f"t{number}", f"v{number + 2}" if effect == "accepted" else None)
        for number, effect in enumerate(EFFECTS)
    ]
    etags = ("v1", "v2", "v3", "v3", "v5", "v6")
    after = ("v2", "v3", "", "v4", "v6", "v7")
    traces = ("t0", "dead", "", "lost", "t4", "t5")  # of the second row the writer died
    writes = [
        AppliedWrite(number + 1, "a", WHATS[number], etags[number], after[number], traces[number])
        for number in (0, 1, 3, 4, 5)
    ]
    intents = {number: [RecordedIntent(number, etags[number], 1)] for number in (0, 1, 3, 4, 5)}
    reports[1] = evolve(reports[1], etag="v3")
    for number in range(6, 1206):
        rows.append(PlannedRow(number, f"run{number}", "pause"))
        reports.append(ReportedRow(number, "done", "accepted", f"t{number}", "v2"))
        writes.append(AppliedWrite(number + 1, f"run{number}", "pause", "v1", "v2", f"t{number}"))
        intents[number] = [RecordedIntent(number, "v1", 1)]
    return Evidence(rows, writes, intents, reports, {"done": len(rows)})


def test_an_honest_run_has_no_breach() -> None:
    """Accepted rows with a write each, one of a dead writer, rows without: nothing is found."""
    assert breaches(honest()) == []


def test_an_unknown_row_may_have_a_write() -> None:
    """The write of a row that is unknown may be there or not."""
    evidence = honest()
    unknown = ReportedRow(3, "unknown", trace="t3")
    evidence.reports = [unknown if report.number == 3 else report for report in evidence.reports]
    evidence.counts = {"done": len(evidence.rows) - 1, "unknown": 1}
    assert breaches(evidence) == []
    evidence.writes = [write for write in evidence.writes if write.trace != "lost"]
    assert breaches(evidence) == []


def lost_and_unconfirmed(evidence: Evidence) -> None:
    """Report a row as unconfirmed that was not applied."""
    evidence.writes = [write for write in evidence.writes if write.trace != "lost"]


def twice(evidence: Evidence) -> None:
    """Apply the first row twice, under the same ETag, as where ETags return."""
    evidence.writes = [*evidence.writes, AppliedWrite(1, "a", "pause", "v1", "v2", "dead")]


def twice_by_another(evidence: Evidence) -> None:
    """Apply the write of another run twice."""
    evidence.writes = [*evidence.writes, AppliedWrite(9000, "run9", "pause", "v1", "v2", "t9")]


def never_applied(evidence: Evidence) -> None:
    """Report a row as accepted that was not applied."""
    evidence.writes = [write for write in evidence.writes if write.run != "run7"]


def already_but_applied(evidence: Evidence) -> None:
    """Report a row as already that was applied."""
    evidence.reports = [
        evolve(report, effect="already", etag=None) if report.number == 8 else report for report in evidence.reports
    ]


def failed_but_applied(evidence: Evidence) -> None:
    """Report a row as failed that was applied."""
    evidence.reports = [
        ReportedRow(8, "failed", trace="t8") if report.number == 8 else report for report in evidence.reports
    ]
    evidence.counts = {"done": len(evidence.rows) - 1, "failed": 1}


def out_of_order(evidence: Evidence) -> None:
    """Apply the last two rows of a run in the other order."""
    turned = {5: evolve(evidence.writes[4], seq=5), 6: evolve(evidence.writes[3], seq=6)}
    evidence.writes = [turned.get(write.seq, write) if write.run == "a" else write for write in evidence.writes]


def not_on_record(evidence: Evidence) -> None:
    """Apply a write whose intent is not on record."""
    evidence.intents = {number: intents for number, intents in evidence.intents.items() if number != 8}


def another_etag(evidence: Evidence) -> None:
    """Report another ETag than the exchange gave."""
    evidence.reports = [evolve(report, etag="v9") if report.number == 8 else report for report in evidence.reports]


def of_nobody(evidence: Evidence) -> None:
    """Apply something to a run that no row is about."""
    evidence.writes = [*evidence.writes, AppliedWrite(9000, "z", "pause", "v1", "v2", "t")]


def not_asked_for(evidence: Evidence) -> None:
    """Apply what no row asks for."""
    evidence.writes = [*evidence.writes, AppliedWrite(9000, "run8", "complete", "v2", "v3", "dead")]


def lost(evidence: Evidence) -> None:
    """Leave a row out of the report."""
    evidence.reports = [report for report in evidence.reports if report.number != 8]
    evidence.counts = {"done": len(evidence.rows) - 1}


def not_ended(evidence: Evidence) -> None:
    """Leave a row in flight."""
    evidence.reports = [ReportedRow(8, "in flight") if report.number == 8 else report for report in evidence.reports]
    evidence.counts = {"done": len(evidence.rows) - 1}


def miscounted(evidence: Evidence) -> None:
    """Count one row more than there are."""
    evidence.counts = {"done": len(evidence.rows) + 1}


def reported_twice(evidence: Evidence) -> None:
    """Report a row twice."""
    evidence.reports = [*evidence.reports, evidence.reports[8]]


def many_unknown(evidence: Evidence) -> None:
    """Let seven of 1,206 rows be unknown."""
    evidence.reports = [
        ReportedRow(report.number, "unknown", trace=report.trace) if 10 <= report.number < 17 else report
        for report in evidence.reports
    ]
    evidence.counts = {"done": len(evidence.rows) - 7, "unknown": 7}


DOCTORED: list[tuple[Callable[[Evidence], None], str]] = [
    (twice, "run a: applied more often than reported"),
    (twice_by_another, "run run9: applied more often than reported"),
    (never_applied, "run run7: reported as accepted or unconfirmed, but not applied"),
    (lost_and_unconfirmed, "run a: reported as accepted or unconfirmed, but not applied"),
    (already_but_applied, "run run8: reported as already, but applied"),
    (failed_but_applied, "run run8: applied more often than reported"),
    (out_of_order, "run a: applied out of order"),
    (not_on_record, "run run8: applied under an ETag that is on record for no such row"),
    (another_etag, "run run8: applied under an ETag that is on record for no such row, or accepted under another one"),
    (of_nobody, "writes to run z, which has no rows"),
    (not_asked_for, "run run8: applied what no row, or fewer rows ask for"),
    (lost, "row 8 is lost: it is not reported"),
    (not_ended, "row 8 is lost: it has not ended, but is in flight"),
    (miscounted, "the plan counts 1207 rows as done, its rows are 1206"),
    (reported_twice, "row 8 is reported twice"),
    (many_unknown, "0.58% of the rows are unknown"),
]


@pytest.mark.parametrize(("doctor", "told"), DOCTORED)
def test_a_doctored_log_is_found_out(doctor: Callable[[Evidence], None], told: str) -> None:
    """Each kind of breach is found, by its name, and nothing else with it."""
    evidence = honest()
    doctor(evidence)
    found = breaches(evidence)
    assert len(found) == 1
    assert found[0].startswith(told), found


def test_rows_in_flight_at_a_takeover_are_counted() -> None:
    """A row whose intent has no end when the next epoch begins was taken over in flight; one that ended was not."""
    groups = [
        (1, b'{"fielding_journal":2}\n'),
        (1, b'{"commit":1}\n{"intent":0,"etag":"a"}\n{"intent":1,"etag":"b"}\n'),
        (1, b'{"commit":2}\n{"end":0}\n{"intent":2,"etag":"c"}\n{"settled":2}\n'),
        (3, b'{"commit":3}\n{"intent":1,"etag":"d"}\n'),
        (4, b'{"commit":4}\n{"end":1}\n{"end":2}\n'),
    ]
    log = read_shard(groups, [10, 11, 12])
    assert log.taken_over == {11: 2}
    assert log.intents[11] == [RecordedIntent(11, "b", 1), RecordedIntent(11, "d", 3)]
    assert log.ends == {10: 1, 11: 1, 12: 1}
