"""The pure parts of the benchmarks: what is reported, the limited servers, the oracle and the naive peer."""

import signal
import time
from pathlib import Path

import pytest

from benchmarks.gateway_limits import fifo_waits
from benchmarks.half_speed import half_speed
from benchmarks.limit_live import most_in_a_second
from benchmarks.limit_servers import KINDS, Limit, Phase, Server, ideal_seconds
from benchmarks.report import (
    Section,
    at_least,
    at_most,
    describe_machine,
    markdown,
    paired_ratio,
    plain,
    read_result,
    write_result,
)

pytestmark = pytest.mark.once


def section() -> Section:
    """Return a small section, one of whose claims is not kept."""
    return Section(
        "some",
        "What some cost.",
        ["client", "requests", "ratio"],
        [["ours", 1234, 1.0], ["naive | slow", 5, 0.0123]],
        [at_most("ratio", 1.2, 1.2), at_least("rate", 0.5, 0.95)],
        {"times": [1.0, 2.0]},
    )


def test_a_claim_shows_its_value_its_limit_and_whether_it_holds() -> None:
    """Limits are inclusive, and a broken claim is told in capitals."""
    lines = plain(section()).splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["ratio", "1.20", "1.20", "holds"],
        ["rate", "0.50", "0.95", "DOES", "NOT", "HOLD"],
    ]
    assert "ours             1,234    1.00" in lines
    assert not at_most("", 1.21, 1.2).holds
    assert at_least("", 0.95, 0.95).holds


def test_a_result_is_kept_as_it_was(tmp_path: Path) -> None:
    """What is written is read back, with the machine and nothing that names it or its paths."""
    machine = describe_machine()
    write_result(tmp_path / "results", machine, section())
    assert read_result(tmp_path / "results", "some") == (machine, section())
    assert read_result(tmp_path / "results", "other") is None
    assert str(Path.home()) not in (tmp_path / "results" / "some.json").read_text()


def test_a_report_names_each_machine_once() -> None:
    """Sections of one machine stand under its description; a bar in a cell does not end it."""
    machine = describe_machine()
    text = markdown([(machine, section()), (machine, section())])
    assert text.count("Measured on") == 1
    assert "| naive \\| slow | 5 | 0.0123 |" in text


def test_a_paired_ratio_is_the_median_round_by_round() -> None:
    """A round in which the machine was slow for both does not count for or against anybody."""
    median, low, high = paired_ratio([1.0, 10.0, 1.2, 1.1, 1.0], [1.0, 10.0, 1.0, 1.0, 1.0])
    assert median == 1.0
    assert low <= median <= high < 1.2
    with pytest.raises(ValueError, match="argument"):
        paired_ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_is_never_refused_and_nobody_is_faster(kind: str) -> None:
    """A client that sends when the oracle does is let through; one a little faster is refused."""
    limit = next(Limit.of(one, 10) for one in KINDS if one == kind)
    ideal = ideal_seconds(limit, 100, 0.0)
    assert ideal == pytest.approx(9.9 if kind == "leaky-bucket" else 9.0)
    at = [ideal_seconds(limit, number, 0.0) for number in range(1, 101)]
    server, hasty = Server(limit), Server(limit)
    assert [server.hit(time) for time in at] == [None] * 100
    assert any(hasty.hit(time * 0.95) for time in at)
    assert ideal_seconds(limit, 100, 0.5) >= ideal + 0.5


def test_a_small_bucket_has_a_small_burst() -> None:
    """Of 30 requests at 10/s a bucket of 5 lets 5 pass at once."""
    assert ideal_seconds(Limit.of("token-bucket", 10, burst=5), 30, 0.0) == pytest.approx(2.5)


def test_the_oracle_keeps_calls_first_in_first_out() -> None:
    """Two may pass in any second: what came first passes first, and what comes later waits for it."""
    assert fifo_waits([0.0, 0.1, 0.2, 3.0, 0.3], 2) == pytest.approx([0.0, 0.0, 0.8, 0.8, 0.0])


def test_the_oracle_knows_when_a_limit_falls() -> None:
    """From its second phase on a limit lets the new rate pass."""
    limit = Limit("fixed-window", (Phase(0.0, 100.0), Phase(2.0, 10.0)))
    assert ideal_seconds(limit, 200, 0.0) == pytest.approx(1.0)
    assert ideal_seconds(limit, 230, 0.0) == pytest.approx(4.0)


def test_a_retry_after_is_whole_seconds_and_strict() -> None:
    """A strict server refuses a client until its Retry-After has passed, and nobody else; a lenient one forgets it."""
    strict, lenient = (Server(Limit.of("leaky-bucket", 10, strict=strict)) for strict in (True, False))
    for server in (strict, lenient):
        assert server.hit(0.0, "a") is None
        assert server.hit(0.05, "a") == 1
    assert strict.hit(0.2, "a") == 1
    assert lenient.hit(0.2, "a") is None
    assert strict.hit(0.2, "b") is None
    assert strict.hit(1.05, "a") is None
    assert [arrival.retry_after for arrival in strict.arrivals] == [None, 1, 1, None, None]


def test_the_most_arrivals_in_any_second_are_found() -> None:
    """A second is open at its end, and may begin anywhere."""
    assert most_in_a_second([0.0, 0.6, 0.7, 1.0, 1.5, 1.65, 3.0]) == 4
    assert most_in_a_second([0.0, 1.0, 2.0]) == 1


@pytest.mark.parametrize(("kind", "sends", "ratio"), [("fixed-window", 352, 1.03), ("leaky-bucket", 2772, 10.19)])
def test_the_naive_client_does_as_badly_as_is_known(kind: str, sends: int, ratio: float) -> None:
    """Sleeping in each task for its Retry-After takes these many sends for 100 calls at 10 a second."""
    pytest.importorskip("aiolimiter", reason="the peers are not installed")
    pytest.importorskip("stamina", reason="the peers are not installed")
    from benchmarks.limit_cases import COLD, World, play_case
    from benchmarks.limit_clients import naive

    result, server = play_case(COLD[0], next(one for one in KINDS if one == kind), World(), naive)
    assert (result.failures, result.sends, len(server.arrivals)) == (0, sends, sends)
    assert result.ratio == pytest.approx(ratio, abs=0.01)


def test_half_of_the_processor_is_taken_away() -> None:
    """A process at half speed spins for half of its CPU time, and works at full speed afterwards."""
    before = signal.getsignal(signal.SIGPROF)
    with half_speed() as slowed:
        began = time.process_time()
        while time.process_time() - began < 0.2:
            sum(range(1000))
        share = slowed.spun / (time.process_time() - began)
    assert 0.4 < share < 0.6
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
