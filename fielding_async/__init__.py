"""fielding-async: run survey fieldwork on Cint's exchange without thinking about ETags, 412s, 429s or lost replies.

    from fielding_async import FieldingSession

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
    from .core.actions import Change as Change
    from .core.actions import Complete as Complete
    from .core.actions import LaunchNow as LaunchNow
    from .core.actions import Pause as Pause
    from .core.actions import Relaunch as Relaunch
    from .core.actions import Resume as Resume
    from .core.actions import Update as Update
    from .core.assistant.assignment import AssistantChange as AssistantChange
    from .core.assistant.assignment import AssistantOutcome as AssistantOutcome
    from .core.assistant.assignment import AssistantRef as AssistantRef
    from .core.assistant.assignment import FieldingAssistant as FieldingAssistant
    from .core.assistant.exact_json import JsonNumber as JsonNumber
    from .core.assistant.modules import AdaptivePacing as AdaptivePacing
    from .core.assistant.modules import DynamicPricing as DynamicPricing
    from .core.assistant.modules import GeminiPacing as GeminiPacing
    from .core.assistant.modules import LinearPacing as LinearPacing
    from .core.assistant.modules import OtherModule as OtherModule
    from .core.assistant.modules import QuotaOverlay as QuotaOverlay
    from .core.assistant.modules import RateCardPricing as RateCardPricing
    from .core.assistant.modules import SoftLaunch as SoftLaunch
    from .core.batch_values import Done as Done
    from .core.batch_values import DoneWithError as DoneWithError
    from .core.batch_values import DoneWithOutcome as DoneWithOutcome
    from .core.batch_values import Leftover as Leftover
    from .core.batch_values import LeftoverState as LeftoverState
    from .core.batch_values import OnRowFailure as OnRowFailure
    from .core.batch_values import Outage as Outage
    from .core.batch_values import StopMode as StopMode
    from .core.config import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
    from .core.config import DefaultTimeout as DefaultTimeout
    from .core.config import Limits as Limits
    from .core.config import Retry as Retry
    from .core.config import Timeout as Timeout
    from .core.config import TimeoutArg as TimeoutArg
    from .core.credentials import Auth as Auth
    from .core.credentials import BearerToken as BearerToken
    from .core.credentials import ClientCredentials as ClientCredentials
    from .core.credentials import TokenSource as TokenSource
    from .core.discovery.changes import TargetGroupChange as TargetGroupChange
    from .core.discovery.found_runs import FoundRun as FoundRun
    from .core.discovery.money import Money as Money
    from .core.discovery.projects import AccountItem as AccountItem
    from .core.discovery.projects import ProjectDetails as ProjectDetails
    from .core.discovery.projects import ProjectItem as ProjectItem
    from .core.discovery.projects import ProjectOverview as ProjectOverview
    from .core.discovery.projects import ProjectStatistics as ProjectStatistics
    from .core.discovery.projects import ProjectStatus as ProjectStatus
    from .core.discovery.target_groups import IssueSuggestion as IssueSuggestion
    from .core.discovery.target_groups import StatisticIssue as StatisticIssue
    from .core.discovery.target_groups import TargetGroupItem as TargetGroupItem
    from .core.discovery.target_groups import TargetGroupOverview as TargetGroupOverview
    from .core.discovery.target_groups import TargetGroupProgress as TargetGroupProgress
    from .core.discovery.target_groups import TargetGroupStatistics as TargetGroupStatistics
    from .core.discovery.target_groups import TargetGroupStatus as TargetGroupStatus
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
    from .core.models import Action as Action
    from .core.models import Effect as Effect
    from .core.models import FailedTargetGroup as FailedTargetGroup
    from .core.models import Failure as Failure
    from .core.models import FailureDetail as FailureDetail
    from .core.models import FieldingRun as FieldingRun
    from .core.models import InvalidParam as InvalidParam
    from .core.models import JobResult as JobResult
    from .core.models import OnConflict as OnConflict
    from .core.models import Outcome as Outcome
    from .core.models import RunRef as RunRef
    from .core.models import RunStatus as RunStatus
    from .core.models import SessionStats as SessionStats
    from .core.wire.raw_response import RawResponse as RawResponse
    from .core.wire.raw_response import ResponseHeaders as ResponseHeaders
    from .handles.account import Account as Account
    from .handles.assistant import Assistant as Assistant
    from .handles.found_runs import FoundRuns as FoundRuns
    from .handles.found_runs import FoundRunsIterator as FoundRunsIterator
    from .handles.job import BatchJob as BatchJob
    from .handles.job import DraftJob as DraftJob
    from .handles.lists import Listing as Listing
    from .handles.lists import ListingIterator as ListingIterator
    from .handles.project import Project as Project
    from .handles.run import Run as Run
    from .handles.target_group import TargetGroup as TargetGroup
    from .journal.reader import journal_events as journal_events
    from .journal.reader import journal_rows as journal_rows
    from .journal.reader import read_journal as read_journal
    from .journal.values import JournalCounts as JournalCounts
    from .journal.values import JournalEvent as JournalEvent
    from .journal.values import JournalEventKind as JournalEventKind
    from .journal.values import JournalRow as JournalRow
    from .journal.values import JournalRowState as JournalRowState
    from .journal.values import JournalSummary as JournalSummary
    from .session import FieldingSession as FieldingSession
    from .telemetry.incoming_context import IncomingHeaders as IncomingHeaders
    from .telemetry.incoming_context import trace_context as trace_context

_HOMES = {
    "batch.batch": "Batch",
    "batch.perform_all": "PerformAll",
    "core.actions": "Change Complete LaunchNow Pause Relaunch Resume Update",
    "core.assistant.assignment": "AssistantChange AssistantOutcome AssistantRef FieldingAssistant",
    "core.assistant.exact_json": "JsonNumber",
    "core.assistant.modules": (
        "AdaptivePacing DynamicPricing GeminiPacing LinearPacing OtherModule QuotaOverlay RateCardPricing SoftLaunch"
    ),
    "core.batch_values": "Done DoneWithError DoneWithOutcome Leftover LeftoverState OnRowFailure Outage StopMode",
    "core.config": "DEFAULT_TIMEOUT DefaultTimeout Limits Retry Timeout TimeoutArg",
    "core.credentials": "Auth BearerToken ClientCredentials TokenSource",
    "core.discovery.changes": "TargetGroupChange",
    "core.discovery.found_runs": "FoundRun",
    "core.discovery.money": "Money",
    "core.discovery.projects": "AccountItem ProjectDetails ProjectItem ProjectOverview ProjectStatistics ProjectStatus",
    "core.discovery.target_groups": (
        "IssueSuggestion StatisticIssue TargetGroupItem TargetGroupOverview TargetGroupProgress "
        "TargetGroupStatistics TargetGroupStatus"
    ),
    "core.errors": (
        "APIError AuthenticationError BadRequestError ConfigurationError DeadlineExceededError FieldingError "
        "InvalidRunStateError JobFailedError JournalError NotFoundError OutcomeUnknownError "
        "OutcomeUnknownTimeoutError PermissionDeniedError PreconditionFailedError ProtocolError "
        "RateLimitError ServerError SessionClosedError SkippedError TransportError"
    ),
    "core.job_results": "BatchResult DraftResult",
    "core.models": (
        "Action Effect FailedTargetGroup Failure FailureDetail FieldingRun InvalidParam JobResult OnConflict "
        "Outcome RunRef RunStatus SessionStats"
    ),
    "core.wire.raw_response": "RawResponse ResponseHeaders",
    "handles.account": "Account",
    "handles.assistant": "Assistant",
    "handles.found_runs": "FoundRuns FoundRunsIterator",
    "handles.job": "BatchJob DraftJob",
    "handles.lists": "Listing ListingIterator",
    "handles.project": "Project",
    "handles.run": "Run",
    "handles.target_group": "TargetGroup",
    "journal.reader": "journal_events journal_rows read_journal",
    "journal.values": "JournalCounts JournalEvent JournalEventKind JournalRow JournalRowState JournalSummary",
    "session": "FieldingSession",
    "telemetry.incoming_context": "IncomingHeaders trace_context",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "DEFAULT_TIMEOUT",
    "APIError",
    "Account",
    "AccountItem",
    "Action",
    "AdaptivePacing",
    "Assistant",
    "AssistantChange",
    "AssistantOutcome",
    "AssistantRef",
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
    "DefaultTimeout",
    "Done",
    "DoneWithError",
    "DoneWithOutcome",
    "DraftJob",
    "DraftResult",
    "DynamicPricing",
    "Effect",
    "FailedTargetGroup",
    "Failure",
    "FailureDetail",
    "FieldingAssistant",
    "FieldingError",
    "FieldingRun",
    "FieldingSession",
    "FoundRun",
    "FoundRuns",
    "FoundRunsIterator",
    "GeminiPacing",
    "IncomingHeaders",
    "InvalidParam",
    "InvalidRunStateError",
    "IssueSuggestion",
    "JobFailedError",
    "JobResult",
    "JournalCounts",
    "JournalError",
    "JournalEvent",
    "JournalEventKind",
    "JournalRow",
    "JournalRowState",
    "JournalSummary",
    "JsonNumber",
    "LaunchNow",
    "Leftover",
    "LeftoverState",
    "Limits",
    "LinearPacing",
    "Listing",
    "ListingIterator",
    "Money",
    "NotFoundError",
    "OnConflict",
    "OnRowFailure",
    "OtherModule",
    "Outage",
    "Outcome",
    "OutcomeUnknownError",
    "OutcomeUnknownTimeoutError",
    "Pause",
    "PerformAll",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "Project",
    "ProjectDetails",
    "ProjectItem",
    "ProjectOverview",
    "ProjectStatistics",
    "ProjectStatus",
    "ProtocolError",
    "QuotaOverlay",
    "RateCardPricing",
    "RateLimitError",
    "RawResponse",
    "Relaunch",
    "ResponseHeaders",
    "Resume",
    "Retry",
    "Run",
    "RunRef",
    "RunStatus",
    "ServerError",
    "SessionClosedError",
    "SessionStats",
    "SkippedError",
    "SoftLaunch",
    "StatisticIssue",
    "StopMode",
    "TargetGroup",
    "TargetGroupChange",
    "TargetGroupItem",
    "TargetGroupOverview",
    "TargetGroupProgress",
    "TargetGroupStatistics",
    "TargetGroupStatus",
    "Timeout",
    "TimeoutArg",
    "TokenSource",
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
