"""Each server does what it is said to do, to the request: sequences computed by hand."""

from copy import deepcopy

import pytest

from .servers import (
    Counter,
    CountsRefused,
    FixedWindow,
    Free,
    Gcra,
    InFlight,
    Moving,
    Nginx,
    Obedience,
    RetryAfter,
    Several,
    SlidingCounter,
    SlidingLog,
    TokenBucket,
    told,
)

# The server, when requests arrive, and what each meets: 0 if it passes, else the seconds until one would.
SEQUENCES: list[tuple[str, Counter, list[float], list[float]]] = [
    ("free", Free(), [0, 0, 0], [0, 0, 0]),
    ("2 in a fixed window", FixedWindow(2, 1.0), [0, 0.1, 0.4, 0.9, 1.0, 1.2, 1.5], [0, 0, 0.6, 0.1, 0, 0, 0.5]),
    ("0.7 s into it", FixedWindow(1, 1.0, -0.7), [0, 0.1, 0.3, 0.4, 5.2, 5.25, 5.3], [0, 0.2, 0, 0.9, 0, 0.05, 0]),
    ("2 in any second", SlidingLog(2, 1.0), [0, 0.4, 0.5, 1.0, 1.1, 1.4], [0, 0, 0.5, 0, 0.3, 0]),
    # Counter of 4: at 1.25 three quarters of the 4 before still count, so one passes; at 1.5 a half does.
    (
        "4 in an estimated second",
        SlidingCounter(4, 1.0),
        [0, 0.1, 0.2, 0.3, 0.4, 1.0, 1.25, 1.3, 1.5, 1.6],
        [0, 0, 0, 0, 0.85, 0.25, 0, 0.2, 0, 0.15],
    ),
    ("a window without any between", SlidingCounter(1, 1.0), [0, 0.5, 2.5], [0, 1.5, 0]),
    # The refused one at 0.5 counts, so at 1.5 a half of 3 still does; the refused one there means none before 2.0.
    ("2, refused ones count", CountsRefused(2, 1.0), [0, 0.1, 0.5, 1.5, 2.5], [0, 0, 1 + 2 / 3 - 0.5, 0.5, 0]),
    (
        "2/s and 2 at once",
        TokenBucket(2.0, 2),
        [0, 0, 0, 0.25, 0.5, 0.6, 9, 9, 9],
        [0, 0, 0.5, 0.25, 0, 0.4, 0, 0, 0.5],
    ),
    ("GCRA, 2/s and 2 at once", Gcra(2.0, 2), [0, 0, 0, 0.5, 0.5, 9, 9, 9], [0, 0, 0.5, 0, 0.5, 0, 0, 0.5]),
    ("strict spacing", Gcra(10.0), [0, 0.05, 0.1, 0.19, 0.25, 0.34], [0, 0.05, 0, 0.01, 0, 0.01]),
    # nginx counts milliseconds: 0.0999 is 99 of them.
    ("nginx without burst", Nginx(10.0), [0, 0.0999, 0.1, 0.15, 0.25], [0, 0.001, 0, 0.05, 0]),
    ("nginx, burst of 2", Nginx(10.0, 2), [0, 0, 0, 0, 0.1, 0.1, 0.5], [0, 0, 0, 0.1, 0, 0.1, 0]),
    ("2 in flight, 0.3 s each", InFlight(2, 0.3), [0, 0.1, 0.2, 0.3, 0.35, 0.4], [0, 0, 0.1, 0, 0.05, 0]),
    ("two limits", Several(Gcra(10.0), FixedWindow(2, 1.0)), [0, 0.05, 0.1, 0.2, 1.0], [0, 0.05, 0, 0.8, 0]),
    ("one that falls", Moving([(0, Gcra(10.0)), (1, Gcra(1.0))]), [0, 0.95, 1.0, 1.1, 2], [0, 0, 0, 0.9, 0]),
    ("one that rises, soon", Moving([(0, Gcra(0.1)), (1, Gcra(10.0))]), [0, 0.4, 1.0, 1.05], [0, 0.6, 0, 0.05]),
    # Who is refused at 0.1 is told 1 s: 0.5 is refused although the limit has room.
    ("told 1 s", Obedience(Gcra(5.0), "always 1"), [0, 0.1, 0.5, 1.1, 1.15], [0, 1.0, 0.6, 0, 1.0]),
]


@pytest.mark.parametrize(
    ("server", "times", "expected"), [row[1:] for row in SEQUENCES], ids=[row[0] for row in SEQUENCES]
)
def test_a_server_counts_as_it_is_said_to(server: Counter, times: list[float], expected: list[float]) -> None:
    """What passes, and how long what does not would have to wait."""
    server = deepcopy(server)
    assert [server.hit(at) for at in times] == pytest.approx(expected, abs=1e-6)


def test_what_waits_as_long_as_it_is_told_passes() -> None:
    """The seconds until a request passes are right for every server: not a millisecond less would do."""
    for name, fresh, times, _ in SEQUENCES:
        server = deepcopy(fresh)
        now = times[-1]
        for _ in range(50):
            wait = server.hit(now)
            if not wait:
                continue
            if wait > 0.002:
                assert server.wait(now + wait - 0.0015) > 0, name
            now += wait
            assert server.hit(now) == 0, name


def test_replies_are_late_where_the_server_holds_requests_back() -> None:
    """Nginx with delay replies when the request would have been on time; a limit in flight after its service time."""
    server = Nginx(10.0, 3, delay=True)
    late: list[float] = []
    for at in (0.0, 0.0, 0.05, 0.4):
        assert server.hit(at) == 0
        late.append(server.reply_after)
    assert late == pytest.approx([0.0, 0.1, 0.15, 0.0])
    assert InFlight(1, 0.25).reply_after == 0.25
    both = Several(InFlight(1, 0.25), Gcra(100.0))
    assert both.hit(0.0) == 0
    assert both.reply_after == 0.25


@pytest.mark.parametrize(
    ("style", "wait", "at", "seconds"),
    [
        ("exact", 0.0123, 0.0, 0.013),
        ("exact", 0.0, 0.0, 0.001),
        ("rounded up", 0.2, 0.0, 1.0),
        ("rounded up", 2.0, 0.0, 2.0),
        ("rounded up", 2.1, 0.0, 3.0),
        ("always 1", 9.0, 0.0, 1.0),
        ("always 5", 0.1, 0.0, 5.0),
        ("date", 0.3, 10.5, 1.0),  # sent in the second 10, for the second 11
        ("date", 0.7, 10.5, 2.0),  # for 11.2, so for the second 12
        ("date", 0.0, 10.0, None),  # now
        ("absent", 1.0, 0.0, None),
        ("zero", 1.0, 0.0, None),
    ],
)
def test_a_retry_after_is_written_in_each_way(style: RetryAfter, wait: float, at: float, seconds: float | None) -> None:
    """Seconds as a client reads them: exact, rounded, a constant, a date, or none."""
    assert told(style, wait, at) == seconds
