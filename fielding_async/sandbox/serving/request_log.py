"""The requests received, in order of arrival, with what became of each."""

from attrs import evolve, field, frozen

from fielding_async.core.models import RunRef

from .bound import Bound, Kept

__all__ = ["ReceivedRequest", "RequestLog"]

_ENTRY, _HEADER = 512, 160  # bytes of memory beside the texts, about


@frozen(kw_only=True)
class ReceivedRequest:
    """One request that the sandbox received. They are recorded in the order of their arrival.

    Of a request that is refused for its `Host`, `Origin` or size (400, 403, 413, 421, 431), `operation` and `ref` are
    `None` and the body is empty.
    """

    __module__ = "fielding_async.sandbox"

    id: int
    """The number of the request, from 1."""
    method: str
    """The HTTP method."""
    path: str
    """The raw path: as sent, with its query."""
    operation: str | None
    """The operation's name; `None` for an unknown path or method."""
    ref: RunRef | None
    """The run that the path names; `None` if it names none."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """The headers as sent, as pairs of name and value; empty if they were refused as too long (431)."""
    body: bytes = field(repr=False)
    """The body."""
    received_at: float
    """Seconds of a monotonic clock, good for differences only."""
    status: int | None = None
    """The status of the reply; `None` while the request is in progress and when the connection was cut before a status
    line."""
    applied: bool = False
    """Whether the request changed a run or an assistant, or made a job."""

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or `None` if there is none. The case of its name does not matter."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        """Return all values of a header. The case of its name does not matter."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


class RequestLog:
    """The latest requests received, as many as `kept` allows. They are numbered from 1."""

    def __init__(self, kept: Kept) -> None:
        self._bound = Bound(kept)
        self._count = 0
        self._requests: dict[int, ReceivedRequest] = {}

    def add(
        self,
        *,
        method: str,
        path: str,
        operation: str | None,
        ref: RunRef | None,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        received_at: float,
    ) -> int:
        """Record a request, and return its number."""
        self._count += 1
        request = self._requests[self._count] = ReceivedRequest(
            id=self._count,
            method=method,
            path=path,
            operation=operation,
            ref=ref,
            headers=headers,
            body=body,
            received_at=received_at,
        )
        for _ in range(self._bound.add(_size(request))):
            del self._requests[next(iter(self._requests))]
        return self._count

    @property
    def count(self) -> int:
        """How many requests were received: the number of the latest."""
        return self._count

    def get(self, request_id: int) -> ReceivedRequest | None:
        """Return a request that is kept."""
        return self._requests.get(request_id)

    def after(self, request_id: int, most: int) -> tuple[ReceivedRequest, ...]:
        """Return the requests after this number that are kept, the latest `most` of them."""
        first = max(request_id, self._count - most, self._count - len(self._requests)) + 1
        found = (self._requests.get(number) for number in range(first, self._count + 1))
        return tuple(request for request in found if request is not None)

    @property
    def dropped(self) -> int:
        """How many requests are no longer kept."""
        return self._bound.dropped

    def set_applied(self, request_id: int) -> None:
        """Record that a request changed a run or made a job."""
        known = self._requests.get(request_id)
        if known is not None:
            self._requests[request_id] = evolve(known, applied=True)

    def set_status(self, request_id: int, status: int) -> None:
        """Record the status of the reply to a request."""
        known = self._requests.get(request_id)
        if known is not None:
            self._requests[request_id] = evolve(known, status=status)

    def all(self) -> tuple[ReceivedRequest, ...]:
        """Return the requests that are kept."""
        return tuple(self._requests.values())


def _size(request: ReceivedRequest) -> int:
    headers = sum(_HEADER + len(name) + len(value) for name, value in request.headers)
    return _ENTRY + len(request.path) + len(request.body) + headers
