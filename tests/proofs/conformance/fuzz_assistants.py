"""What requests to an assistant are led to: an assignment that exists, its ETag, and modules that make sense."""

import urllib.request
from typing import Any

from fielding_async.sandbox import Sandbox
from tests.tools.waits import HANG

from .fuzz_counts import ASTRAY, TOKEN, VERSION, is_positive, phase_of

__all__ = ["ASSISTANT", "AssistantRequests"]

ASSISTANT = "get-assistant", "update-assistant"
_PRICE = {"value": "5.00", "currency_code": "USD"}
_END = "2099-01-01T00:00:00.000Z"


class AssistantRequests:
    """The requests to the assistant of one target group, which has an assignment from the beginning."""

    def __init__(self, sandbox: Sandbox, path: str) -> None:
        self._url = f"{sandbox.url}{path}/fielding-assistant-assignment"
        self._send("PUT", b'{"pacing":{"type":"linear","increment_interval":"P1D"}}', If_None_Match="*").close()

    def prepare(self, case: Any, number: int) -> None:
        """Put the ETag in force into a PUT, and make sense of the modules that it sends."""
        if case.method.upper() != "PUT":
            return
        generated = "If-Match" in case.headers or "If-None-Match" in case.headers
        stale = generated and phase_of(case) == "fuzzing" and number % ASTRAY == 1
        if is_positive(case, "header") and not stale:
            with self._send("GET", None) as reply:
                case.headers["If-Match"] = reply.headers["ETag"]
            case.headers.pop("If-None-Match", None)
        if isinstance(case.body, dict) and is_positive(case, "body"):
            for module in case.body.values():
                if isinstance(module, dict):
                    _make_sense(module)

    def _send(self, method: str, body: bytes | None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Authorization": f"Bearer {TOKEN}", "Cint-API-Version": VERSION, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url, method=method, data=body, headers=named)
        return urllib.request.urlopen(request, timeout=HANG)


def _make_sense(module: dict[str, Any]) -> None:
    """Let a module be what the prose says of it, where the schema lets it be more."""
    kind = module.get("type")
    if kind == "dynamic":
        total = "total_budget" in module and "maximum_cpi" not in module
        module.pop("maximum_cpi" if total else "total_budget", None)
        module["total_budget" if total else "maximum_cpi"] = dict(_PRICE)
    for name in {"total_budget", "maximum_cpi", "minimum_cpi", "boost_cpi"} & module.keys():
        module[name] = dict(_PRICE) if name != "minimum_cpi" else {**_PRICE, "value": "1.00"}
    for name, value in {
        "increment_interval": "P1DT5H",
        "exposed_target_group_id": "01HC2Z6TM8C4F3Y5CA6S2JR475",
        "end_at": _END,
    }.items():
        if name in module:
            module[name] = value
