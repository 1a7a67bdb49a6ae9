"""Ask the workers for an action, and print what became of each run.

python rq_client.py pause ACCOUNT/PROJECT/TARGET_GROUP/RUN ...
"""

import json
import os
import sys

from redis import Redis
from rq import Queue
from rq_jobs import act

action, *refs = sys.argv[1:]
url = os.environ.get("RQ_REDIS_URL", "redis://127.0.0.1:6379/0")
# redis-py 8 ends a read after 5 seconds unless it is told not to, and a result may take longer
queue = Queue("runs", connection=Redis.from_url(url, socket_timeout=None))
asked = [queue.enqueue(act, ref, action, job_timeout=60, result_ttl=86_400, failure_ttl=86_400) for ref in refs]
print(f"asked for {len(asked)}", flush=True)
for job in asked:
    result = job.latest_result(timeout=600)
    known = result and result.return_value
    print(json.dumps(known or {"ref": job.args[0], "effect": "unknown"}), flush=True)  # no result: it was not finished
