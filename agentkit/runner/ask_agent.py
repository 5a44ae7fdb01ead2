"""Whom a step asks: an agent without tools, made of the ask's options and the pipeline's."""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentkit import registry
from agentkit.definition import AgentDefinition, AskOptions, Model, Output, PipelineDefinition
from agentkit.errors import AgentKitError, ConfigError, ModelNotFound
from agentkit.open_model import as_model
from agentkit.policy import Retry
from agentkit.redact import refuse_secret_settings
from agentkit.runner.threads import threads

if TYPE_CHECKING:
    from agentkit.runner.activation import Activation

_OPTIONS = ("output", *sorted(AskOptions.__optional_keys__))


async def agent_of(act: "Activation", step: str, output: Any, options: AskOptions) -> AgentDefinition:
    """The agent that an ask is put to.

    Raises:
        ConfigError: an option is unknown or cannot be used; the message says what to write instead.
        ModelNotFound: no model was named, and none is at hand.
    """
    _check(options)
    definition = act.definition
    assert isinstance(definition, PipelineDefinition), "only a pipeline's steps ask"
    chosen = options.get("model")
    models = definition.models if chosen is None else (as_model(chosen),)
    settings = options.get("settings", {})
    refuse_secret_settings("ctx.ask", settings, definition.redactor)
    return AgentDefinition(
        name=step.partition("[")[0],
        instructions=options.get("instructions", ""),
        models=(*(models or (await _default_model(act),)), *map(as_model, options.get("fallback", ()))),
        output=_output(output),
        checks=tuple(options.get("checks", ())),
        retry=options.get("retry") or definition.retry,
        max_reasks=options.get("max_reasks", definition.max_reasks),
        decisions=False,
        parameters={**definition.parameters, **settings},
        redactor=definition.redactor,
    )


async def _default_model(act: "Activation") -> Model:
    """The model where nobody named one; chosen once a run, in a thread: that looks around, and may fetch weights."""
    choosing = act.default_model
    if choosing is None or (choosing.done() and choosing.exception() is not None):
        choosing = act.default_model = threads.run(lambda: as_model(registry.load(registry.DEFAULT_MODEL)()))
    try:
        return await asyncio.shield(choosing)
    except ModelNotFound as error:
        where = "no model is named, by Pipeline(model=…) or ctx.ask(model=…)"
        raise ModelNotFound(f"{where}, and there is no default: {error}") from error


def _check(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in _OPTIONS:
            raise ConfigError(f"ctx.ask knows no {name!r}; {_instead(name)} (it takes: {', '.join(_OPTIONS)})")
    for name, (kinds, instead) in _KINDS.items():
        if name in options and not isinstance(options[name], kinds):
            raise ConfigError(f"ctx.ask: {name}={options[name]!r}; give {instead}")
    checks, fallback = options.get("checks", ()), options.get("fallback", ())
    if isinstance(fallback, str):
        raise ConfigError(f"ctx.ask: fallback={fallback!r}; give a list of models: fallback=[{fallback!r}]")
    if wrong := [check for check in checks if not callable(check)]:
        raise ConfigError(f"ctx.ask: a check is a function of the answer, not {wrong[0]!r}")


_KINDS: Mapping[str, tuple[Any, str]] = {
    "checks": (Sequence, "a list of functions of the answer, for example checks=[lambda answer: answer.amount > 0]"),
    "fallback": (Sequence, "a list of models"),
    "instructions": (str, "a text"),
    "retry": (Retry | None, "a policy, for example ak.Retry(max_attempts=3)"),
    "max_reasks": (int, "how often in a row the model may be told that its answer is wrong"),
    "settings": (Mapping, "the provider's own, for example settings={'temperature': 0}"),
}


def _instead(name: str) -> str:
    """What was meant: an option of a similar name, or a provider's own."""
    close = difflib.get_close_matches(name, _OPTIONS, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"a provider's own goes into settings={{{name!r}: …}}"


@lru_cache(maxsize=256)
def _output_of(output: Any) -> Output:
    return _made(output)


def _output(output: Any) -> Output:
    """What an ask's answer is; made once a type, since a step asks the same question of many items."""
    try:
        hash(output)
    except TypeError:
        return _made(output)
    return _output_of(output)


def _made(output: Any) -> Output:
    try:
        return Output(output)
    except AgentKitError:
        raise
    except Exception as error:  # pydantic raises several kinds for what it cannot describe
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ConfigError(
            f"ctx.ask: output={output!r} has no JSON schema ({reason}); give str or a pydantic model"
        ) from error
