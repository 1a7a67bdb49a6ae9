"""The network of the simulation: what carries requests to the server, or does not, behind the client's own seam."""

import asyncio
import json
import re
from email.utils import formatdate
from random import Random

from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.transport import HeldBack, Outgoing

from .between import Between
from .fates import Fate, draw_fate
from .intermediaries import Intermediaries, has_error_body
from .records import BLIND_PAUSE, CURRENT, NONE, Message
from .rivals import Rival
from .server import EPOCH, Reply, Server, problem
from .timeline import Timeline
from .world import World

__all__ = ["TOKEN_URL", "Network", "SimTransport"]

TOKEN_URL = "https://auth.sim.invalid/oauth/token"
_ASSISTANT = re.compile(r"/target-groups/01SIMULATEDGROUP0*(RUN\d+)/fielding-assistant-assignment$")
_THROTTLES = ("1", "3", "0.25", "date", "past", None, "0", "junk", "-1", "7200")


class Network:
    """Everything between the sessions and the server."""

    def __init__(self, world: World, dice: Random, server: Server, rival: Rival, timeline: Timeline) -> None:
        self.world = world
        self.dice = dice
        self.server = server
        self.rival = rival
        self.timeline = timeline
        self.between = Intermediaries(world.between or Between())
        self.quiet = False
        self.last_landing = 0.0
        self.messages: list[Message] = []
        self._tokens = 0

    def new_token(self, now: float) -> str:
        """Give out a token that the server will take for a while."""
        self._tokens += 1
        token = f"token-{self._tokens}"
        self.server.tokens[token] = now + self.world.token_life
        return token

    def post(self, message: Message, outcome: "asyncio.Future[Attempted]") -> None:
        """Carry a request that has left to its fate. `outcome` is where the client waits."""
        loop = asyncio.get_running_loop()
        fate, now = message.fate, loop.time()
        self.messages.append(message)
        self.timeline.sent(message, now)
        if fate.kind in {"drop", "straggle", "mute"} and fate.cut is not None:
            loop.call_later(fate.cut, settle, outcome, Lost("the connection was cut"))
        if fate.kind != "drop":
            self._carry(message, outcome, fate.out)
        if fate.repeat is not None:
            self._carry(message, outcome, fate.out + fate.repeat)

    def _carry(self, message: Message, outcome: "asyncio.Future[Attempted]", delay: float) -> None:
        loop = asyncio.get_running_loop()
        self.last_landing = max(self.last_landing, loop.time() + delay)
        loop.call_later(delay, self._land, message, outcome)

    def _land(self, message: Message, outcome: "asyncio.Future[Attempted]") -> None:
        loop = asyncio.get_running_loop()
        fate, now = message.fate, loop.time()
        if not self.world.rivals_at_reads and not message.is_write:
            fate.rival = None
        if fate.rival == "before":
            self.timeline.colleague(now, self.rival.act(message.run_id, now))
        elif fate.rival == "same" and message.is_write:
            self.timeline.colleague(now, self.rival.same(message, now))
        message.arrived_at = now
        reply = self._reply(message, now)
        self.timeline.landed(message, reply.status, now)
        if fate.rival == "after":
            self.timeline.colleague(now, self.rival.act(message.run_id, now))
        elif fate.rival == "exchange":
            self.pause_by_itself(message.run_id, now)
        if fate.kind not in {"straggle", "mute"}:
            loop.call_later(fate.back, settle, outcome, Response(reply.status, reply.headers, reply.body))

    def pause_by_itself(self, run_id: str, now: float) -> None:
        """Have the exchange pause a run, if it is live."""
        state = self.server.pause_by_itself(self.server.runs[run_id], now)
        if state is not None:
            self.timeline.note(now, "exchange", f"pauses {run_id} by itself: {state.etag} v{state.version}")

    def _reply(self, message: Message, now: float) -> Reply:
        reply = None if message.is_write else self.between.from_cache(message, now)
        if reply is None:
            reply = self._answer(message, now)
            if message.fate.kind == "ok":
                self.between.store(message, reply, now)
        return self.between.rewrite(message, reply)

    def _answer(self, message: Message, now: float) -> Reply:
        fate = message.fate
        match fate.kind:
            case "fail-before":
                reply = self._failure(message)
                if self.world.late_server_errors and reply.status in {502, 504, 408}:
                    self._forward_late(message, now)
                return reply
            case "gateway" | "gateway-page" | "page":
                message.arrived_at = None
                reply = self.between.answer(message)
                if reply.status >= 500 or reply.status == 408:
                    self._forward_late(message, now)
                return reply
            case "other-2xx":
                return self.between.change_status(message, self.server.handle(message, now))
            case "fail-after":
                self.server.handle(message, now)
                return self._failure(message)
            case "throttle":
                return self._throttle(message, now)
            case "bad-request" | "unauthorized" | "forbidden" | "missing":
                status = {"bad-request": 400, "unauthorized": 401, "forbidden": 403, "missing": 404}[fate.kind]
                message.status = status
                return problem(status, fate.kind, "so it is")
            case "unreadable":
                return self._garble(message, self.server.handle(message, now))
            case "no-etag":
                reply = self.server.handle(message, now)
                reply.headers.pop("ETag", None)
                if fate.choice < 0.2:
                    reply.headers["ETag"] = "*" if fate.choice < 0.1 else ""
                return reply
            case _:
                return self.server.handle(message, now)

    def _forward_late(self, message: Message, now: float) -> None:
        if message.fate.lands is not None:
            asyncio.get_running_loop().call_later(message.fate.lands, self._land_late, message)
            self.last_landing = max(self.last_landing, now + message.fate.lands)

    def _land_late(self, message: Message) -> None:
        message.arrived_at = now = asyncio.get_running_loop().time()
        reply = self.server.handle(message, now)
        self.timeline.landed(message, reply.status, now)

    def _failure(self, message: Message) -> Reply:
        status = (500, 502, 503, 504, 408)[int(message.fate.choice * 977) % 5]
        message.status = status
        return problem(status, "server_error", "something broke")

    def _throttle(self, message: Message, now: float) -> Reply:
        message.status = 429
        form = _THROTTLES[int(message.fate.choice * len(_THROTTLES))]
        clock = EPOCH / 1000 + now
        headers = {"Date": formatdate(clock, usegmt=True)}
        seconds = {"1": 1.0, "3": 3.0, "0.25": 0.25, "date": 2.0, "7200": 7200.0}.get(form or "", BLIND_PAUSE)
        message.pause = min(seconds, self.world.limits.max_pause)
        if form is not None:
            named = {"date": formatdate(clock + 2, usegmt=True), "past": formatdate(clock - 60, usegmt=True)}
            headers["Retry-After"] = named.get(form, form)
        body = {"object": "too_many_requests_problem_details", "details": "slow down"}
        return Reply(429, headers, json.dumps(body).encode())

    def _garble(self, message: Message, reply: Reply) -> Reply:
        if reply.status >= 300:
            message.fate.kind = "ok"  # an error stays an error whatever its body looks like
            return reply
        odd = b'{"id":7}' if self.world.resource == "runs" else b'["id",7]'
        if message.fate.choice < 0.4 and message.action in {"update", "launch-now", "get"}:
            return Reply(reply.status, reply.headers, b"<html>" if message.fate.choice < 0.2 else odd)
        return Reply(302 if message.fate.choice < 0.7 else 206, reply.headers, reply.body)


def settle(outcome: "asyncio.Future[Attempted]", value: Attempted) -> None:
    """Give the waiting client what came of its attempt, unless something came of it before."""
    if not outcome.done():
        outcome.set_result(value)


class SimTransport:
    """The `Transport` of one session."""

    def __init__(self, network: Network, session: int) -> None:
        self._network = network
        self._session = session
        self.active = 0  # exchanges under way that need a slot

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Carry one request, within `timeout` seconds of virtual time."""
        network = self._network
        loop = asyncio.get_running_loop()
        if outgoing.url == TOKEN_URL:
            return await self._token(timeout)
        start = loop.time()
        fate = draw_fate(network.world, network.dice, timeout=timeout, quiet=network.quiet)
        message = self._message(outgoing, fate, start)
        if message.call.first_permitted is None:
            message.call.first_permitted = start  # its time has begun, also if this attempt is not sent
        self.active += 1
        message.ended_as = "abandoned"
        timer: asyncio.TimerHandle | None = None
        try:
            if fate.connect:
                await asyncio.sleep(min(fate.connect, connect_timeout, timeout))
            if fate.kind == "refuse" or fate.connect >= min(connect_timeout, timeout):
                message.ended_as = "not sent"
                return NotSent("the connection was refused")
            try:
                async with asyncio.timeout_at(start + timeout):
                    await outgoing.leave()
            except HeldBack:
                message.ended_as = "held back"
                raise
            except TimeoutError:
                message.ended_as = "not sent"
                return NotSent("no time was left when it might have left")
            message.sent_at = loop.time()
            message.call.messages.append(message)
            outcome: asyncio.Future[Attempted] = loop.create_future()
            timer = loop.call_at(start + timeout, settle, outcome, Lost("no reply in time", timed_out=True))
            network.post(message, outcome)
            answer = await outcome
            if isinstance(answer, Response):
                message.got = answer.status
                etag = answer.headers.get("ETag")
                message.got_etag = None if etag in {None, "", "*"} else etag
                message.got_age = float(answer.headers.get("Age", 0))
                message.got_error_body = answer.status >= 400 and has_error_body(answer.body)
                message.ended_as = str(answer.status)
                if message.shown is not None and message.shown.etag == NONE and answer.status in {200, 404}:
                    message.got, message.got_etag = 200, NONE  # a GET that shows that there is none yet
            else:
                message.ended_as = answer.reason
            return answer
        finally:
            self.active -= 1
            message.ended_at = loop.time()
            if timer is not None:
                timer.cancel()
            network.timeline.ended(message, loop.time())

    def _message(self, outgoing: Outgoing, fate: Fate, now: float) -> Message:
        dates: tuple[str, str] | None = None
        modules: str | None = None
        headers = outgoing.headers
        if (group := _ASSISTANT.search(outgoing.url)) is not None:
            run_id = group[1].lower()
            action = "get" if outgoing.method == "GET" else "update-assistant"
            modules = outgoing.body.decode() if outgoing.body is not None else None
        else:
            _, _, tail = outgoing.url.partition("/fielding-runs/")
            run_id, _, verb = tail.partition("/")
            action = "get" if outgoing.method == "GET" else verb or "update"
            if action == "update":
                body = json.loads(outgoing.body or b"")
                dates = body["start_fielding_at"], body["end_fielding_at"]
        _, trace_id, span_id, _ = headers["traceparent"].split("-")
        return Message(
            call=CURRENT.get(),
            session=self._session,
            run_id=run_id,
            action=action,
            if_match=NONE if headers.get("If-None-Match") == "*" else headers.get("If-Match"),
            dates=dates,
            modules=modules,
            trace_id=trace_id,
            span_id=span_id,
            token=headers["Authorization"].removeprefix("Bearer "),
            fate=fate,
            sent_at=now,
            asked_at=now,
            no_cache="no-cache" in headers.get("Cache-Control", ""),
            identity=headers.get("Accept-Encoding") == "identity",
        )

    async def _token(self, timeout: float) -> Attempted:
        network = self._network
        await asyncio.sleep(min(network.world.latency, timeout))
        if not network.quiet and network.dice.random() < network.world.faults.get("fail-before", 0.0):
            return Response(503, {})
        body = {"access_token": network.new_token(asyncio.get_running_loop().time()), "token_type": "Bearer"}
        return Response(200, {}, json.dumps({**body, "expires_in": network.world.token_life}).encode())

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""
