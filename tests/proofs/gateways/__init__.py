"""Real gateways between client and exchange: nginx, HAProxy, squid, Apache; nothing twice, nothing falsely reported.

`python -m tests.proofs.gateways --calls 2000` drives them all and prints the share of unknown outcomes.
"""
