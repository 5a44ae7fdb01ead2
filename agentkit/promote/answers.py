"""What a model gives for a step: one value, or several by name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentkit.promote.expressions import Expr, Field
from agentkit.promote.search import Source


class Words(BaseModel):
    """Several values that one answer gives."""

    model_config = ConfigDict(extra="allow")


def answer_of(made: Mapping[str, Source], values: Mapping[str, Any]) -> Any:
    """What a model gave: one value, or several by name."""
    if len(made) == 1:
        return values[next(iter(made))]
    return Words(**{name: values[name] for name in made})


def answered(made: Mapping[str, Source], root: Expr) -> dict[str, Source]:
    """Each value as a part of the answer."""
    return {
        name: replace(source, survivors=(root if len(made) == 1 else Field(root, name, by_key=False),))
        for name, source in made.items()
    }
