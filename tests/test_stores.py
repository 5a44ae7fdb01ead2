"""Every store passes the same contract."""

import contextlib

import pytest

from agentkit.stores import memory
from agentkit.stores.embedded import EmbeddedStore, open_store
from agentkit.testing.queue_contract import QueueContract, SharedQueueContract
from agentkit.testing.store_contract import SharedStoreContract, StoreContract, fill


class TestMemory(StoreContract, QueueContract):
    @pytest.fixture
    def store(self):
        with contextlib.closing(memory.open_store("memory:")) as store:
            yield store

    def test_the_url_opens_the_same_log(self, store):
        """As long as somebody holds it."""
        assert memory.open_store(store.url) is store
        assert memory.open_store("memory:") is not store


class TestEmbedded(SharedStoreContract, SharedQueueContract):
    @pytest.fixture
    def store(self, tmp_path):
        with contextlib.closing(EmbeddedStore(tmp_path / "log")) as store:
            yield store

    @pytest.fixture
    def other(self, store, tmp_path):
        with contextlib.closing(EmbeddedStore(tmp_path / "log")) as other:
            yield other


class TestEmbeddedFolded(TestEmbedded):
    """The same promises when everything was moved into the table before it is read."""

    @pytest.fixture
    def store(self, tmp_path, monkeypatch):
        read = EmbeddedStore.read

        def fold_and_read(self, *args, **options):
            self.fold()
            return read(self, *args, **options)

        monkeypatch.setattr(EmbeddedStore, "read", fold_and_read)
        with contextlib.closing(EmbeddedStore(tmp_path / "log")) as store:
            yield store


def test_a_folder_is_one_store_in_a_process(tmp_path):
    """Opening it again gives the same store until that is closed."""
    first = open_store(str(tmp_path / "log"))
    assert open_store(str(tmp_path / "log")) is first
    events = fill(first, 2)
    first.close()
    with contextlib.closing(open_store(first.url)) as second:
        assert second is not first
        assert second.read(events[0].run_id) == events
