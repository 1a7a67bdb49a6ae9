"""Redis, Valkey, PostgreSQL and PgBouncer for tests: started from the distribution's packages, on loopback, and ended.

The fixtures, of `fixtures`, skip their test with the reason where the program is not installed:

- `redis_server`: an empty Redis as a `RedisServer`, with `.url`, `.query("GET", "key")`, `.kill()`, `.restart()`
  (empty), `.pause()` (SIGSTOP), `.resume()`; `redis_url`: its URL.
- `start_redis(password=…, replica_of=…, certificate=…, program="valkey-server")` starts another one: see `RedisServer`.
- `postgres_url`: the URL of an empty database of the test's own; `postgres_server`: the `PostgresServer` that it is on,
  with `.execute(SQL, database)`, `.kill()` and `.restart()` (as `pg_ctl -m immediate`), `.pause()`, `.resume()`.
- `postgres_module_url`: the URL of an empty database that the tests of a module share.
- `start_postgres(password=…, max_connections=…, fsync=…)` starts another one: see `PostgresServer`.
- `pgbouncer_url`: the database of `postgres_url` behind PgBouncer in transaction pooling; `pgbouncer_server`: the
  `PgBouncer`. In a test with both URLs the one sees what the other has done.

One server of each kind is started by each process of the tests, at its first use, and lasts as long as the process. A
test may leave it killed or stopped: it is brought to life and emptied before the next test.

`REDIS_PROGRAMS` for `@pytest.mark.parametrize`: the distribution's Redis, Redis 6.2 and Valkey. The latter two come in
wheels (the group `servers` of pyproject.toml).

The methods block for as long as the program takes to start or end: `await asyncio.to_thread(server.restart)` where the
event loop must go on meanwhile.

Nothing is left running. What is started is ended by its fixture; where the test process is killed, the kernel ends it
(`PR_SET_PDEATHSIG`, through `setpriv`), and elsewhere than on Linux `atexit` does, which a SIGKILL prevents.
"""

from .pgbouncer import PgBouncer
from .postgres import PostgresServer
from .process import Service, StartError, find, free_port
from .redis import REDIS_PROGRAMS, RedisServer

__all__ = ["REDIS_PROGRAMS", "PgBouncer", "PostgresServer", "RedisServer", "Service", "StartError", "find", "free_port"]
