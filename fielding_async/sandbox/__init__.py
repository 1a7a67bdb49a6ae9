"""The exchange in a box, for demos and for tests: `Sandbox`, its switches, its faults and its records."""

from .behaviour import Behaviour
from .faults import (
    Cut,
    Delay,
    DropHeader,
    Fault,
    Hold,
    JobFails,
    JobOmits,
    RawReply,
    Refuse,
    Repeat,
    Reply,
    SecondWriter,
    SetHeader,
    Status,
)
from .records import DraftRef, FailureReason, JobFailure, JobRecord, ReceivedRequest, Write
from .sandbox import Sandbox

__all__ = [
    "Behaviour",
    "Cut",
    "Delay",
    "DraftRef",
    "DropHeader",
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
