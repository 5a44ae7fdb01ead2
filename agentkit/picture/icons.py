"""A status as a sign in a disc: drawn, because not every font has the characters."""

_SIGNS = {
    "pending": "M-3 0h.01M0 0h.01M3 0h.01",
    "running": "M-2 -3.5L3.5 0L-2 3.5Z",
    "waiting": "M0 -4V0L3 2",
    "asked": "M-2.2 -1.8C-2.2 -4.8 2.4 -4.8 2.4 -1.9C2.4 -.2 0 -.2 0 1.4M0 4h.01",
    "succeeded": "M-3.6 .2L-1 2.8L3.8 -2.6",
    "failed": "M-2.8 -2.8L2.8 2.8M2.8 -2.8L-2.8 2.8",
    "rejected": "M-3.2 3.2L3.2 -3.2",
    "skipped": "M-3.4 -2.8L-.2 0L-3.4 2.8M.6 -2.8L3.8 0L.6 2.8",
    "interrupted": "M0 -4V.8M0 3.6h.01",
}


def icon(status: str, x: float, y: float) -> str:
    """A disc with the status's sign; one with nothing in it for a status that has none.

    Args:
        status: the status.
        x: the disc's centre, pixels.
        y: likewise.
    """
    sign = f'<path class="sign" d="{_SIGNS[status]}"/>' if status in _SIGNS else ""
    return f'<g transform="translate({x:g} {y:g})"><circle class="disc" r="7.5"/>{sign}</g>'
