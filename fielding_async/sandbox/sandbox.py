"""The public class `Sandbox`: its settings, tokens, runs, assistants and clock."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import FieldingRun, RunRef, RunStatus, as_ref

from .control.door import Door
from .observation import Observation
from .population import Population
from .request_pipeline import RequestPipeline, checked_time
from .serving import checks
from .serving.bound import Kept
from .serving.checks import aware
from .serving.dates import MILLISECOND, floor
from .serving.host_check import checked_names
from .serving.run_handles import RunHandle
from .token_control import check_token
from .world.assistants import AssistantState
from .world.behaviour import Behaviour
from .world.records import DraftRef
from .world.rules import known_status

__all__ = ["Sandbox"]

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_RUN_ID = re.compile(r"(?!\.{1,2}$)[^/?#%\\\s\x00-\x1f\x7f\ud800-\udfff]+")


class Sandbox(Population):
    """A local HTTP server that behaves as the exchange does: runs, ETags, jobs, lists, a clock, faults, a rate limit.

    Use `async with Sandbox() as sandbox:` to run it on the current event loop. Use `with Sandbox() as sandbox:`, or
    `start()` and `stop()`, to run it in a thread with an event loop of its own. You may start a stopped sandbox again:
    it keeps its state, and with `port=0` it gets a new port. All other methods may be called at any time and from any
    thread.

    `host`, `port`: the address to listen on; port 0 picks a free port. `seed`: determines the ids and statistics that
    the sandbox makes up. `clock`: a function that returns the time as an aware datetime; `None` for the real time.
    `advance` adds to this time. `require_token`: with `True`, every request needs the token that this sandbox has made
    up (`token`); with a string, every request needs this string as its token. `token_lifetime`: the lifetime of tokens
    from `token_url`, in seconds of the sandbox's clock. `behaviour`: settings for behaviour of the exchange that is not
    known. `keep`, `keep_bytes`: how many of the latest requests, and how many of the latest writes, the sandbox keeps,
    and how many bytes of each; `None` for no limit. `dropped_requests` and `dropped_writes` count the requests and
    writes that it does not keep. `control`: whether the sandbox has a control door (HTTP endpoints for other processes)
    and a page; a string is the token of the control door.

    The sandbox answers only requests that name one of these hosts in `Host`, with any port: a loopback name, `host`, or
    one of `hosts` (names or addresses without port, such as that of a container). If `host` is `0.0.0.0` or `::`, the
    address at which the request arrived takes the place of `host`. For another host the reply is a 421, for a web page
    of another origin a 403, for a body of more than 1 MiB a 413, and for headers of more than 64 KiB a 431.

    Raises `ConfigurationError` for a bad argument.
    """

    __module__ = "fielding_async.sandbox"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock: Callable[[], datetime] | None = None,
        require_token: bool | str = False,
        behaviour: Behaviour | None = None,
        token_lifetime: float = 86_400.0,
        keep: int | None = None,
        keep_bytes: int | None = 256 << 20,
        hosts: tuple[str, ...] = (),
        control: bool | str = False,
    ) -> None:
        call = "Sandbox"
        checks.text(call, "host", host, "an address to listen on, such as '127.0.0.1'")
        checks.whole(call, "port", port, 0, 65_535)
        checks.whole(call, "seed", seed, -(2**63), 2**63)
        for name, value in (("keep", keep), ("keep_bytes", keep_bytes)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"Sandbox({name}={value!r}): must be a whole number of 1 or more, or None")
        for name, token in (("require_token", require_token), ("control", control)):
            if isinstance(token, str):
                check_token(call, name, token)
            else:
                checks.flag(call, name, token)
        if behaviour is None:
            behaviour = Behaviour()
        checks.instance(call, "behaviour", behaviour, Behaviour, "Behaviour(read_lag=0.2)")
        checks.seconds(call, "token_lifetime", token_lifetime, above=True)
        if clock is not None:
            if not callable(clock):
                raise checks.wrong(call, "clock", clock, "a function that returns the time as an aware datetime")
            checked_time(clock())
        pipeline = RequestPipeline(
            seed=seed,
            clock=clock,
            behaviour=behaviour,
            require_token=require_token,
            token_lifetime=token_lifetime,
            kept=Kept(keep, keep_bytes),
        )
        super().__init__(pipeline, host, port, checked_names(hosts))
        self._control_token: str | None = None
        if control:
            self._control_token = control if isinstance(control, str) else f"control.{token_urlsafe(32)}"
            self._door = Door(self, Observation(pipeline), self._control_token)

    def __repr__(self) -> str:
        return f"<Sandbox {self._origin + '/v1' if self._origin else 'not started'}, {self._pipeline.engine.counts()}>"

    # Control

    @property
    def control_token(self) -> str | None:
        """The token of the control door; `None` unless `control` was given."""
        return self._control_token

    @property
    def control_url(self) -> str:
        """The URL of the control door. Raises `RuntimeError` if there is no control door, or before the start."""
        if self._control_token is None:
            raise RuntimeError("the sandbox has no control door: pass control=True")
        return f"{self._require_origin()}/control"

    @property
    def page_url(self) -> str:
        """The URL of the page, with the token of the control door. Raises `RuntimeError` as `control_url` does."""
        return f"{self.control_url.removesuffix('control')}#{self._control_token}"

    # Runs

    def add_run(
        self,
        status: RunStatus | str = RunStatus.SCHEDULED,
        *,
        account_id: int | None = None,
        project_id: str | None = None,
        target_group_id: str | None = None,
        fielding_run_id: str | None = None,
        start_fielding_at: datetime | None = None,
        end_fielding_at: datetime | None = None,
        version: int = 1,
        goal_reached: bool = False,
    ) -> RunRef:
        """Add a run, and return its ids. Its target group, project and account are added too if they do not exist.

        `target_group_id` may name a target group that was added without a run; account and project may then be left
        out. Ids have the defaults of `add_target_group`. By default, a scheduled run starts in a day, and any other run
        started a day ago. By default, a run ends a week after now or, if its start is later than now, a week after its
        start. Dates are cut to `Behaviour.date_precision` (milliseconds by default). `goal_reached`: whether a paused
        or completed run has reached its completes goal, so that it cannot be resumed or relaunched.

        The sandbox applies its clock at once: a scheduled run with a start in the past becomes live, and a live run
        with an end in the past becomes completed. Raises `ConfigurationError` for a bad argument, or if the target
        group has a run already.
        """
        known = known_status(status)
        now = self._pipeline.now()
        if goal_reached and known not in {RunStatus.PAUSED, RunStatus.COMPLETED}:
            raise ConfigurationError(
                f"add_run(goal_reached=True): must go with status paused or completed, not {known}"
            )
        checks.whole("add_run", "version", version, 0)
        checks.flag("add_run", "goal_reached", goal_reached)
        if fielding_run_id is not None:
            rule = "a str without '/', '?', '#', '%', '\\' and blanks"
            checks.text("add_run", "fielding_run_id", fielding_run_id, rule)
            if not _RUN_ID.fullmatch(fielding_run_id):
                raise checks.wrong("add_run", "fielding_run_id", fielding_run_id, rule)
        start = aware("start_fielding_at", start_fielding_at)
        end = aware("end_fielding_at", end_fielding_at)
        try:
            if start is None:
                start = now + _DAY if known is RunStatus.SCHEDULED else now - _DAY
                start = min(start, end - _DAY) if end else start
            end = end or max(now, start) + _WEEK
        except OverflowError:
            raise ConfigurationError(
                "add_run: the other date would be beyond the years 1 to 9999: pass both dates"
            ) from None
        if floor(end, self._pipeline.behaviour.date_precision) <= start:
            raise ConfigurationError("add_run: end_fielding_at must be after start_fielding_at")
        with self._pipeline.lock:
            group = self._group_ref(account_id, project_id, target_group_id)
            if self._pipeline.engine.runs.run_of(group) is not None:
                raise ConfigurationError(
                    f"target_group_id={target_group_id!r}: must be of a target group without a run, and this has one"
                )
            run_id = fielding_run_id or self._pipeline.ids.ulid()
            ref = RunRef(group.account_id, group.project_id, group.target_group_id, run_id)
            self._pipeline.engine.add_run(ref, known, start, end, version, now, goal_reached=goal_reached)
            self._pipeline.engine.catch_up(now)
        return ref

    def inspect(self, ref: RunRef | RunHandle) -> FieldingRun:
        """Return the current state of the run, with its ETag.

        Raises `KeyError` if there is no such run, and `ConfigurationError` for a value that is neither a `RunRef` nor a
        `Run`. Each method that takes a `RunRef` also takes a `Run` of a session.
        """
        ref = checks.run_ref("inspect", ref)
        with self._pipeline.lock:
            run = self._pipeline.engine.inspect(ref, self._pipeline.now())
        if run is None:
            raise KeyError(f"no such run: {ref}: use a ref that add_run returned")
        return run

    def touch(
        self,
        ref: RunRef | RunHandle,
        *,
        status: RunStatus | str | None = None,
        start_fielding_at: datetime | None = None,
        end_fielding_at: datetime | None = None,
    ) -> FieldingRun:
        """Write to a run, as if another user did it, and return the run after the write.

        The run may be in any state. A value that is left out stays as it is. The version is raised in any case. Raises
        `KeyError` if there is no such run, `ConfigurationError` for a bad argument.
        """
        ref = checks.run_ref("touch", ref)
        known = None if status is None else known_status(status)
        start = aware("start_fielding_at", start_fielding_at)
        end = aware("end_fielding_at", end_fielding_at)
        with self._pipeline.lock:
            stored = self._pipeline.engine.runs.accepted(ref)
            if stored is not None and (end or stored.end) <= (start or stored.start):
                raise ConfigurationError("touch: end_fielding_at must be after start_fielding_at")
            run = self._pipeline.engine.touch(ref, known, start, end, self._pipeline.now())
        if run is None:
            raise KeyError(f"no such run: {ref}: use a ref that add_run returned")
        return run

    # Assistants

    def inspect_assistant(self, group: DraftRef | RunRef | RunHandle) -> AssistantState:
        """Return the assignment of a target group's Fielding Assistant: its modules as JSON text, and its ETag.

        `group`: a `RunRef`, `Run` or `DraftRef` of the target group. Raises `KeyError` if there is no such target
        group.
        """
        with self._pipeline.lock:
            return self._pipeline.engine.assistants.state(self._assistant_key(group))

    def touch_assistant(self, group: DraftRef | RunRef | RunHandle, modules: str) -> AssistantState:
        """Replace the assignment of a target group's Fielding Assistant, as if another user did it.

        `group`: a `RunRef`, `Run` or `DraftRef` of the target group. `modules`: the JSON object of the API's PUT, as
        text.

        Raises `KeyError` if there is no such target group, `ConfigurationError` for modules that the API would refuse.
        """
        checks.text("touch_assistant", "modules", modules, "the JSON object of the PUT, as a str")
        with self._pipeline.lock:
            key = self._assistant_key(group)
            try:
                return self._pipeline.engine.assistants.replace(key, modules)
            except ValueError as problem:
                raise ConfigurationError(f"touch_assistant(modules={briefly(modules)}): {problem}") from None

    def _assistant_key(self, group: DraftRef | RunRef | RunHandle) -> tuple[int, str, str]:
        group = as_ref(group)
        if not isinstance(group, DraftRef | RunRef):
            raise ConfigurationError(
                f"group={briefly(group, 120)}: must be a RunRef, Run or DraftRef of the target group"
            )
        key = (group.account_id, group.project_id, group.target_group_id)
        if self._pipeline.engine.catalog.group(*key) is None:
            raise KeyError(
                f"no such target group: {group}: use a ref that add_run, add_draft or add_target_group returned"
            )
        return key

    # Clock

    @property
    def now(self) -> datetime:
        """The time by the sandbox's clock, in UTC, cut to whole milliseconds."""
        return floor(self._pipeline.now().astimezone(UTC), MILLISECOND)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: runs go live and complete, jobs are carried out, tokens expire.

        `seconds`: 0 to 1e10. Raises `ConfigurationError` for anything else, and if the clock would pass the start of
        the year 9000. The clock then does not move.
        """
        checks.seconds("advance", "seconds", seconds)
        self._pipeline.advance(seconds)
