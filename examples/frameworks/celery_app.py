"""A Celery application whose tasks pause and resume fielding runs, with one session in each worker process."""

import os
from typing import Any

import run_actions
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from session_thread import session_thread

REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("runs", broker=REDIS, backend=REDIS)
app.conf.task_track_started = True  # the result of a task whose worker was killed stays STARTED
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_retry_on_startup = True


@worker_process_init.connect
def open_session(**_: Any) -> None:
    session_thread()  # in the process that runs the tasks, after the fork


@worker_process_shutdown.connect
def close_session(**_: Any) -> None:
    session_thread().stop()


@app.task(name="runs.act")
def act(ref: str, action: str) -> dict[str, Any]:
    """Perform an action. What came of it is the result, an unknown outcome too: so that nothing repeats the task."""
    _, known = session_thread().call(lambda fielding: run_actions.act(fielding, ref, action, timeout=30))
    return {"ref": ref} | known
