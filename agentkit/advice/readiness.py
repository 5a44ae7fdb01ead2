"""Whether an agent does the same each time by now: what a promotion would find."""

from agentkit.advice import queries
from agentkit.advice.asking import Asking
from agentkit.advice.insight import Readiness
from agentkit.advice.interval import share, wilson
from agentkit.text import one_line

ENOUGH = 5  # runs in the newest part: 5 of 5 alike is at least 57% with 95% confidence
ALIKE = 0.5  # of them do the same, by the low end of the interval
_SHOWN = 120  # columns of a sequence


def readiness(asking: Asking) -> Readiness | None:
    """How much the successful runs are alike, in four parts from the oldest to the newest; None without any."""
    rows = asking.rows(queries.READINESS)
    if not rows:
        return None
    *_, runs, sequences, most, sequence = rows[-1]
    what = f"the newest {runs:,} successful runs have {sequences:,} sequence{'' if sequences == 1 else 's'} of calls"
    often = f"{share(most, runs)} {'is' if most == 1 else 'are'} {one_line(sequence, _SHOWN)}"
    if runs < ENOUGH:
        verdict = f"too few to say whether it settled ({ENOUGH} in the newest quarter would do)"
    elif wilson(most, runs)[0] >= ALIKE:
        verdict = "it settled: ak.promote(agent) is worth a try"
    else:
        verdict = (
            "the sequences still vary: ak.promote(agent) says whether that is noise, or ways that the data tell apart"
        )
    return Readiness(f"{what}; {often}; {verdict}", queries.READINESS, asking.parameters, rows)
