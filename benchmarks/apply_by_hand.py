"""Sends a plan in a loop as one writes it by hand: a GET for the ETag of each run, then the POST. Nothing is kept.

A script: `python -P benchmarks/apply_by_hand.py PLAN BASE_URL`.
"""

import asyncio
import csv
import sys

import aiohttp

_AT_ONCE = 32
_HEADERS = {"Authorization": "Bearer token", "Cint-API-Version": "2025-12-18", "Accept": "application/json"}


async def _send(plan: str, base_url: str) -> None:
    with open(plan, newline="") as file:  # noqa: ASYNC230, PTH123 - as one writes it
        rows = csv.DictReader(file)
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as http:

            async def work() -> None:
                for row in rows:
                    parents = f"accounts/{row['account_id']}/projects/{row['project_id']}"
                    group = f"{parents}/target-groups/{row['target_group_id']}"
                    url = f"{base_url}/demand/{group}/fielding-runs/{row['fielding_run_id']}"
                    async with http.get(url) as reply:
                        reply.raise_for_status()
                        await reply.json()
                        etag = reply.headers["ETag"]
                    async with http.post(f"{url}/{row['action']}", headers={"If-Match": etag}) as reply:
                        reply.raise_for_status()

            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(work())


if __name__ == "__main__":
    asyncio.run(_send(*sys.argv[1:]))
