"""The embedded log: a journal a process for what must be durable now, and DuckDB behind it for everything older."""
