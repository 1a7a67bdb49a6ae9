"""The second signal, which ends the process."""

import signal
import subprocess
import sys

from fielding_async.sandbox import Sandbox
from tests.cli.command_line import end_of


def test_a_second_signal_ends_at_once(box: Sandbox) -> None:
    """A process that was signalled twice does not wait for anything."""
    code = (
        "import asyncio, sys\n"
        "from fielding_async.cli.shared.signal_handling import run_async\n"
        "async def stubborn():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        try: await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError: print('cancelled', flush=True)\n"
        "run_async(stubborn)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "cancelled\n"
        child.send_signal(signal.SIGTERM)
        what = end_of(child)
    assert what.status == 143
    assert "stopped at once" in what.err
