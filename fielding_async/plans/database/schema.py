"""The tables of plans, and how they are made and migrated.

A migration is a script that leads from one version of the tables to the next. Each runs once, whichever process gets
there first: the scripts and the version that they lead to are one transaction, which starts with a lock. A version that
was released is never changed; a new one is added.

All names are without a schema: they are found, and made, by the search_path of the connection.
"""

from collections.abc import Sequence

from fielding_async.core.errors import ConfigurationError

from .connection import Connection
from .errors import CREATE_TABLES

__all__ = ["DURABLE", "MIGRATIONS", "check_tables", "migrate"]

DURABLE = (
    "set_config('synchronous_commit',"
    " CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
)
"""An expression for a statement whose transaction must be durable when its commit is reported, whatever the server, the
database or the user have set. It must be evaluated: as `SELECT`, or in a `WITH … AS MATERIALIZED` that is read from."""

_LOCK = 0x6669656C64696E67  # of the database, for the length of a migration; the bytes of "fielding"

# `fielding_plan_shard` has a row for each part of a plan, which is updated with each group of records: free space in
# its pages, and no index on what changes, let PostgreSQL update in place and clean up as it goes (HOT). There are no
# foreign keys, as each row of a COPY would pay for the check: plans are deleted table by table, see `deletion`.
_VERSION_1 = """
CREATE TABLE fielding_plan (
    plan_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    digest text NOT NULL,
    state text NOT NULL CHECK (state IN ('sealed', 'paused', 'cancelled', 'deleting')),
    row_count bigint NOT NULL,
    shard_count integer NOT NULL,
    base_url text,
    api_version text,
    submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    began_at timestamptz,
    finished_at timestamptz
);
CREATE TABLE fielding_plan_row (
    plan_id bigint NOT NULL,
    shard integer NOT NULL,
    place integer NOT NULL,
    number bigint NOT NULL,
    account_id integer NOT NULL,
    project_id text NOT NULL,
    target_group_id text NOT NULL,
    fielding_run_id text NOT NULL,
    action text NOT NULL,
    if_match text,
    PRIMARY KEY (plan_id, shard, place)
);
CREATE TABLE fielding_plan_shard (
    plan_id bigint NOT NULL,
    shard integer NOT NULL,
    row_count integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    holder text,
    lease_until timestamptz,
    groups integer NOT NULL DEFAULT 0,
    digest text NOT NULL DEFAULT '',
    ended integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    skipped integer NOT NULL DEFAULT 0,
    in_flight integer NOT NULL DEFAULT 0,
    stuck integer NOT NULL DEFAULT 0,
    written_at timestamptz,
    finished boolean NOT NULL DEFAULT false,
    not_before timestamptz,
    PRIMARY KEY (plan_id, shard)
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE TABLE fielding_plan_group (
    plan_id bigint NOT NULL,
    shard integer NOT NULL,
    number integer NOT NULL,
    epoch bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lines bytea NOT NULL,
    PRIMARY KEY (plan_id, shard, number)
);
CREATE TABLE fielding_plan_late (
    plan_id bigint NOT NULL,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lines bytea NOT NULL
);
CREATE INDEX fielding_plan_late_of ON fielding_plan_late (plan_id, shard);
"""

MIGRATIONS: Sequence[str] = (_VERSION_1,)
"""The scripts: the first one makes version 1 from nothing, each further one the next version."""


async def migrate(connection: Connection, scripts: Sequence[str] = MIGRATIONS) -> bool:
    """Make or migrate the tables, and return whether anything was changed. Any number of processes may do so at once.

    Raises `ConfigurationError` for tables of a newer version, `StoreLostError` and others of the connection.
    """
    async with connection.transaction():
        # of the transaction, not of the connection: a pooler gives that to others
        await connection.fetch("SELECT pg_advisory_xact_lock($1::bigint)", _LOCK)
        version = await _version(connection)
        _refuse_newer(version, len(scripts))
        if version == len(scripts):
            return False
        if version == 0:
            await connection.run("CREATE TABLE fielding_plan_schema (version integer NOT NULL)")
            await connection.run("INSERT INTO fielding_plan_schema VALUES (0)")
        for script in scripts[version:]:
            await connection.run(script)
        await connection.fetch("UPDATE fielding_plan_schema SET version = $1::integer", len(scripts))
        return True


async def check_tables(connection: Connection) -> None:
    """Raise `ConfigurationError` unless the tables are those of this version."""
    version = await _version(connection)
    _refuse_newer(version, len(MIGRATIONS))
    if version == 0:
        raise ConfigurationError(f"the database has no tables of plans: {CREATE_TABLES}")
    if version < len(MIGRATIONS):
        raise ConfigurationError(
            f"the tables of plans are of version {version}, and this library needs version {len(MIGRATIONS)}:"
            f" {CREATE_TABLES}"
        )


def _refuse_newer(version: int, known: int) -> None:
    if version > known:
        raise ConfigurationError(
            f"the tables of plans are of version {version}, and this library knows versions up to {known}:"
            " use a newer fielding-async"
        )


async def _version(connection: Connection) -> int:
    """Return the version of the tables, 0 if there are none."""
    ((name,),) = await connection.fetch("SELECT to_regclass('fielding_plan_schema')::text")
    if name is None:
        return 0
    ((version,),) = await connection.fetch("SELECT max(version) FROM fielding_plan_schema")
    return int(version or 0)
