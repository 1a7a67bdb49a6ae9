"""What happens to the store under load. Each strike returns once all sessions share again, if they ever can.

`Scene.calls`: how many calls of every session are answered while the store is away.
"""

import asyncio
from collections.abc import Awaitable, Callable

from attrs import frozen

from tests.tools.fault_proxy import FaultProxy
from tests.tools.services import RedisServer

from .load import Load

__all__ = ["STRIKES", "Scene", "Strike"]


@frozen
class Scene:
    """A load whose sessions reach `redis` through `proxy`. `calls`: of every session while it is away.

    `start`: starts a replica of `redis`.
    """

    load: Load
    redis: RedisServer
    proxy: FaultProxy
    start_replica: Callable[[], RedisServer]
    calls: int = 5

    async def meanwhile(self) -> None:
        """Wait until all sessions go on by themselves, and have done so for a while."""
        await self.load.none_sharing()
        await self.load.more(self.calls)


Strike = Callable[[Scene], Awaitable[None]]


async def killed(scene: Scene) -> None:
    """Kill it, and start it again, empty, after a while."""
    await asyncio.to_thread(scene.redis.kill)
    await scene.meanwhile()
    await asyncio.to_thread(scene.redis.start)


async def restarted_empty(scene: Scene) -> None:
    """Kill it, and start it again at once, empty."""
    await asyncio.to_thread(scene.redis.restart)


async def emptied(scene: Scene) -> None:
    """Delete all its data and scripts: connections stay."""
    scene.redis.query("FLUSHALL")
    scene.redis.query("SCRIPT", "FLUSH")


async def slow(scene: Scene) -> None:
    """Have every reply come 0.8 s late."""
    scene.proxy.delay = 0.8
    await scene.meanwhile()
    scene.proxy.delay = 0.0


async def failed_over(scene: Scene) -> None:
    """Kill it once a replica has its data, and lead its address to the replica."""
    replica = await asyncio.to_thread(scene.start_replica)
    await asyncio.to_thread(scene.redis.kill)
    replica.promote()
    scene.proxy.target = replica.port


async def failed_over_by_address(scene: Scene) -> None:
    """Lead its address to a replica, which takes writes only later; the connections to the old one stay open."""
    replica = await asyncio.to_thread(scene.start_replica)
    scene.proxy.target = replica.port
    scene.proxy.cut()
    await scene.load.more(scene.calls)
    replica.promote()


async def stopped(scene: Scene) -> None:
    """Stop it by SIGSTOP, and continue it."""
    scene.redis.pause()
    await scene.meanwhile()
    scene.redis.resume()


async def cut_off(scene: Scene) -> None:
    """Reset all connections, and close new ones at once."""
    scene.proxy.is_refusing = True
    scene.proxy.cut()
    await scene.meanwhile()
    scene.proxy.is_refusing = False


async def reset(scene: Scene) -> None:
    """Reset all connections once."""
    scene.proxy.cut()


async def silent(scene: Scene) -> None:
    """Let nothing pass in either direction."""
    scene.proxy.is_silent = True
    await scene.meanwhile()
    scene.proxy.is_silent = False


async def replies_broken_off(scene: Scene) -> None:
    """Break a reply off in its middle, and what follows at its beginning."""
    scene.proxy.reply_bytes = 100
    await scene.meanwhile()
    scene.proxy.reply_bytes = None


async def clients_killed(scene: Scene) -> None:
    """Have the server close all connections: `CLIENT KILL`."""
    scene.redis.query("CLIENT", "KILL", "TYPE", "normal")


async def out_of_memory(scene: Scene) -> None:
    """Have the server refuse commands that take memory: it goes on with a script whose first write frees some."""
    scene.redis.query("CONFIG", "SET", "maxmemory", "1")
    await scene.load.more(scene.calls)
    scene.redis.query("CONFIG", "SET", "maxmemory", "0")


async def login_changed(scene: Scene) -> None:
    """Ask for a password that the sessions do not have."""
    scene.redis.query("CONFIG", "SET", "requirepass", "another")
    scene.redis.password = "another"
    scene.redis.query("CLIENT", "KILL", "TYPE", "normal")
    await scene.meanwhile()
    scene.redis.query("CONFIG", "SET", "requirepass", "")
    scene.redis.password = None


async def busy(scene: Scene) -> None:
    """Have a script of somebody else keep the server for a while."""
    other = asyncio.create_task(asyncio.to_thread(_block, scene.redis))
    await scene.meanwhile()
    scene.redis.query("SCRIPT", "KILL")
    await other


def _block(redis: RedisServer) -> None:
    from tests.tools.services.redis import RedisError

    redis.query("CONFIG", "SET", "lua-time-limit", "50")
    try:
        redis.query("EVAL", "while true do end", "0")
    except (RedisError, OSError):
        return


STRIKES: dict[str, Strike] = {
    strike.__name__: strike
    for strike in (
        *(killed, restarted_empty, emptied, slow, failed_over, failed_over_by_address, stopped, cut_off, reset),
        *(silent, replies_broken_off, clients_killed, out_of_memory, login_changed, busy),
    )
}
"""All strikes by name."""
