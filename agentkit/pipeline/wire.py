"""What a type is as JSON: the schema of what it is written as, and of what it is read from.

pydantic's own schemas tell others what to send. These tell what may pass: where a validator or a serializer of the
user's decides, anything may. Four keys are our own: `x-name`, a class as its user calls it; `x-names`, what a property
is called on the way; `x-optional`, for one that may be left out; `x-closed`, for an object that has no others.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import MISSING, PydanticOmit, core_schema

from agentkit.functions.fields import Shape

Mode: TypeAlias = Literal["serialization", "validation"]
_Field: TypeAlias = "core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField"
_Validator: TypeAlias = "core_schema.BeforeValidatorFunctionSchema | core_schema.WrapValidatorFunctionSchema"


def wire_schema(annotation: Any, mode: Mode) -> Shape:
    """What a type is written as (`serialization`) or read from (`validation`), as a JSON schema.

    Args:
        annotation: a type, as pydantic understands it.
        mode: the direction.

    Returns:
        The schema with its `$defs`, shared between calls; `{}` where the type has none: anything may be.
    """
    try:
        return _remembered(annotation, mode) if _is_hashable(annotation) else _generate(annotation, mode)
    except Exception:  # noqa: BLE001  pydantic and the types' own hooks raise what they like
        return {}  # not remembered: the type may use a name that is defined later


def _is_hashable(annotation: Any) -> bool:
    try:
        hash(annotation)
    except TypeError:  # metadata of `Annotated`
        return False
    return True


def _generate(annotation: Any, mode: Mode) -> Shape:
    return TypeAdapter[Any](annotation).json_schema(by_alias=False, schema_generator=_Wire, mode=mode)


@lru_cache(maxsize=512)
def _remembered(annotation: Any, mode: Mode) -> Shape:
    """By the type itself: a re-executed cell makes a new class, and so a new entry."""
    return _generate(annotation, mode)


class _Wire(GenerateJsonSchema):
    """Schemas of what may pass."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._classes: list[dict[str, Any]] = []  # the configurations of the classes that it is within

    # classes

    def model_schema(self, schema: core_schema.ModelSchema) -> Shape:
        config = cast("type[BaseModel]", schema["cls"]).model_config
        if self.mode == "serialization" and config.get("polymorphic_serialization"):
            return {}  # a subclass is written with its own fields
        if self.mode == "validation" and schema.get("custom_init"):  # its `__init__` takes what it likes, by name
            return {"type": "object", "x-name": schema["cls"].__name__}
        return self._class(super().model_schema, schema)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> Shape:
        return self._class(super().dataclass_schema, schema)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Shape:
        return self._class(super().typed_dict_schema, schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> Shape:
        if self.mode == "validation" and schema["cls"]._missing_.__func__ is not Enum._missing_.__func__:
            return {}  # it takes what it likes
        return {**super().enum_schema(schema), "x-name": schema["cls"].__name__}

    def _class(self, build: Callable[[Any], Shape], schema: Any) -> Shape:
        self._classes.append(schema.get("config") or {})
        try:
            shape = build(schema)
        finally:
            self._classes.pop()
        if "properties" in shape and not shape.get("additionalProperties"):
            shape["x-closed"] = True
        if "cls" in schema:
            shape["x-name"] = schema["cls"].__name__
        return shape

    # fields

    def model_field_schema(self, schema: core_schema.ModelField) -> Shape:
        return self._named(super().model_field_schema(schema), schema)

    def dataclass_field_schema(self, schema: core_schema.DataclassField) -> Shape:
        return self._named(super().dataclass_field_schema(schema), schema)

    def typed_dict_field_schema(self, schema: core_schema.TypedDictField) -> Shape:
        return self._named(super().typed_dict_field_schema(schema), schema)

    def computed_field_schema(self, schema: core_schema.ComputedField) -> Shape:
        """Left out where what is written has to come back."""
        return {**super().computed_field_schema(schema), "x-names": [schema.get("alias"), None], "x-optional": True}

    def _named(self, shape: Shape, field: _Field) -> Shape:
        """With the names that it may go by beside its own; a None among them stands for its own."""
        config = self._classes[-1] if self._classes else {}
        if self.mode == "serialization":  # by alias where the class says so, else as whoever writes it wants
            written = field.get("serialization_alias")
            return {**shape, "x-names": [written] if written and config.get("serialize_by_alias") else [written, None]}
        alias: Any = field.get("validation_alias")
        names = [alias] if isinstance(alias, str) else [path[0] for path in _paths(alias)]
        if any(len(path) > 1 for path in _paths(alias)):  # it is within another property
            shape = {}
        own = [None] if not names or config.get("validate_by_name") or not config.get("validate_by_alias", True) else []
        return {**shape, "x-names": [*names, *own]}

    def field_is_present(self, field: Any) -> bool:
        """An `InitVar` is read and not written."""
        return super().field_is_present(field) and not (self.mode == "serialization" and field.get("init_only"))

    def field_is_required(self, field: _Field, total: bool) -> bool:
        """What is written has its defaults; a path into other properties requires none that is named."""
        if self.mode == "validation":
            return super().field_is_required(field, total) and all(
                len(path) == 1 for path in _paths(field.get("validation_alias"))
            )
        if field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        never_left_out = field["schema"].get("default") is not MISSING
        return never_left_out and field.get("serialization_exclude_if") is None

    # where code decides

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> Shape:
        return {} if self._is_open(schema) else super().function_before_schema(schema)

    def function_wrap_schema(self, schema: core_schema.WrapValidatorFunctionSchema) -> Shape:
        return {} if self._is_open(schema) else super().function_wrap_schema(schema)

    def _is_open(self, schema: _Validator) -> bool:
        """Whether a validator of the user's comes first, and does not say what it takes."""
        own = not _is_pydantic(schema["function"]["function"])
        return own and self.mode == "validation" and not schema.get("json_schema_input_schema")

    def ser_schema(self, schema: Any) -> "Shape | None":
        """Anything, where a serializer does not say what it returns, or goes by the value's own type."""
        shape, function = super().ser_schema(schema), schema.get("function")
        says_nothing = schema["type"] == "any" or (function and not _is_pydantic(function))
        return {} if shape is None and says_nothing else shape

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Shape:
        del schema, error_info  # it says how to be read or written by code, or not at all
        return {}

    def generate_inner(self, schema: Any) -> Shape:
        try:
            return super().generate_inner(schema)
        except PydanticOmit:  # `SkipJsonSchema` hides it from others; it passes all the same
            return {}

    # types that pass as more than pydantic says

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> Shape:
        del schema
        written = {"type": "string", "format": "decimal"}
        return {"anyOf": [{"type": "number"}, written], "x-name": "Decimal"} if self.mode == "validation" else written

    def complex_schema(self, schema: core_schema.ComplexSchema) -> Shape:
        del schema  # numbers too
        return {}

    def str_schema(self, schema: core_schema.StringSchema) -> Shape:
        if schema.get("coerce_numbers_to_str") or any(one.get("coerce_numbers_to_str") for one in self._classes):
            return {"type": "string"} if self.mode == "serialization" else {}
        return super().str_schema(schema)

    def json_schema(self, schema: core_schema.JsonSchema) -> Shape:
        """`Json[X]` is written as text where it has to come back, else as what it holds."""
        return {} if self.mode == "serialization" else super().json_schema(schema)

    def named_tuple_schema(self, schema: "core_schema.NamedTupleSchema") -> Shape:
        return self._named_tuple(super().named_tuple_schema(schema), schema["cls"])

    def call_schema(self, schema: core_schema.CallSchema) -> Shape:
        """What a named tuple is in pydantic 2.12."""
        return self._named_tuple(super().call_schema(schema), schema["function"])

    def _named_tuple(self, shape: Shape, made: Callable[..., Any]) -> Shape:
        """It is read from an object too."""
        both = {"anyOf": [shape, {"type": "object"}]} if self.mode == "validation" else shape
        return {**both, "x-name": made.__name__}

    # what costs time only

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Shape:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def sort(self, value: Shape, parent_key: str | None = None) -> Shape:
        del parent_key
        return value


def _paths(alias: Any) -> Iterable[list[str | int]]:
    """The paths of `AliasPath` and `AliasChoices`, as pydantic-core has them."""
    if not isinstance(alias, list):
        return []
    paths = cast("list[Any]", alias)
    return paths if paths and isinstance(paths[0], list) else [paths]


def _is_pydantic(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("pydantic.")
