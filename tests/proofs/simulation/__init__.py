"""A deterministic simulation of sessions, colleagues, a bad network and the exchange; one seed decides everything.

`python -m tests.proofs.simulation --seed 123` replays a seed with a timeline, `--seeds 20000` searches.

Half of the worlds have intermediaries: caches, rewriters of ETags, gateways that answer by themselves (`between`).
A breach begins with the letter of what was broken:

(a) nothing is applied twice; (b) an outcome is true; (c) an error is true, and doubts are remembered; (d) nobody's
change is overwritten unjudged; (e) writes keep the order of the calls; (f) calls end in time, and nothing leaks;
(g) requests are no more than allowed; (h) what somebody else changed after a call's first lost attempt is not undone;
(i) after a lost reply a call ends in one of the allowed ways; (j) an acceptance is founded; (k) what a call says of a
run was so when it looked; (l) `ServerError` only on answers of the exchange itself; (m) a refusal only for who asked or
was overtaken; (n) conflicts are counted; (o) judgements rest on what is fresh;
(p) a write of an assistant rests on a GET since the last one that was accepted; (q) hints serve plain status actions
alone, and raise nothing that is known to be past.

`--hints true` has sessions tell each other what they read, `--hints garbage` tells them anything at all in its place.
`--resource assistants` has assistants in place of runs: without a version, and with whole values.
"""
