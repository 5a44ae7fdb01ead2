"""A run as a text tree."""


def trace(run):
    return run.run_id
