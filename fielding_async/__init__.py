"""fielding-async: run survey fieldwork on Cint's exchange without thinking about ETags, 412s, 429s or lost replies.

    async with FieldingSession() as fielding:
        run = fielding.run(account_id, project_id, target_group_id, fielding_run_id)
        await run.launch_now()

Names are loaded when first used, so that importing the package (a pytest plugin does, in every test run) costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .__about__ import __version__

if TYPE_CHECKING:
    from .batch.batch import Batch as Batch
    from .batch.perform_all import PerformAll as PerformAll
    from .core.actions import Action as Action
    from .core.actions import Change as Change
    from .core.actions import Complete as Complete
    from .core.actions import LaunchNow as LaunchNow
    from .core.actions import Pause as Pause
    from .core.actions import Relaunch as Relaunch
    from .core.actions import Resume as Resume
    from .core.actions import Update as Update
    from .core.batch_values import Done as Done
    from .core.batch_values import Leftover as Leftover
    from .core.batch_values import Outage as Outage
    from .core.config import Limits as Limits
    from .core.config import Retry as Retry
    from .core.config import Timeout as Timeout
    from .core.credentials import Auth as Auth
    from .core.credentials import BearerToken as BearerToken
    from .core.credentials import ClientCredentials as ClientCredentials
    from .core.errors import APIError as APIError
    from .core.errors import AuthenticationError as AuthenticationError
    from .core.errors import BadRequestError as BadRequestError
    from .core.errors import ConfigurationError as ConfigurationError
    from .core.errors import DeadlineExceededError as DeadlineExceededError
    from .core.errors import FieldingError as FieldingError
    from .core.errors import InvalidRunStateError as InvalidRunStateError
    from .core.errors import JobFailedError as JobFailedError
    from .core.errors import JournalError as JournalError
    from .core.errors import NotFoundError as NotFoundError
    from .core.errors import OutcomeUnknownError as OutcomeUnknownError
    from .core.errors import OutcomeUnknownTimeoutError as OutcomeUnknownTimeoutError
    from .core.errors import PermissionDeniedError as PermissionDeniedError
    from .core.errors import PreconditionFailedError as PreconditionFailedError
    from .core.errors import ProtocolError as ProtocolError
    from .core.errors import RateLimitError as RateLimitError
    from .core.errors import ServerError as ServerError
    from .core.errors import SessionClosedError as SessionClosedError
    from .core.errors import SkippedError as SkippedError
    from .core.errors import TransportError as TransportError
    from .core.job_results import BatchResult as BatchResult
    from .core.job_results import DraftResult as DraftResult
    from .core.models import FailedTargetGroup as FailedTargetGroup
    from .core.models import Failure as Failure
    from .core.models import FailureDetail as FailureDetail
    from .core.models import FieldingRun as FieldingRun
    from .core.models import InvalidParam as InvalidParam
    from .core.models import Outcome as Outcome
    from .core.models import RunRef as RunRef
    from .core.models import RunStatus as RunStatus
    from .core.models import SessionStats as SessionStats
    from .handles.job import BatchJob as BatchJob
    from .handles.job import DraftJob as DraftJob
    from .handles.project import Project as Project
    from .handles.run import Run as Run
    from .handles.target_group import TargetGroup as TargetGroup
    from .journal.reader import journal_events as journal_events
    from .journal.reader import journal_rows as journal_rows
    from .journal.reader import read_journal as read_journal
    from .journal.values import JournalCounts as JournalCounts
    from .journal.values import JournalEvent as JournalEvent
    from .journal.values import JournalRow as JournalRow
    from .journal.values import JournalSummary as JournalSummary
    from .session import FieldingSession as FieldingSession
    from .telemetry.incoming_context import trace_context as trace_context

_HOME_OF = {
    "Action": "core.actions",
    "Change": "core.actions",
    "Complete": "core.actions",
    "LaunchNow": "core.actions",
    "Pause": "core.actions",
    "Relaunch": "core.actions",
    "Resume": "core.actions",
    "Update": "core.actions",
    "Auth": "core.credentials",
    "BearerToken": "core.credentials",
    "ClientCredentials": "core.credentials",
    "Done": "core.batch_values",
    "Leftover": "core.batch_values",
    "Outage": "core.batch_values",
    "Batch": "batch.batch",
    "Limits": "core.config",
    "Retry": "core.config",
    "Timeout": "core.config",
    "APIError": "core.errors",
    "AuthenticationError": "core.errors",
    "BadRequestError": "core.errors",
    "ConfigurationError": "core.errors",
    "DeadlineExceededError": "core.errors",
    "FieldingError": "core.errors",
    "InvalidRunStateError": "core.errors",
    "JobFailedError": "core.errors",
    "JournalError": "core.errors",
    "NotFoundError": "core.errors",
    "OutcomeUnknownError": "core.errors",
    "OutcomeUnknownTimeoutError": "core.errors",
    "PermissionDeniedError": "core.errors",
    "PreconditionFailedError": "core.errors",
    "ProtocolError": "core.errors",
    "RateLimitError": "core.errors",
    "ServerError": "core.errors",
    "SessionClosedError": "core.errors",
    "SkippedError": "core.errors",
    "TransportError": "core.errors",
    "Run": "handles.run",
    "TargetGroup": "handles.target_group",
    "trace_context": "telemetry.incoming_context",
    "BatchJob": "handles.job",
    "DraftJob": "handles.job",
    "journal_events": "journal.reader",
    "journal_rows": "journal.reader",
    "read_journal": "journal.reader",
    "JournalCounts": "journal.values",
    "JournalEvent": "journal.values",
    "JournalRow": "journal.values",
    "JournalSummary": "journal.values",
    "FailedTargetGroup": "core.models",
    "Failure": "core.models",
    "FailureDetail": "core.models",
    "FieldingRun": "core.models",
    "InvalidParam": "core.models",
    "Outcome": "core.models",
    "RunRef": "core.models",
    "RunStatus": "core.models",
    "SessionStats": "core.models",
    "PerformAll": "batch.perform_all",
    "Project": "handles.project",
    "BatchResult": "core.job_results",
    "DraftResult": "core.job_results",
    "FieldingSession": "session",
}

__all__ = [
    "APIError",
    "Action",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "Batch",
    "BatchJob",
    "BatchResult",
    "BearerToken",
    "Change",
    "ClientCredentials",
    "Complete",
    "ConfigurationError",
    "DeadlineExceededError",
    "Done",
    "DraftJob",
    "DraftResult",
    "FailedTargetGroup",
    "Failure",
    "FailureDetail",
    "FieldingError",
    "FieldingRun",
    "FieldingSession",
    "InvalidParam",
    "InvalidRunStateError",
    "JobFailedError",
    "JournalCounts",
    "JournalError",
    "JournalEvent",
    "JournalRow",
    "JournalSummary",
    "LaunchNow",
    "Leftover",
    "Limits",
    "NotFoundError",
    "Outage",
    "Outcome",
    "OutcomeUnknownError",
    "OutcomeUnknownTimeoutError",
    "Pause",
    "PerformAll",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "Project",
    "ProtocolError",
    "RateLimitError",
    "Relaunch",
    "Resume",
    "Retry",
    "Run",
    "RunRef",
    "RunStatus",
    "ServerError",
    "SessionClosedError",
    "SessionStats",
    "SkippedError",
    "TargetGroup",
    "Timeout",
    "TransportError",
    "Update",
    "__version__",
    "journal_events",
    "journal_rows",
    "read_journal",
    "trace_context",
]


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
