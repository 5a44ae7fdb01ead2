"""Performing model calls: reserve, record, ask, record; and accepting the final answer."""

import asyncio
import copy
import inspect
import math
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from agentkit import failpoints
from agentkit.decide import CallModel
from agentkit.definition import REPORTED, Check, Model, QueuedModel
from agentkit.errors import EncodingError, LogError, ModelError
from agentkit.events import (
    BudgetReached,
    Checked,
    ErrorInfo,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RunFailedEvent,
    RunSucceeded,
)
from agentkit.jsonvalue import canonical, clean, clean_text
from agentkit.messages import ModelRequest, ModelResponse, ToolCall, ToolMessage, Usage
from agentkit.policy import LONGEST_WAIT
from agentkit.runner import observe
from agentkit.runner.engine import is_being_cancelled
from agentkit.runner.recorder import since
from agentkit.runner.records import error_info
from agentkit.runner.threads import threads

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation as OfRun
    from agentkit.runner.asking import Asking

    Activation = OfRun | Asking

FAIL_POINTS = ("model.requested", "model.answered", "model.recorded", "output.accepted")

MAX_OUTPUT_TOKENS = 4096
"""What an answer is taken to cost at most where `max_tokens` is not set, in tokens, for the budget's reservation."""


def begin(act: "Activation", action: CallModel) -> None:
    """Begin the attempt, at once or when it is the model's turn: what waits has not begun, and costs nothing."""
    model = act.agent.models[action.fallback]
    if hasattr(model, "turn"):  # a `QueuedModel`; asking the protocol itself would cost each turn a twentieth
        act.start(action.step, _in_turn(act, action, cast("QueuedModel", model)))
    elif (work := _reserve(act, action, model)) is not None:
        act.start(action.step, work)


async def _in_turn(act: "Activation", action: CallModel, model: QueuedModel) -> None:
    async with model.turn():
        if not act.pause_asked and (work := _reserve(act, action, model)) is not None:
            await work


def _reserve(act: "Activation", action: CallModel, model: Model) -> Coroutine[Any, Any, None] | None:
    """Reserve the call's estimate and record the attempt, or record that the budget does not allow it."""
    state = act.state
    tokens = state.tokens + (len(state.header.model_dump_json()) // 4 if act.meter.budget.usd is not None else 0)
    estimate = model.price(tokens, int(act.agent.parameters.get("max_tokens") or MAX_OUTPUT_TOKENS))
    meter = act.meter.refused_by(estimate)
    if meter is not None and (refused := meter.refuses(estimate)) is not None:
        act.record(
            BudgetReached(
                limit=refused,
                budget=meter.budget.model_dump(mode="json"),
                used_usd=meter.used_usd,
                used_calls=meter.used_calls,
                needs_usd=estimate,
            ),
            step=action.step,
        )
        return None
    act.meter.reserve(estimate)
    request = state.request()
    act.record(
        ModelRequested(
            request_sha256=state.request_sha256(),
            messages=len(request.messages),
            parameters=dict(act.agent.parameters),
            estimated_tokens=tokens,
            reserved_usd=estimate,
            fallback=action.fallback,
        ),
        step=action.step,
        attempt=action.attempt,
        name=model.name,
    )
    return _ask(act, action, model, request, estimate)


def lose(act: "Activation", step: str, *, held: float | None = 0.0) -> None:
    """An attempt was cut short. The provider may have charged it, so its estimate stays as its cost.

    Args:
        act: the activation.
        step: the model step.
        held: what the meter holds reserved for it: nothing for an attempt of an activation before this one.
    """
    model = act.state.models[step]
    act.meter.settle(held, model.reserved_usd)
    act.record(
        ModelFailed(
            error=ErrorInfo(type="Lost", message="the process ended before the answer was recorded", retryable=True),
            kind="lost",
            lost=True,
            cost_is_estimate=True,
        ),
        step=step,
        attempt=model.attempt,
        name=model.name,
        status="error",
        cost_usd=model.reserved_usd,
    )


async def _ask(
    act: "Activation", action: CallModel, model: Model, request: ModelRequest, estimate: float | None
) -> None:
    await act.recorder.durable()
    failpoints.hit("model.requested")
    began = time.perf_counter()
    try:
        response = await _respond(act, action.step, model, request)
    except LogError:
        raise
    except BaseException as error:  # whatever a model adapter raises, SystemExit too, is a failed attempt
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            lose(act, action.step, held=estimate)
            raise
        _record_failure(act, action, model, error, estimate, began)
        return
    failpoints.hit("model.answered")
    act.meter.settle(estimate, _cost(response.usage))
    _record_answer(act, action, model, response, began)
    failpoints.hit("model.recorded")


async def _respond(act: "Activation", step: str, model: Model, request: ModelRequest) -> ModelResponse:
    with observe.within(act.recorder.claim.run_id, act.path_of(step)):
        response: Any = await model.respond(request, on_text=lambda piece: act.on_text(step, piece))
    if not isinstance(response, ModelResponse):
        raise ModelError(f"{model.name} answered with a {type(response).__name__}, not with a ModelResponse")
    return response


def _record_answer(act: "Activation", action: CallModel, model: Model, response: ModelResponse, began: float) -> None:
    message, usage = response.message, response.usage
    act.record(
        ModelResponded(
            text=clean_text(message.text) if message.text is not None else None,
            tool_calls=_calls(act, action.step, message.tool_calls),
            reasoning=tuple(clean(block) for block in message.reasoning),
            finish_reason=response.finish_reason and clean_text(response.finish_reason),
            response_id=response.response_id and clean_text(response.response_id),
            answered_by=clean_text(response.model) if response.model and response.model != model.name else None,
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        ),
        step=action.step,
        attempt=action.attempt,
        name=model.name,
        status="ok",
        duration_ms=since(began),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=_cost(usage),
    )


def _calls(act: "Activation", step: str, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """The proposed calls as the log holds them: ids present and distinct, the model's reasons taken out."""
    seen: set[str] = set()
    kept: list[ToolCall] = []
    for index, call in enumerate(calls):
        call_id = call.id if call.id and call.id not in seen else _free_id(step, index, calls)
        seen.add(call_id)
        arguments, reported = _take_reasons(act, call)
        name = act.recorder.redactor.text(clean_text(call.name)) if call.name not in act.agent.tools else call.name
        kept.append(ToolCall(id=clean_text(call_id), name=name, arguments=arguments, reported=reported))
    return tuple(kept)


def _cost(usage: Usage) -> float | None:
    """What an answer cost; a number that no price can be counts as unknown, so that a budget stops at it."""
    cost = usage.cost_usd
    return cost if cost is not None and math.isfinite(cost) and cost >= 0 else None


def _free_id(step: str, index: int, calls: tuple[ToolCall, ...]) -> str:
    """An id for a call that has none of its own: one that no other call of the answer has."""
    made = f"{step.replace('/', '_')}_{index + 1}"
    while any(call.id == made for call in calls):
        made += "_"
    return made


def _take_reasons(act: "Activation", call: ToolCall) -> tuple[Any, dict[str, str]]:
    """A call's own arguments, and the reasons that the model was asked to write among them."""
    arguments = clean(call.arguments)
    reported = {clean_text(name): clean_text(said) for name, said in call.reported.items()}
    if not act.agent.decisions or not isinstance(arguments, dict):
        return arguments, reported
    tool = act.agent.tools.get(call.name)
    own: dict[str, Any] = tool.schema.parameters.get("properties", {}) if tool is not None else {}
    kept: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", arguments).items():
        if key not in REPORTED or key in own:
            kept[key] = value
        elif value:
            reported[key] = value if isinstance(value, str) else canonical(value).decode()
    return kept, reported


def _record_failure(
    act: "Activation", action: CallModel, model: Model, error: BaseException, estimate: float | None, began: float
) -> None:
    """A refused call costs nothing; one that broke off may have been charged, so its estimate counts."""
    known = isinstance(error, ModelError)
    kind = error.kind if known else "timeout" if isinstance(error, TimeoutError) else "other"
    retryable = error.retryable if known else isinstance(error, TimeoutError | ConnectionError)
    used = error.usage if known else None
    broke_off = kind in {"timeout", "connection"} and used is None
    cost = estimate if broke_off else _cost(used) if used is not None else 0.0
    act.meter.settle(estimate, cost)
    act.record(
        ModelFailed(
            error=error_info(error, retryable=retryable, traced=not known),
            kind=kind,
            retry_after=_retry_after(error) if known else None,
            cost_is_estimate=broke_off,
        ),
        step=action.step,
        attempt=action.attempt,
        name=model.name,
        status="error",
        duration_ms=since(began),
        input_tokens=used.input_tokens if used is not None else None,
        output_tokens=used.output_tokens if used is not None else None,
        cost_usd=cost,
    )


def _retry_after(error: ModelError) -> float | None:
    """The wait that was asked for in seconds; a number that is no length of time counts as none."""
    seconds: Any = error.retry_after  # of anybody's adapter
    is_time = isinstance(seconds, int | float) and 0 <= seconds < math.inf
    return float(min(seconds, LONGEST_WAIT)) if is_time else None


async def accept(act: "Activation", step: str) -> None:
    """Validate the final answer and run the checks that have not given their verdict; end the run or have it redone."""
    text = act.state.models[step].text or ""
    output = act.agent.output
    try:
        value = output.parse(text)
        logged = output.to_json(value)
    except ValidationError as error:
        problems = [
            {"path": ".".join(str(part) for part in problem["loc"]), "problem": problem["msg"]}
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        first = ": ".join(part for part in problems[0].values() if part)
        _refuse(act, step, "output", f"it does not have the form that was asked for ({first})", {"errors": problems})
        return
    except EncodingError as error:
        act.record(RunFailedEvent(error=error_info(error)), status="failed")
        return
    except Exception as error:  # noqa: BLE001  a type's own validator may raise anything
        _refuse(act, step, "output", f"{type(error).__name__}: {error}", {})
        return
    if output.is_text and not text.strip():
        _refuse(act, step, "output", "it is empty", {})
        return
    for name, check in _named(act.agent.checks):
        if name not in act.state.checked and not await _passes(act, step, name, check, value):
            return
    act.record(RunSucceeded(output=logged), status="succeeded")
    failpoints.hit("output.accepted")


def _named(checks: tuple[Check, ...]) -> Iterator[tuple[str, Check]]:
    """Each check with a name of its own: two lambdas are two checks."""
    seen: Counter[str] = Counter()
    for check in checks:
        name = getattr(check, "__name__", type(check).__name__)
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})", check


async def _passes(act: "Activation", step: str, name: str, check: Check, value: Any) -> bool:
    given = (value, _tool_results(act)) if _takes_results(check) else (value,)
    try:
        said = check(*given) if inspect.iscoroutinefunction(check) else await threads.run(lambda: check(*given))
        if inspect.isawaitable(said):
            said = await said
    except BaseException as error:  # raising, whatever it is, is how a check refuses
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        _refuse(act, step, name, error_info(error).message, {})
        return False
    if said is False:  # a predicate is what everybody writes, and letting it pass would be the opposite of its word
        _refuse(act, step, name, f"the check {name} says no", {})
        return False
    act.record(Checked(passed=True), step=step, name=name, status="ok")
    return True


def _takes_results(check: Check) -> bool:
    """Whether a check has a second parameter to be given; one with a default is the check's own."""
    try:
        inspect.signature(check).bind(None)
    except TypeError:
        return True
    except ValueError:  # a builtin without a signature
        return False
    return False


def _tool_results(act: "Activation") -> list[dict[str, Any]]:
    """What a check with a second parameter gets: the run's tool results, in the order the model saw them."""
    return [
        {"tool": message.name, "result": copy.deepcopy(message.content)}  # what a check does to it stays its own
        for message in act.state.messages
        if isinstance(message, ToolMessage) and not message.is_error
    ]


def _refuse(act: "Activation", step: str, name: str, problem: str, context: dict[str, Any]) -> None:
    error = ErrorInfo(type="Refused", message=clean_text(problem), context=clean(context))
    act.record(Checked(passed=False, error=error), step=step, name=name, status="error")
