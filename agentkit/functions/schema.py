"""A function's parameters as the JSON schema a model sees, and back: what a model wrote as validated arguments."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Optional, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import PydanticSerializationError, from_json, to_json

from agentkit.definition import InvalidArguments
from agentkit.errors import EncodingError, ToolDefinitionError
from agentkit.functions.signature import NOTHING, Parameter, Signature, first_sentence, type_name
from agentkit.jsonvalue import as_json, as_plain_json
from agentkit.problems import problems, short_input, unencodable

_SECRETS = (Secret, SecretStr, SecretBytes)

# A model may have any parameter names: the fields are called p_0, p_1, … and each has its parameter's name as alias.
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True, protected_namespaces=())


class Parameters:
    """The parameters of one function: their JSON schema, and validation in both directions.

    Args:
        signature: what the function declares.

    Raises:
        ToolDefinitionError: a parameter that has no schema, naming it and what to write instead.
    """

    def __init__(self, signature: Signature) -> None:
        parameters = [_allow_its_default(parameter) for parameter in signature.parameters]
        for parameter in parameters:
            _check_parameter(signature.owner, parameter)
        self.names: tuple[str, ...] = tuple(parameter.name for parameter in parameters)
        self._fields = {name: f"p_{index}" for index, name in enumerate(self.names)}
        definitions: dict[str, Any] = {self._fields[p.name]: _field(p) for p in parameters}
        self._model: type[BaseModel] = create_model("Arguments", __config__=_CONFIG, **definitions)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments: an object that allows nothing else, `$defs` kept."""
        schema = self._model.model_json_schema(schema_generator=_Schema)
        schema.pop("title", None)
        return schema

    def validate(self, arguments: Any) -> dict[str, Any]:
        """What a model wrote as the values that the function takes, defaults filled in.

        Args:
            arguments: a JSON object, or the raw text where it was not one. Nothing at all counts as no arguments:
                some providers send an empty text for a call without any.

        Raises:
            InvalidArguments: with one entry a problem.
        """
        given = as_object(arguments)
        try:
            as_json(given, "")
            model = self._read(given)
            canonical = self._dump(model)
        except EncodingError as error:  # a NaN, a NUL or a lone surrogate
            raise InvalidArguments([unencodable(error)]) from error
        return _Validated(self._values(model if canonical == given else self._read_again(canonical)), canonical)

    def _read_again(self, canonical: dict[str, Any]) -> BaseModel:
        """From the JSON that the log will hold, so that a live call gets what a resumed one would get."""
        model = self._read(canonical)
        again = self._dump(model)
        if again != canonical:
            problem = "the tool's type reads its own JSON as another value; its author has to make it stable"
            changed = [name for name in self.names if again[name] != canonical[name]]
            raise InvalidArguments(
                [{"path": name, "problem": problem, "input": short_input(canonical[name])} for name in changed]
            )
        return model

    def _read(self, given: dict[str, Any]) -> BaseModel:
        """A JSON object as a model of the parameters."""
        try:
            return self._model.model_validate_json(to_json(given))
        except ValidationError as error:
            raise InvalidArguments(problems(error, given, self.names)) from error

    def _values(self, model: BaseModel) -> dict[str, Any]:
        """What a model of the parameters holds, by parameter."""
        return {name: getattr(model, field) for name, field in self._fields.items()}

    def to_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Validated values as JSON, equal for equal values; validating it again gives the same values.

        Raises:
            EncodingError: a value that JSON cannot hold, naming the argument.
        """
        if isinstance(values, _Validated):
            return values.canonical
        return self._dump(self._model.model_construct(None, **values))

    def _dump(self, model: BaseModel) -> dict[str, Any]:
        write = model.__pydantic_serializer__.to_json
        found = as_plain_json(lambda: write(model, by_alias=True, round_trip=True, warnings=False), "")
        if found is not None:
            return cast("dict[str, Any]", found)
        try:
            dumped = model.model_dump(mode="json", by_alias=True, round_trip=True, warnings=False)
        except PydanticSerializationError:
            dumped = self._values(model)
        return cast("dict[str, Any]", as_json(dumped, ""))


class _Validated(dict[str, Any]):
    """Validated values that know their JSON: to log a call is to ask for it once more."""

    __slots__ = ("canonical",)

    def __init__(self, values: dict[str, Any], canonical: dict[str, Any]) -> None:
        super().__init__(values)
        self.canonical = canonical


class _Schema(GenerateJsonSchema):
    """Without what only costs tokens (a title that repeats the name), and strict about defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "non-serializable-default":
            raise ValueError(detail)
        super().emit_warning(kind, detail)


def _allow_its_default(parameter: Parameter) -> Parameter:
    """`x: int = None` means `int | None`: what people write, and mean."""
    if parameter.default is not None:
        return parameter
    try:
        TypeAdapter[Any](parameter.annotation).validate_python(None)
    except ValidationError:
        first, *metadata = get_args(parameter.annotation) if _is_annotated(parameter) else (parameter.annotation,)
        wider: Any = Optional[first]  # noqa: UP045  `|` does not take every annotation
        return replace(parameter, annotation=Annotated[(wider, *metadata)] if metadata else wider)
    except Exception:  # noqa: BLE001  a type without a schema is reported with its parameter, next
        return parameter
    return parameter


def _is_annotated(parameter: Parameter) -> bool:
    return get_origin(parameter.annotation) is Annotated


def _field(parameter: Parameter) -> Any:
    """The parameter as `create_model` takes it."""
    extras: dict[str, Any] = {"alias": parameter.name}
    if parameter.description and not _declared(parameter).description:
        extras["description"] = parameter.description
    default = ... if parameter.default is NOTHING else parameter.default
    return Annotated[parameter.annotation, Field(**extras)], default


def _declared(parameter: Parameter) -> FieldInfo:
    """What `Field(…)` says of the parameter, in its annotation or as its default."""
    if parameter.default is NOTHING:
        return FieldInfo.from_annotation(parameter.annotation)
    return FieldInfo.from_annotated_attribute(parameter.annotation, parameter.default)


def _check_parameter(owner: str, parameter: Parameter) -> None:
    """Refuse what no model can give, what must not be given, and a default that does not fit."""
    label, shown = f"{owner}: {parameter.name}", type_name(parameter.annotation)
    if _mentions(parameter.annotation, _SECRETS):
        raise _secret(label)
    alias = _declared(parameter).alias
    if alias is not None:
        raise ToolDefinitionError(f"{label} has the alias {alias!r}; name the parameter so instead")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(parameter.annotation)
        schema = adapter.json_schema(schema_generator=_Schema)
    except Exception as error:  # pydantic and the types' own hooks raise what they like
        raise ToolDefinitionError(
            f"{label} has the type {shown}, which has no JSON schema; take what identifies it, for example "
            f"`{parameter.name}: str`, a pydantic model, a dataclass or a list of them ({first_sentence(error)})"
        ) from error
    if any(part.get("format") == "password" and part.get("writeOnly") for part in _parts(schema)):
        raise _secret(label)
    if any(part.get("uniqueItems") for part in _parts(schema)):
        raise ToolDefinitionError(
            f"{label} has the type {shown}: a set has no order, so the same call would not always have the same "
            "idempotency key; take a list"
        )
    if parameter.default is not NOTHING and not isinstance(parameter.default, FieldInfo):
        _check_default(label, adapter, parameter.default)


def _check_default(label: str, adapter: TypeAdapter[Any], default: Any) -> None:
    try:
        value = adapter.validate_python(default)
        as_json(adapter.dump_python(value, mode="json", warnings=False), "default")
    except ValidationError as error:
        raise ToolDefinitionError(
            f"{label} has the default {default!r}, which its type does not allow ({error.errors()[0]['msg']})"
        ) from error
    except (EncodingError, PydanticSerializationError) as error:
        raise ToolDefinitionError(
            f"{label} has the default {default!r}, which JSON cannot hold; use None and make it in the function"
        ) from error


def _secret(label: str) -> ToolDefinitionError:
    return ToolDefinitionError(
        f"{label} is a secret: a model must not see it, nor the log; add `ctx: ak.Context` and read it from ctx.deps, "
        "which `run(deps=…)` gives"
    )


def _mentions(annotation: Any, wanted: tuple[type, ...]) -> bool:
    """Whether the annotation is one of these classes or has one of them among its arguments."""
    for one in (annotation, get_origin(annotation)):
        if isinstance(one, type) and issubclass(one, wanted):
            return True
    return any(_mentions(part, wanted) for part in get_args(annotation))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and every schema in it."""
    if isinstance(schema, dict):
        yield cast("dict[str, Any]", schema)
        for part in cast("dict[str, Any]", schema).values():
            yield from _parts(part)
    elif isinstance(schema, list):
        for part in cast("list[Any]", schema):
            yield from _parts(part)


def as_object(arguments: Any) -> dict[str, Any]:
    """The JSON object that a model meant; text is read once more, since some models encode twice.

    Raises:
        InvalidArguments: it is none.
    """
    if isinstance(arguments, str | bytes):
        try:
            arguments = from_json(arguments) if arguments.strip() else None
        except ValueError as error:
            raise InvalidArguments(
                [{"path": "", "problem": f"not valid JSON: {error}", "input": short_input(arguments)}]
            ) from error
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping):
        problem = f"the arguments are an object by name, not {type(arguments).__name__}"
        raise InvalidArguments([{"path": "", "problem": problem, "input": short_input(arguments)}])
    return dict(cast("Mapping[str, Any]", arguments))
