"""A local HTTP server that behaves as the exchange does, for demos and tests.

May be imported by `pytest_plugin` and `cli`. Imports `core.models`, `core.errors` and `__about__` only, so that a
misreading of the API in the client is not repeated here; the one importer of `aiohttp.web`. Its own modules import
`world`, `catalog` and `serving`, `world` imports `catalog` and `serving`, `catalog` imports `serving`.
"""

from .catalog.bodies import DateForm
from .catalog.pages import EndlessLists, LastCursor
from .faults.values import (
    Cut,
    Delay,
    DropHeader,
    ExchangePauses,
    Fault,
    Hold,
    RawReply,
    Refuse,
    Repeat,
    Reply,
    SecondWriter,
    SetHeader,
    Status,
)
from .sandbox import Sandbox
from .serving.replies import RetryAfter, RetryAfterForm
from .serving.request_log import ReceivedRequest
from .serving.run_handles import RunHandle
from .world.assistants import AssistantState, AssistantWrite
from .world.behaviour import BeforeFirst, Behaviour, KeyReuse, LocationForm, RepeatAnswer
from .world.job_faults import JobFails, JobOmits
from .world.rate_limits import LimiterKind
from .world.records import DraftRef, FailureReason, JobFailure, JobRecord, Write, WriteOrigin

__all__ = [
    "AssistantState",
    "AssistantWrite",
    "BeforeFirst",
    "Behaviour",
    "Cut",
    "DateForm",
    "Delay",
    "DraftRef",
    "DropHeader",
    "EndlessLists",
    "ExchangePauses",
    "FailureReason",
    "Fault",
    "Hold",
    "JobFails",
    "JobFailure",
    "JobOmits",
    "JobRecord",
    "KeyReuse",
    "LastCursor",
    "LimiterKind",
    "LocationForm",
    "RawReply",
    "ReceivedRequest",
    "Refuse",
    "Repeat",
    "RepeatAnswer",
    "Reply",
    "RetryAfter",
    "RetryAfterForm",
    "RunHandle",
    "Sandbox",
    "SecondWriter",
    "SetHeader",
    "Status",
    "Write",
    "WriteOrigin",
]
