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
    from .actions import Action as Action
    from .actions import Change as Change
    from .actions import Complete as Complete
    from .actions import LaunchNow as LaunchNow
    from .actions import Pause as Pause
    from .actions import Relaunch as Relaunch
    from .actions import Resume as Resume
    from .actions import Update as Update
    from .auth import Auth as Auth
    from .auth import BearerToken as BearerToken
    from .auth import ClientCredentials as ClientCredentials
    from .batches import Done as Done
    from .batches import Leftover as Leftover
    from .bulk import Batch as Batch
    from .config import Limits as Limits
    from .config import Retry as Retry
    from .config import Timeout as Timeout
    from .errors import APIError as APIError
    from .errors import AuthenticationError as AuthenticationError
    from .errors import BadRequestError as BadRequestError
    from .errors import ConfigurationError as ConfigurationError
    from .errors import DeadlineExceededError as DeadlineExceededError
    from .errors import FieldingError as FieldingError
    from .errors import InvalidRunStateError as InvalidRunStateError
    from .errors import JobFailedError as JobFailedError
    from .errors import JournalError as JournalError
    from .errors import NotFoundError as NotFoundError
    from .errors import OutcomeUnknownError as OutcomeUnknownError
    from .errors import OutcomeUnknownTimeoutError as OutcomeUnknownTimeoutError
    from .errors import PermissionDeniedError as PermissionDeniedError
    from .errors import PreconditionFailedError as PreconditionFailedError
    from .errors import ProtocolError as ProtocolError
    from .errors import RateLimitError as RateLimitError
    from .errors import ServerError as ServerError
    from .errors import SessionClosedError as SessionClosedError
    from .errors import SkippedError as SkippedError
    from .errors import TransportError as TransportError
    from .handles import Run as Run
    from .incoming import trace_context as trace_context
    from .jobs import BatchJob as BatchJob
    from .jobs import DraftJob as DraftJob
    from .journal import journal_rows as journal_rows
    from .journal import read_journal as read_journal
    from .journal_values import JournalCounts as JournalCounts
    from .journal_values import JournalRow as JournalRow
    from .journal_values import JournalSummary as JournalSummary
    from .models import FailedTargetGroup as FailedTargetGroup
    from .models import Failure as Failure
    from .models import FailureDetail as FailureDetail
    from .models import FieldingRun as FieldingRun
    from .models import InvalidParam as InvalidParam
    from .models import Outcome as Outcome
    from .models import RunRef as RunRef
    from .models import RunStatus as RunStatus
    from .perform_all import PerformAll as PerformAll
    from .projects import Project as Project
    from .results import BatchResult as BatchResult
    from .results import DraftResult as DraftResult
    from .session import FieldingSession as FieldingSession
    from .target_groups import TargetGroup as TargetGroup

_HOME_OF = {
    "Action": "actions",
    "Change": "actions",
    "Complete": "actions",
    "LaunchNow": "actions",
    "Pause": "actions",
    "Relaunch": "actions",
    "Resume": "actions",
    "Update": "actions",
    "Auth": "auth",
    "BearerToken": "auth",
    "ClientCredentials": "auth",
    "Done": "batches",
    "Leftover": "batches",
    "Batch": "bulk",
    "Limits": "config",
    "Retry": "config",
    "Timeout": "config",
    "APIError": "errors",
    "AuthenticationError": "errors",
    "BadRequestError": "errors",
    "ConfigurationError": "errors",
    "DeadlineExceededError": "errors",
    "FieldingError": "errors",
    "InvalidRunStateError": "errors",
    "JobFailedError": "errors",
    "JournalError": "errors",
    "NotFoundError": "errors",
    "OutcomeUnknownError": "errors",
    "OutcomeUnknownTimeoutError": "errors",
    "PermissionDeniedError": "errors",
    "PreconditionFailedError": "errors",
    "ProtocolError": "errors",
    "RateLimitError": "errors",
    "ServerError": "errors",
    "SessionClosedError": "errors",
    "SkippedError": "errors",
    "TransportError": "errors",
    "Run": "handles",
    "TargetGroup": "target_groups",
    "trace_context": "incoming",
    "BatchJob": "jobs",
    "DraftJob": "jobs",
    "journal_rows": "journal",
    "read_journal": "journal",
    "JournalCounts": "journal_values",
    "JournalRow": "journal_values",
    "JournalSummary": "journal_values",
    "FailedTargetGroup": "models",
    "Failure": "models",
    "FailureDetail": "models",
    "FieldingRun": "models",
    "InvalidParam": "models",
    "Outcome": "models",
    "RunRef": "models",
    "RunStatus": "models",
    "PerformAll": "perform_all",
    "Project": "projects",
    "BatchResult": "results",
    "DraftResult": "results",
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
    "JournalRow",
    "JournalSummary",
    "LaunchNow",
    "Leftover",
    "Limits",
    "NotFoundError",
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
    "SkippedError",
    "TargetGroup",
    "Timeout",
    "TransportError",
    "Update",
    "__version__",
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
