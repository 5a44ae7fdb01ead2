"""The embedded log: a journal a process for what must be durable now, and DuckDB behind it for everything older."""

from agentkit.stores.embedded.store import EmbeddedStore, open_store

__all__ = ["EmbeddedStore", "open_store"]
