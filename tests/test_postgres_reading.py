"""Reading SQL from people on PostgreSQL: the log's views, and nothing else."""

import psycopg
import pytest
from postgres_server import fresh_database


@pytest.fixture
def connection(postgres):
    with psycopg.connect(fresh_database(postgres), autocommit=True) as connection:
        yield connection


def test_a_database_is_empty_and_of_its_own(postgres, connection):
    """What one test does in its database no other test sees."""
    connection.execute("CREATE TABLE events (x integer)")
    with psycopg.connect(fresh_database(postgres)) as other:
        assert other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
