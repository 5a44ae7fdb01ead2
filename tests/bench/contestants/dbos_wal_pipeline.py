"""DBOS at its leanest on SQLite: the same pipelines over a database that is already in WAL mode."""

import sqlite3
from contextlib import closing
from pathlib import Path

from contestants.dbos_pipeline import Contestant as Default


class Contestant(Default):
    """DBOS, which leaves the mode of a database as it finds it."""

    def __init__(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / "dbos.sqlite")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        super().__init__(folder)
