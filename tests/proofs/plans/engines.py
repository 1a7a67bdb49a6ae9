"""What runs the workers of a kill run: a bare loop, or the commands of a task queue that stand in the documentation."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.queues.documented import command, write_app
from tests.tools.services import RedisServer
from tests.tools.waits import HANG

from .fleet import ROOT, Fleet
from .supervise import Run

__all__ = ["ENGINES", "MakeFleet", "fleet_of"]

MakeFleet = Callable[[dict[str, str], Path], Fleet]

# the page's own settings are for production: slices of 15 s, a look for unfinished plans each minute
_SESSION = """
from fielding_async import FieldingSession, Timeout


def session() -> FieldingSession:
    return FieldingSession(timeout=Timeout(total=60, attempt={attempt}, connect={attempt}))


"""
_OPTIONS = "session=session, seconds={seconds}, lanes={lanes}"


@contextmanager
def _bare(run: Run, stack: ExitStack) -> Iterator[MakeFleet]:
    """Workers that loop around `plans.work`."""
    arguments = ["--seconds", str(run.seconds), "--attempt", str(run.attempt), "--slack", str(run.slack)]
    words = [sys.executable, "-m", "tests.proofs.plans.worker", run.name, *arguments]
    yield lambda environment, folder: Fleet(words, environment, folder)


def _written(run: Run, name: str, folder: Path, more: str = "") -> None:
    options = _OPTIONS.format(seconds=run.seconds, lanes=2 * run.workers) + more
    write_app(name, folder, options=options, before=_SESSION.format(attempt=run.attempt))


def _environment(environment: dict[str, str], folder: Path) -> dict[str, str]:
    return {**os.environ, **environment, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}


@contextmanager
def _procrastinate(run: Run, stack: ExitStack) -> Iterator[MakeFleet]:
    """Workers of procrastinate, in the database of the plan. One that loses the database ends, and is started anew."""

    def make(environment: dict[str, str], folder: Path) -> Fleet:
        # six columns: each fifth second
        _written(run, "plan_app.py", folder, ', cron="* * * * * */5"')
        subprocess.run(
            command("procrastinate --app=plan_app.app schema"),
            cwd=folder,
            env=_environment(environment, folder),
            check=True,
            timeout=HANG,
            capture_output=True,
        )
        words = command("procrastinate --app=plan_app.app worker")
        return Fleet(words, environment, folder, where=folder, is_restarted=True)

    yield make


@contextmanager
def _taskiq(run: Run, stack: ExitStack) -> Iterator[MakeFleet]:
    """Workers of taskiq over a Redis of their own, and a scheduler."""
    redis = stack.enter_context(RedisServer())

    def make(environment: dict[str, str], folder: Path) -> Fleet:
        _written(run, "plan_broker.py", folder)
        environment["FIELDING_SHARED_URL"] = redis.url
        scheduler = Fleet(
            # the page's schedule is a minute's: at its start the scheduler sends what is due in this minute
            command("taskiq scheduler"),
            environment,
            folder,
            where=folder,
            name="scheduler",
        )
        stack.callback(scheduler.close)
        scheduler.start()
        return Fleet(command("taskiq worker"), environment, folder, where=folder)

    yield make


ENGINES = {"bare": _bare, "procrastinate": _procrastinate, "taskiq": _taskiq}


@contextmanager
def fleet_of(engine: str, run: Run) -> Iterator[MakeFleet]:
    """Yield what makes the fleet of an engine."""
    with ExitStack() as stack, ENGINES[engine](run, stack) as make:
        yield make
