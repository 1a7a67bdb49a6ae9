"""What a server says before it responds to a COPY is no response."""

import asyncio

import pytest

from fielding_async.plans.database.copy_guard import CopyGuard

NOTICE = b"N" + (4 + 9).to_bytes(4, "big") + b"GEnotice\0"
RESPONSE = b"G" + (4 + 3).to_bytes(4, "big") + b"\0\0\0"
ERROR = b"E" + (4 + 2).to_bytes(4, "big") + b"\0\0"


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


class InMemory(asyncio.Transport):
    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return False


@pytest.mark.parametrize("response", [RESPONSE, ERROR], ids=["agreed", "refused"])
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_rows_wait_for_the_response_and_for_nothing_else(response: bytes, size: int) -> None:
    """Notices before it do not count, however the bytes are cut; the driver gets every byte."""
    driver = Heard()
    transport = InMemory(driver)
    guard = CopyGuard(transport)
    waits = asyncio.ensure_future(guard.may_write())
    for start in range(0, 2 * len(NOTICE), size):
        guard.data_received((NOTICE * 2)[start : start + size])
        await asyncio.sleep(0)
        assert not waits.done()
    guard.data_received(response)
    assert await waits
    guard.end()
    assert transport.protocol is driver
    assert driver.data == NOTICE * 2 + response
