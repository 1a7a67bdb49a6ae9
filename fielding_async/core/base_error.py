"""The base of every error of the SDK: what all of them hold, and how secrets are taken out of it."""

import copyreg
from typing import Any, Self

from .models import RunRef
from .redaction import Redactor

__all__ = ["FieldingError"]


class FieldingError(Exception):
    """Base of every error of this SDK.

    `method` and `path` name the HTTP request it is about, `ref` the run, `idempotency_key` the key of a job creation
    (it may be used again after a crash), `trace_id` the W3C trace id of the call. Each is `None` where it does not
    apply.
    """

    __module__ = "fielding_async"

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        path: str | None = None,
        ref: RunRef | None = None,
        idempotency_key: str | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path
        self.ref = ref
        self.idempotency_key = idempotency_key
        self.trace_id = trace_id

    def __str__(self) -> str:
        request = f"{self.method} {self.path}: " if self.method and self.path else ""
        marks = [
            f"{name}={value}"
            for name, value in (("idempotency_key", self.idempotency_key), ("trace_id", self.trace_id))
            if value
        ]
        return f"{request}{self.message}" + (f" [{', '.join(marks)}]" if marks else "")

    def __reduce__(self) -> tuple[Any, ...]:
        # does not call `__init__` again, and names the class by its public module only
        return copyreg.__newobj__, (type(self), self.message), {**self.__dict__, "args": self.args}  # type: ignore[attr-defined]

    def filled(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        ref: RunRef | None = None,
        idempotency_key: str | None = None,
        trace_id: str | None = None,
    ) -> Self:
        """Set what is still `None`, and return the error itself."""
        self.method = self.method or method
        self.path = self.path or path
        self.ref = self.ref or ref
        self.idempotency_key = self.idempotency_key or idempotency_key
        self.trace_id = self.trace_id or trace_id
        return self

    def scrub(self, redactor: Redactor) -> None:
        """Remove secrets from every text of the error, and of the values that it holds."""
        for name, value in self.__dict__.items():
            setattr(self, name, redactor.value(value))
        BaseException.__init__(self, self.message)  # for `args`
