"""A local HTTP server that behaves as the exchange does, for demos and tests.

May be imported by `pytest_plugin` and `cli`. Imports `core.models`, `core.errors` and `__about__` only, so that a
misreading of the API in the client is not repeated here; the one importer of `aiohttp.web`. Its own modules import
`world` and `serving`, `world` imports `serving`.
"""

from .faults import (
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
from .serving.request_log import ReceivedRequest
from .world.behaviour import Behaviour
from .world.job_faults import JobFails, JobOmits
from .world.records import DraftRef, FailureReason, JobFailure, JobRecord, Write

__all__ = [
    "Behaviour",
    "Cut",
    "Delay",
    "DraftRef",
    "DropHeader",
    "ExchangePauses",
    "FailureReason",
    "Fault",
    "Hold",
    "JobFails",
    "JobFailure",
    "JobOmits",
    "JobRecord",
    "RawReply",
    "ReceivedRequest",
    "Refuse",
    "Repeat",
    "Reply",
    "Sandbox",
    "SecondWriter",
    "SetHeader",
    "Status",
    "Write",
]
