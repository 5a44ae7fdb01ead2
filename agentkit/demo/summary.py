"""What the demo says when it is through: who decided how many rows, what it took, and what to do next."""

from collections import Counter
from typing import Any

from agentkit.demo.job import Audit, package_of
from agentkit.log import Log
from agentkit.render import used
from agentkit.runner.run import Run
from agentkit.text import duration

QUERY = """\
SELECT c.model, c.status, count(*) AS calls, round(avg(c.duration_ms)) AS avg_ms, sum(c.input_tokens) AS input_tokens
FROM model_calls c JOIN runs r ON r.run_id = c.run_id
WHERE r.parent_run_id = $run GROUP BY c.model, c.status ORDER BY calls DESC"""


def summary(log: Log, run: Run) -> str:
    """The demo's last words.

    Args:
        log: where the run is.
        run: the audit, succeeded.
    """
    state = run.state
    audit = Audit.model_validate(state.output)
    took = (state.ended_at - state.started_at).total_seconds() if state.ended_at is not None else 0.0
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(audit.categories).most_common())
    by = ", ".join(f"{count} by {who}" for who, count in decided_by(run).items() if count)
    written = audit.report or "not written"
    return "\n".join(
        [
            f"{audit.packages} packages: {kinds}",
            f"decided: {by}",
            f"took {duration(took)}, {used(run.usage) or 'no model was asked'}, {run.usage.model_calls} model calls",
            f"report: {written}",
            "",
            "The log knows every step. For example, what the model was asked:",
            *(f"  {line}" for line in QUERY.replace("$run", f"'{run.run_id}'").splitlines()),
            *(f"  {line}" for line in str(log.sql(QUERY, run=run.run_id)).splitlines()),
            "",
            "What next:",
            f"  agentkit show {run.run_id[:13]}        every step of this run, and why",
            '  agentkit sql "SELECT * FROM runs"    ask the log anything',
            "  agentkit models list                  larger models that run here",
            "  jupyter lab notebooks/01_first_agent.ipynb   the same story in a notebook",
        ]
    )


def decided_by(run: Run) -> dict[str, int]:
    """How many rows were decided by whom; the model's are told apart by the try that held.

    Args:
        run: the audit.
    """
    output: dict[str, Any] = run.state.output
    counts: dict[str, int] = dict(output["by"])
    second = _second_tries(run)
    decided: dict[str, int] = {"plain code": counts.get("plain code", 0)}
    decided["the model at its first try"] = counts.get("model", 0) - second
    decided["the model at its second try"] = second
    decided["a person"] = counts.get("person", 0)
    decided["nobody"] = counts.get("nobody", 0)
    return decided


def _second_tries(run: Run) -> int:
    """Rows of the model whose first answer was refused."""
    settled: list[Any] = [call.result for call in run.state.calls.values() if call.name == "settle" and call.result]
    decided = {row["package"] for result in settled for row in result["rows"]}
    again = {
        package_of(str(child.state.input))
        for child in run.children()
        if any(model.refusals for model in child.state.models.values())
    }
    return len(decided & again)
