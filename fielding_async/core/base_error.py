"""The base of every error of the SDK: what all of them hold, and how secrets are taken out of it.

`RunRef` is here as well: every error holds one, and its `parse` raises one.
"""

import copyreg
from typing import Any, Self

from attrs import frozen

from .redaction import Redactor

__all__ = ["ConfigurationError", "FieldingError", "RunRef", "briefly"]


def briefly(value: object, most: int = 60) -> str:
    """Return the `repr` of a value for a message, of at most so many characters; a longer one ends in an ellipsis."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@frozen(cache_hash=True, weakref_slot=False)
class RunRef:
    """The four ids that name a fielding run.

    Source: path parameters of `GET …/fielding-runs/{fielding_run_id}`. The ids are checked when a handle is created
    from the `RunRef`.
    """

    __module__ = "fielding_async"

    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""
    target_group_id: str
    """The target group's id."""
    fielding_run_id: str
    """The run's own id."""

    def __str__(self) -> str:
        return f"{self.account_id}/{self.project_id}/{self.target_group_id}/{self.fielding_run_id}"

    @classmethod
    def parse(cls, text: str) -> "RunRef":
        """Return the `RunRef` for a text: `RunRef.parse(str(ref)) == ref`.

        Raises `ConfigurationError` unless the text is `account/project/target_group/run` with a decimal account id.
        """
        parts = text.split("/") if isinstance(text, str) else []
        account = parts[0] if len(parts) == 4 and all(parts) else ""
        if not (account.isascii() and account.isdecimal() and len(account) <= 10) or (account[0] == "0" != account):
            raise ConfigurationError(
                f"ref={briefly(text, 200)}: must be a str of four ids, account/project/target_group/run, the account a"
                " number"
            )
        return RunRef(int(account), *map(str, parts[1:]))


class FieldingError(Exception):
    """Base of every error of this SDK.

    `method` and `path` name the HTTP request that the error is about, and `ref` names the run. `idempotency_key` is the
    key of the request for a job. This key can be used again, even after a crash. `trace_id` is the W3C trace id of the
    call. A value that does not apply is `None`.
    """

    __module__ = "fielding_async"

    message: str
    """What went wrong, without the request and the ids that `str()` adds."""
    method: str | None
    """The HTTP method of the request that it is about; `None` if it is about none."""
    path: str | None
    """The path of that request; `None` if there is none."""
    ref: RunRef | None
    """The run that it is about; `None` if it is about none."""
    idempotency_key: str | None
    """The key of a job creation, which may be used again; otherwise `None`."""
    trace_id: str | None
    """The W3C trace id of the call, 32 hexadecimal digits; `None` if there was no call."""

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


class ConfigurationError(FieldingError, ValueError):
    """A bad argument or a missing setting. Nothing was sent."""

    __module__ = "fielding_async"
