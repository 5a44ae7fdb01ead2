"""What a function returns, as the JSON that the log holds and the model reads."""

import inspect
from collections.abc import Iterator
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from agentkit.errors import EncodingError, ToolDefinitionError
from agentkit.functions.signature import NOTHING, Signature, first_sentence, type_name
from agentkit.jsonvalue import JsonValue, as_json, as_plain_json, canonical, refuse_odd_values
from agentkit.problems import Problem, problems
from agentkit.text import brief


class Result:
    """What a function returns, as JSON.

    Args:
        signature: what the function declares.
        for_code: whether code reads it again by its type, as a pipeline's next step does; else a model reads it.

    Raises:
        ToolDefinitionError: the return annotation is nothing that JSON can hold.
    """

    def __init__(self, signature: Signature, *, for_code: bool = False) -> None:
        self._how: dict[str, Any] = {"by_alias": True, "round_trip": True} if for_code else {}
        self._returns = type_name(signature.returns) if for_code and signature.returns is not NOTHING else None
        self._where = f"result of {signature.owner.removesuffix('()')}"
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(Any if signature.returns is NOTHING else signature.returns)
        except Exception as error:  # pydantic and the types' own hooks raise what they like
            raise ToolDefinitionError(
                f"{signature.owner}: the result's type {type_name(signature.returns)} is nothing that JSON can hold; "
                f"return a pydantic model, a dataclass, a dict or a list ({first_sentence(error)})"
            ) from error

    def to_json(self, value: Any) -> JsonValue:
        """The value as JSON, by its declared type where it fits and by what it is where it does not.

        Raises:
            EncodingError: naming the function and the field.
        """
        if inspect.isawaitable(value):
            raise EncodingError(self._where, "a coroutine; declare the function `async def`, or await it")
        if isinstance(value, Iterator):
            kind = type(cast("object", value)).__name__
            raise EncodingError(self._where, f"a {kind} can be read once only; return a list")
        found = self._dump(value)
        if self._returns is not None:
            self._check(found, value)
        return found

    def _dump(self, value: Any) -> JsonValue:
        found = as_plain_json(lambda: self._adapter.dump_json(value, warnings=False, **self._how), self._where)
        if found is not None:
            return found
        plain = self._adapter.dump_python(value, warnings=False, **self._how)
        refuse_odd_values(plain, self._where)  # pydantic would write NaN as null, unless the model says otherwise
        try:
            return as_json(self._adapter.dump_python(value, mode="json", warnings=False, **self._how), self._where)
        except PydanticSerializationError:  # in the plain values the path of what cannot be encoded can be found
            return as_json(plain, self._where)

    def _check(self, found: JsonValue, value: Any) -> None:
        """What code reads again has to be what its type says: the step that gave it is to blame, not the next one."""
        try:
            self._adapter.validate_json(canonical(found))
        except ValidationError as error:
            first = error.errors()[0]
            path = "".join(f"[{part!r}]" for part in first["loc"])
            owner = self._where.removeprefix("result of ")
            raise TypeError(
                f"{owner} returned {brief(value, 60)}, and its annotation says {self._returns}: "
                f"{f'{path}: ' if path else ''}{first['msg']}"
            ) from error

    def problems(self, value: JsonValue) -> list[Problem]:
        """What is wrong with a result that a person tells; nothing where code, or a model, can read it as one.

        What a model reads may be written by a field's name or by its alias, and may be nothing at all.
        """
        if value is None and self._returns is None:
            return []
        either = None if self._how else True
        try:
            self._adapter.validate_json(canonical(value), by_alias=either, by_name=either)
        except ValidationError as error:
            return problems(error, value)
        return []

    def from_json(self, value: JsonValue) -> Any:
        """A logged result as a value of the declared type; as it is where there is none, or it does not fit."""
        try:
            return self._adapter.validate_json(canonical(value))
        except ValidationError:
            return value
