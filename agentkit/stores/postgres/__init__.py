"""The log in PostgreSQL, for a team: many processes and machines on one log, claims with a lease, SQL on the server."""

from agentkit.stores.postgres.store import PostgresStore, open_store

__all__ = ["PostgresStore", "open_store"]
