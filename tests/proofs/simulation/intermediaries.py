"""The intermediaries at work: what they store, rewrite, and answer by themselves."""

import json

from .between import Between
from .records import BLIND_PAUSE, Message, State
from .server import Reply

__all__ = ["Intermediaries", "has_error_body"]

_PAGES = (b"<html><h1>Not the exchange</h1></html>", b'{"message":"Service Unavailable"}', b"")
_STATUSES = {
    "gateway": (502, 504, 504, 520, 522, 524, 529, 500, 503),
    "gateway-page": (400, 403, 404, 408, 413, 429),
    "page": (200, 200, 202, 302, 307),  # a 204 without an ETag could not be told from a real one (doubt D3)
    "other-2xx": (200, 201, 202, 203, 204, 205),
}


class Intermediaries:
    """The intermediaries at work."""

    def __init__(self, between: Between) -> None:
        self.between = between
        self._stored: dict[str, list[tuple[float, State, Reply]]] = {}

    # -- the cache

    def store(self, message: Message, reply: Reply, now: float) -> None:
        """Keep the answer to a GET that passes. A request for what is not cached is answered afresh, and kept too."""
        if self.between.cached and message.shown is not None and reply.status == 200:
            self._stored.setdefault(message.run_id, []).append((now, message.shown, reply))

    def from_cache(self, message: Message, now: float) -> Reply | None:
        """Return an older answer, any that is still kept, as a cache of several nodes would."""
        between = self.between
        if not message.fate.is_cached or (between.obeys and message.no_cache):
            return None
        kept = [entry for entry in self._stored.get(message.run_id, ()) if now - between.cache_life <= entry[0] < now]
        self._stored[message.run_id] = kept
        if not kept:
            return None
        stored_at, message.shown, reply = kept[int(message.fate.pick * len(kept))]
        age = {"Age": str(max(1, int(now - stored_at)))} if between.says_age else {}
        message.is_from_cache, message.status = True, 200
        return Reply(200, {**reply.headers, **age}, reply.body)

    # -- the rewriter

    def rewrite(self, message: Message, reply: Reply) -> Reply:
        """Return what is left of a reply after compression: Apache changes the ETag, nginx drops it."""
        etag = reply.headers.get("ETag")
        compresses = message.fate.is_compressed and (self.between.rewrites_identity or not message.identity)
        if not compresses or not reply.body or not etag:
            return reply
        headers = dict(reply.headers)
        if self.between.etag_form == "suffix":
            headers["ETag"] = f'{etag.removesuffix(chr(34))}-gzip"'
        else:
            del headers["ETag"]
        return Reply(reply.status, headers, reply.body)

    # -- gateways

    def answer(self, message: Message) -> Reply:
        """Return the answer that a gateway makes up: a status, and a body that is not the exchange's."""
        fate = message.fate
        status = _pick(_STATUSES[fate.kind], fate.choice)
        body = _PAGES[int(fate.pick * len(_PAGES))]
        message.status = status
        message.has_page = body.startswith(b"<") or (not body.startswith(b"{") and bool(body))
        headers: dict[str, str] = {}
        if status == 429:
            message.pause = BLIND_PAUSE
        if fate.kind == "page":
            body = _PAGES[0]
            if status == 200 and fate.pick < 0.3:
                headers["ETag"] = '"65f1-2d"'  # of the page
        return Reply(status, headers, body)

    @staticmethod
    def change_status(message: Message, reply: Reply) -> Reply:
        """Return a success with another 2xx than the documented one."""
        if reply.status >= 300 or not message.is_write:
            message.fate.kind = "ok"
            return reply
        others = [status for status in _STATUSES["other-2xx"] if status != reply.status]
        return Reply(_pick(tuple(others), message.fate.choice), reply.headers, reply.body)


def _pick(statuses: tuple[int, ...], choice: float) -> int:
    return statuses[int(choice * 977) % len(statuses)]


def has_error_body(body: bytes) -> bool:
    """Whether a body is an error in the exchange's own form."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("object"), str)
