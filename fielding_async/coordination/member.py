"""One entered session as a member of its scope: its pacer, its hints and its connections."""

from attrs import frozen

from fielding_async.engine.membership import Joining

from .address import Address
from .client import StoreClient
from .run_hints import RedisHints
from .scope import key
from .shared_pacer import SharedPacer
from .synchronizer import Synchronizer

__all__ = ["Member", "MemberOptions"]


@frozen
class MemberOptions:
    """`scope`: which sessions share. `expected`: how many there are, before that is known. `runs`: whether to hint."""

    scope: str
    expected: int
    runs: bool


class Member:
    """What an entered session has of `Shared`; see `Membership`."""

    def __init__(self, address: Address, options: MemberOptions, joining: Joining) -> None:
        self.client: StoreClient = StoreClient(address, joining.loop, joining.uniform, key(options.scope, "probe"))
        self.pacer: SharedPacer = SharedPacer(joining, options.expected)
        self._synchronizer = Synchronizer(self.client, options.scope, self.pacer, joining)
        self.client.on_change[self._synchronizer.store_changed] = None
        self.pacer.on_attach = self._synchronizer.start
        name = f"{int(joining.uniform(0, 2**53)):x}"
        self.hints: RedisHints | None = RedisHints(self.client, options.scope, name) if options.runs else None

    @property
    def members(self) -> int:
        """How many sessions share the pace, as last heard; 0 while the store cannot be reached."""
        return self.pacer.members

    @property
    def fallbacks(self) -> int:
        """How often the store could not be reached any more."""
        return self.pacer.fallbacks

    def close_now(self) -> None:
        """Cut the connections and end all tasks. Waits for nothing; may be called again."""
        self._synchronizer.close_now()
        self.client.close_now()

    async def aclose(self) -> None:
        """Tell the others that this session is gone, and close everything. Never raises, but for a cancellation."""
        try:
            await self._synchronizer.aclose()
            if self.hints is not None:
                await self.hints.aclose()
        finally:
            self.client.close_now()
        await self.client.aclose()
