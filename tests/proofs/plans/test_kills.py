"""A small kill run: what `python -m tests.proofs.plans` does with a hundred thousand rows."""

from pathlib import Path

import pytest

from tests.tools.services import PostgresServer

from .engines import fleet_of
from .supervise import Etags, Faults, Run, supervise

pytestmark = [pytest.mark.slow, pytest.mark.once]


@pytest.mark.parametrize("etags", ["version", "content"])
def test_killed_and_stopped_workers_perform_each_row_once(
    postgres_server: PostgresServer, tmp_path: Path, etags: Etags
) -> None:
    """Three workers, killed three times and stopped once past a lease, with lost replies: none twice, none lost."""
    run = Run(
        rows=400,
        workers=3,
        etags=etags,
        seed=4,
        faults=Faults(kills=3, stops=1, stop_seconds=1.0),
        seconds=1.0,
        attempt=2.0,
        slack=3.0,
    )
    with postgres_server.fresh_database() as database, fleet_of("bare", run) as make_fleet:
        found = supervise(run, postgres_server, database, tmp_path, make_fleet)
    assert found.breaches == []
    assert found.in_flight > 0, "takeovers met no row in flight: the run proves nothing"
