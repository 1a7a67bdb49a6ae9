"""Adapters for task queues, a module each: a task that works on a plan, and a periodic one that starts it.

Users import `fielding_async.queues.procrastinate` and `fielding_async.queues.taskiq`. May be imported by users alone.
Imports `plans` and the public names; the one importer of procrastinate and taskiq.
"""

__all__: list[str] = []
