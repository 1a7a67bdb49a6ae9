"""A PostgreSQL database over asyncpg or psycopg: connections, the tables of plans, and what the drivers' errors mean.

May be imported by `plans` and its folders. Imports `core`; the one importer of asyncpg and psycopg.
"""
