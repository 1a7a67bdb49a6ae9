"""Random worlds of limits for the pace, in virtual time: what it costs beside an oracle, and beside plain obedience.

`python -m tests.proofs.pace --seeds 0-399` plays worlds and prints a table; `--world N --trace` shows one, with all its
events; `--classic`, `--gateways` and `--strays` play worlds made by hand; `--check` says which claims do not hold.

A world (`worlds`) has a server (`servers`), a network, event loops and strays (`weather`), and a demand (`demand`).
Only the pacer of a session is real; around it `session` does what the engine does, without asyncio, so that a world
takes milliseconds, and `play` puts sessions and server together. `real_session` plays the same worlds with the SDK
itself, to show that the model is right. `clients` are what plays, `mutants` those that must not pass; `oracle` knows
the server's state. `cost` compares; `classic`, `gateways` and `lone_refusals` are the worlds made by hand; `report` has
the figures and `bounds` the claims.
"""
