"""The notebook edge: a run's trace in its cell, live and as plain HTML; what waits for a person; SQL."""
