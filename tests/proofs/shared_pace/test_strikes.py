"""Sessions with one pace through a real server that is struck under load: no call fails, and they share again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.limit_servers import Limit
from tests.tools.fault_proxy import FaultProxy
from tests.tools.services import REDIS_PROGRAMS, RedisServer
from tests.tools.services.fixtures import StartRedis

from .load import Load, Plan
from .strikes import STRIKES, Scene

pytestmark = [pytest.mark.slow, pytest.mark.once]

PLAN = Plan(Limit.of("token-bucket", 200.0), 200.0, sessions=3, is_told=True)


@asynccontextmanager
async def scene_of(redis: RedisServer, start_redis: StartRedis, plan: Plan = PLAN) -> AsyncIterator[Scene]:
    """Have sessions call, all of which have reached the store."""

    def start_replica() -> RedisServer:
        return start_redis(replica_of=redis)

    async with FaultProxy(redis.port) as proxy, Load(plan, redis.url_at(proxy.port)) as load:
        await load.all_sharing()
        await load.more(5)
        yield Scene(load, redis, proxy, start_replica)


@pytest.mark.parametrize("name", STRIKES)
async def test_no_call_fails_whatever_happens_to_redis(
    name: str, redis_server: RedisServer, start_redis: StartRedis
) -> None:
    """The sessions go on by themselves, and share again afterwards."""
    async with scene_of(redis_server, start_redis) as scene:
        await STRIKES[name](scene)
        await scene.load.more(5)
        await scene.load.all_sharing()
        await scene.load.more(5)
    assert scene.load.errors == []


@pytest.mark.parametrize("program", REDIS_PROGRAMS[1:])
async def test_no_call_fails_when_another_program_is_killed(program: str, start_redis: StartRedis) -> None:
    """Valkey, and the oldest Redis, are killed and come back empty."""
    async with scene_of(start_redis(program=program), start_redis) as scene:
        await STRIKES["killed"](scene)
        await scene.load.all_sharing()
        await scene.load.more(5)
    assert scene.load.errors == []


async def test_sessions_that_never_reach_the_store_keep_the_rate_in_sum() -> None:
    """With `expected` each takes its part of the configured rate: no one takes it all."""
    plan = Plan(Limit.of("fixed-window", 1000.0), 80.0, sessions=8, callers=2, is_told=True, expected=8)
    async with Load(plan, "redis://127.0.0.1:1/0") as load:
        began = load.exchange.now
        await load.more(20)
        seconds = load.exchange.now - began
        sent = sum(arrival.at >= began for arrival in load.exchange.arrivals)
    assert load.members() == [0] * 8
    assert load.errors == []
    # evenly spaced: each may send once more than its part of the time
    assert sent <= 80.0 * seconds + 8
