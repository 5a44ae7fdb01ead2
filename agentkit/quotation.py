"""Words taken from a text: a type for fields and arguments that must quote and not paraphrase."""

from typing import Annotated, TypeAlias

from pydantic import Field

QUOTE = "x-quote"
"""The key in a string's JSON schema that asks for words of the text; providers that do not know it ignore it."""

Quotation: TypeAlias = Annotated[
    str, Field(description="Copied word for word from the text.", json_schema_extra={QUOTE: True})
]
"""A string that quotes the run's tool results or, without any, what the user said.

A `local/…` model cannot write anything else: its answer is restricted to consecutive words of one result. Any other
model is asked for it and may still paraphrase, so check what must be true.
"""
