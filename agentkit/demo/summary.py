"""What the demo says when it is through: who decided how many rows, what it took, and what to do next."""

from collections import Counter
from typing import Any

from agentkit.demo.job import NAME, package_of
from agentkit.demo.report import Audit
from agentkit.log import Log
from agentkit.render import used
from agentkit.runner.run import Run
from agentkit.state import State
from agentkit.text import duration

QUERIES = {
    "agent": (
        "what the model was asked",
        """\
SELECT c.model, c.status, count(*) AS calls, round(avg(c.duration_ms)) AS avg_ms, sum(c.input_tokens) AS input_tokens
FROM model_calls c JOIN runs r ON r.run_id = c.run_id
WHERE r.parent_run_id = $run GROUP BY c.model, c.status ORDER BY calls DESC""",
    ),
    "pipeline": (
        "what took how long",
        """\
SELECT name, kind, count(*) AS steps, round(sum(duration_ms)) AS ms, sum(input_tokens) AS input_tokens
FROM steps WHERE run_id = $run AND duration_ms IS NOT NULL GROUP BY name, kind ORDER BY ms DESC LIMIT 6""",
    ),
}
_NEXT = {
    "agent": """\
  agentkit models list                  larger models that run here
  jupyter lab notebooks/01_first_agent.ipynb   the same story in a notebook""",
    "pipeline": """\
  agentkit demo pipeline                again: only what is new is asked, of the model and of you
  jupyter lab notebooks/02_pipeline.ipynb      how such a pipeline is written""",
}
_PIPELINE = "agentkit.demo.pipeline:audit"


def is_audit(state: State) -> bool:
    """Whether a run is the demo's, as an agent or as a pipeline."""
    return state.name == NAME or state.module == _PIPELINE


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
    what, query = QUERIES[state.kind]
    return "\n".join(
        [
            f"{audit.packages} packages: {kinds}",
            f"decided: {by}",
            f"took {duration(took)}, {used(run.usage) or 'no model was asked'}, {run.usage.model_calls} model calls",
            f"report: {written}",
            "",
            f"The log knows every step. For example, {what}:",
            *(f"  {line}" for line in query.replace("$run", f"'{run.run_id}'").splitlines()),
            *(f"  {line}" for line in str(log.sql(query, run=run.run_id)).splitlines()),
            "",
            "What next:",
            f"  agentkit show {run.run_id[:13]}        every step of this run, and why",
            '  agentkit sql "SELECT * FROM runs"    ask the log anything',
            _NEXT[state.kind],
        ]
    )


def decided_by(run: Run) -> dict[str, int]:
    """How many rows were decided by whom; the model's are told apart by the try that held.

    Args:
        run: the audit.
    """
    state = run.state
    output: dict[str, Any] = state.output
    counts: dict[str, int] = output["by"]
    second, of_model, of_person = _tries(state) if state.kind == "pipeline" else (_second_tries(run), 0, 0)
    return {
        "plain code": counts.get("plain code", 0),
        "the model at its first try": counts.get("model", 0) - second - of_model,
        "the model at its second try": second,
        "the model in an earlier audit": of_model,
        "a person": counts.get("person", 0) - of_person,
        "a person in an earlier audit": of_person,
        "nobody": counts.get("nobody", 0),
    }


def _second_tries(run: Run) -> int:
    """Rows of the agent's reader whose first answer was refused."""
    settled: list[Any] = [call.result for call in run.state.calls.values() if call.name == "settle" and call.result]
    decided = {row["package"] for result in settled for row in result["rows"]}
    again = {
        package_of(str(child.state.input))
        for child in run.children()
        if any(model.refusals for model in child.state.models.values())
    }
    return len(decided & again)


def _tries(state: State) -> tuple[int, int, int]:
    """Of the pipeline's rows: the model's second tries, and what it and what a person had said in an earlier audit."""
    decided = {row["package"] for row in state.calls["settled"].result}
    items = [
        state.calls[f"read[{index}]"]
        for index, package in enumerate(state.calls["messy"].result)
        if package["name"] in decided
    ]
    second = sum(f"{ask}/model/2" in state.models for item in items for ask in state.inner.get(item.step, ()))
    answers = [state.calls[f"answers[{index}]"] for index in range(len(state.calls["doubts"].result))]
    of_model, of_person = (sum(item.cached_from is not None for item in of) for of in (items, answers))
    return second, of_model, of_person
