"""Many runs of one definition over many items: begun lazily, a few at a time, resumable as a whole."""

from agentkit.batch.handle import Batch
from agentkit.batch.items import FromSource
from agentkit.batch.options import MapOptions
from agentkit.batch.table import Counts, Row

__all__ = ["Batch", "Counts", "FromSource", "MapOptions", "Row"]
