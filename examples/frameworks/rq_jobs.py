"""The jobs of an RQ worker: they pause and resume fielding runs, with one session in each worker process."""

from typing import Any

import run_actions
from session_thread import session_thread


def act(ref: str, action: str) -> dict[str, Any]:
    """Perform an action. What came of it is the result, an unknown outcome too: so that nothing repeats the job."""
    _, known = session_thread().call(lambda fielding: run_actions.act(fielding, ref, action, timeout=30))
    return {"ref": ref} | known
