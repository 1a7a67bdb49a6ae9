"""Ask the workers for an action, and print what became of each run.

python celery_client.py pause ACCOUNT/PROJECT/TARGET_GROUP/RUN ...
"""

import json
import sys

from celery_app import act

action, *refs = sys.argv[1:]
asked = [act.delay(ref, action) for ref in refs]
print(f"asked for {len(asked)}", flush=True)
for ref, result in zip(refs, asked, strict=True):
    known = result.get(timeout=600, propagate=False)
    if not result.successful():  # its worker was killed, or a time limit was over
        known = {"ref": ref, "effect": "unknown", "error": str(known)}
    print(json.dumps(known), flush=True)
