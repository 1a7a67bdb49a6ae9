"""Give the dashboard something to show: calls of every kind against a sandbox, with its metrics for Prometheus.

    python -m pip install opentelemetry-exporter-prometheus
    python examples/dashboard/demo.py [--port 9464]

Prometheus finds the metrics at http://127.0.0.1:9464/metrics. Ctrl-C ends the program.
"""

import argparse
import asyncio
import itertools
import signal
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack, suppress

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import start_http_server

from fielding_async import ClientCredentials, FieldingError, FieldingSession, Pause, Resume, RunRef
from fielding_async.sandbox import Cut, Fault, Hold, Sandbox, SecondWriter, Status

CLIENT = ("demo", "not-a-secret-of-anybody")


async def ignoring_errors(call: Awaitable[object]) -> None:
    """Wait for a call. Its error is counted by the metrics."""
    with suppress(FieldingError):
        await call


async def one_of_each(fielding: FieldingSession, exchange: Sandbox, *, pause: float = 1.0) -> None:
    """Make each kind of event happen once. `pause`: seconds that the exchange asks for with its 429."""

    def script(faults: Iterable[Fault], operation: str, ref: RunRef | None = None) -> None:
        for fault in faults:
            exchange.script(fault, on=operation, ref=ref)

    ref = exchange.add_run("live")
    run = fielding.run(ref)
    await run.pause()
    await run.pause()  # already
    await asyncio.gather(run.resume(), run.pause(), run.resume())  # they take turns
    script([SecondWriter()], "pause", ref)  # a 412
    await run.pause()
    script([Cut("before"), Status(503)], "resume", ref)  # lost replies, retries
    await run.resume()
    script([Cut("after")], "pause", ref)  # a lost reply of a write that was applied: unconfirmed
    await run.pause()
    script([Status(429, retry_after=f"{pause:.2f}")], "resume", ref)
    await run.resume()
    script([Status(404)], "get", ref)
    await ignoring_errors(run.get())

    hold = Hold()
    script([hold], "pause", ref)
    cancelled = asyncio.ensure_future(run.pause())
    await hold.arrived()
    cancelled.cancel()  # the write has left, and goes on
    await asyncio.wait([cancelled])
    hold.release()
    await run.resume()

    async with fielding.perform_all([(exchange.add_run("live"), Pause()) for _ in range(10)]) as batch:
        async for _ in batch:
            pass
    job = await fielding.project(ref.account_id, ref.project_id).pause([ref.target_group_id])
    await job.wait()

    exchange.expire_tokens()
    script([Status(401)], "token")  # no token can be had once
    await ignoring_errors(run.get())
    await run.get()


async def click(fielding: FieldingSession, exchange: Sandbox) -> None:
    """Pause and resume a few runs for ever, as users of a program would."""
    runs = [fielding.run(exchange.add_run("live")) for _ in range(20)]
    for number in itertools.count():
        run = runs[number % len(runs)]
        await ignoring_errors(run.perform(Pause() if number // len(runs) % 2 == 0 else Resume()))
        await asyncio.sleep(0.1)


async def play(port: int) -> None:
    """Serve metrics, and make calls until the task is cancelled."""
    reader = PrometheusMetricReader()
    meters = MeterProvider([reader], resource=Resource.create({"service.name": "dashboard-demo"}))
    server, thread = start_http_server(port, "127.0.0.1")
    print(f"metrics: http://127.0.0.1:{server.server_port}/metrics", flush=True)
    try:
        async with AsyncExitStack() as stack:
            exchange = await stack.enter_async_context(Sandbox())
            exchange.add_client(*CLIENT)
            exchange.rate_limit(40)
            auth = ClientCredentials(*CLIENT, token_url=exchange.token_url)
            billing, clicks = [
                await stack.enter_async_context(
                    FieldingSession(auth, base_url=exchange.url, meter_provider=meters, name=name)
                )
                for name in ("billing", "clicks")
            ]
            clicking = await stack.enter_async_context(asyncio.TaskGroup())
            for _ in range(4):
                clicking.create_task(click(clicks, exchange))
            while True:
                await one_of_each(billing, exchange)
    finally:
        meters.shutdown()
        server.shutdown()
        server.server_close()
        thread.join()


async def main(port: int) -> None:
    """Play until SIGINT or SIGTERM."""
    playing = asyncio.ensure_future(play(port))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    with suppress(asyncio.CancelledError):
        await playing


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=9464, help="where the metrics are served (default: 9464)")
    asyncio.run(main(parser.parse_args().port))
