"""A deterministic simulation of sessions, colleagues, a bad network and the exchange; one seed decides everything.

`python -m tests.proofs.simulation --seed 123` replays a seed with a timeline, `--seeds 20000` searches.
"""
