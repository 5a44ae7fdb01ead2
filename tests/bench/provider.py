"""A provider on loopback in a process of its own, so that what it works is nobody's CPU time; ends with its input."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from dialects import Reply
from fault_server import FaultServer

WORDS = 40

if __name__ == "__main__":
    with FaultServer(usual=Reply(text="word " * WORDS)) as server:
        print(server.url, flush=True)
        sys.stdin.read()
