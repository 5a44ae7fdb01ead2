"""The drive: decide → perform → append → fold, again, on a thread and an event loop of its own."""
