"""A readable account of a world: virtual time, who, what, and the server's reaction. Kept only when asked for."""

from fielding_async import FieldingAssistant, FieldingRun

from .records import CallRecord, Message

__all__ = ["Timeline"]


def _short(run: FieldingRun | FieldingAssistant) -> str:
    if isinstance(run, FieldingAssistant):
        return f"{run.etag} {run.others}"
    dates = f"{run.start_fielding_at:%d %H:%M:%S.%f} to {run.end_fielding_at:%d %H:%M:%S.%f}"
    return f"{run.etag} v{run.version} {run.status} {dates}"


class Timeline:
    """Collects lines, or nothing at all."""

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept
        self.lines: list[str] = []

    def note(self, now: float, who: str, what: str) -> None:
        """Add a line."""
        if self.kept:
            self.lines.append(f"{now - 1000:10.3f}  {who:<12} {what}")

    def colleague(self, now: float, what: str) -> None:
        """Note what a colleague did."""
        self.note(now, "colleague", what)

    def sent(self, message: Message, now: float) -> None:
        """Note that a request left."""
        if self.kept:
            under = f" under {message.if_match}" if message.is_write else ""
            dates = " {} to {}".format(*message.dates) if message.dates else ""
            fate = f"   ({message.fate.kind})" if message.fate.kind != "ok" else ""
            self._request(message, now, f"sends {message.action}{under}{dates}{fate}")

    def landed(self, message: Message, status: int, now: float) -> None:
        """Note what the server made of a request."""
        if self.kept:
            text = f"{status} to {message.action} of call {message.call.number}"
            if message.applied:
                state = message.applied[-1]
                text += f", APPLIED: {state.etag} v{state.version} {state.status}"
            if message.shown is not None:
                state = message.shown
                text += f", shows {state.etag} v{state.version} {state.status} {state.start} to {state.end}"
            self.note(now, f"server {message.run_id}", text)

    def ended(self, message: Message, now: float) -> None:
        """Note what the client learned of its request."""
        if self.kept:
            self._request(message, now, f"gets {message.ended_as}")

    def _request(self, message: Message, now: float, text: str) -> None:
        self.note(now, f"call {message.call.number}", f"{text}  [{message.run_id}]")

    def begun(self, call: CallRecord, now: float) -> None:
        """Note that a call begins."""
        if self.kept:
            extras = [f"timeout={call.timeout}"] if call.timeout != "default" else []
            extras += [f"on_conflict={call.on_conflict}"] if call.on_conflict != "reapply" else []
            extras += [f"seen={_short(call.seen)}"] if call.seen is not None else []
            order = f"{call.action}" if call.action is not None else ""
            self.note(now, f"call {call.number}", f"BEGINS: {call.title} {order} {' '.join(extras)}")

    def finished(self, call: CallRecord, now: float) -> None:
        """Note how a call ended."""
        if self.kept:
            if call.outcome is not None:
                text = f"{call.outcome.effect} {call.outcome.etag}"
            elif call.error is not None:
                text = f"{type(call.error).__name__}: {call.error}"
            else:
                text = "returned"
            self.note(now, f"call {call.number}", f"ENDS: {text}")
