"""The exchange in a box, for demos and for tests: `Sandbox`, its switches, its faults and its records."""

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
from .sandbox import Sandbox
from .world.behaviour import Behaviour
from .world.records import DraftRef, FailureReason, JobFailure, JobRecord, ReceivedRequest, Write

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
