"""Examples of docstrings, for the type checkers alone: `python -m tests.proofs.typing.docstrings`."""

# ruff: noqa: I001
# fmt: off
from fielding_async import FieldingSession, Run, RunRef


async def fielding_async(account_id: int, project_id: str, target_group_id: str, fielding_run_id: str) -> None:
    from fielding_async import FieldingSession

    async with FieldingSession() as fielding:
        run = fielding.run(account_id, project_id, target_group_id, fielding_run_id)
        await run.launch_now()


async def handles_raw_request_request(fielding: FieldingSession) -> None:
    found = await fielding.request("GET", "/demand/accounts/101/reports", params={"page_size": 50})
    print(found.status, found.json, found.headers.get("Content-Type"))
    _ = found


async def handles_run_update(run: Run) -> None:
    from datetime import timedelta
    from fielding_async import Update

    await run.update(lambda now: Update(end_fielding_at=now.end_fielding_at + timedelta(days=2)))


async def queues_procrastinate() -> None:
    import os
    import procrastinate
    from fielding_async.queues.procrastinate import add_plan_tasks

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["FIELDING_PLANS_URL"]))
    plan_tasks = add_plan_tasks(app)
    _ = app, plan_tasks


async def queues_taskiq() -> None:
    import os
    import taskiq
    import taskiq_redis
    from fielding_async.queues.taskiq import add_plan_tasks
    from taskiq.schedule_sources import LabelScheduleSource

    broker = taskiq_redis.RedisStreamBroker(os.environ["FIELDING_SHARED_URL"], xread_count=1)
    plan_tasks = add_plan_tasks(broker)
    scheduler = taskiq.TaskiqScheduler(broker, [LabelScheduleSource(broker)])
    _ = broker, plan_tasks, scheduler


async def session_perform_all(fielding: FieldingSession, refs: list[RunRef]) -> None:
    from fielding_async import Complete

    async with fielding.perform_all((ref, Complete()) for ref in refs) as batch:
        async for done in batch:
            print(done.ref, done.outcome.effect if done.error is None else done.error)


async def telemetry_incoming_context_trace_context(fielding: FieldingSession, ref: RunRef) -> None:
    from aiohttp import web
    from fielding_async import trace_context

    async def handler(request: web.Request) -> web.Response:
        with trace_context(request.headers):
            outcome = await fielding.run(ref).pause()
        return web.Response(text=outcome.effect)
    _ = handler


async def webhooks(secret: str) -> None:
    from aiohttp import web
    from fielding_async.webhooks import WebhookVerificationError, verify

    async def handler(request: web.Request) -> web.Response:
        try:
            signed_at = verify(await request.read(), request.headers.get("Cint-Signature", ""), secret)
        except WebhookVerificationError:
            return web.Response(status=400)
        return web.Response(text=f"signed at {signed_at}")
    _ = handler
