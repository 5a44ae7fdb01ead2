"""Quotations are true by construction: a local model that is asked to quote cannot write what is not there."""

import asyncio
import json
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_weights import ask, called, open_model, request, smollm2
from pydantic import BaseModel, Field

import agentkit as ak
from agentkit.messages import AssistantMessage, UserMessage
from agentkit.models.local.words import BORDER, chunks

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def model():
    smollm2()
    return open_model("local/smollm2")


TEXTS = [
    'The "Software" is provided\n"as is", without\twarranty \\ of any kind.',
    "Größe: 42 € — naïve 日本語 words, e-mail: a@b.example",
    "Licensed under the Apache License, Version 2.0 (the License)",
]


class Quote(BaseModel):
    words: ak.Quotation


@ak.tool
def cite(
    source: str, words: Annotated[ak.Quotation, Field(max_length=20)], more: list[ak.Quotation] | None = None
) -> str:
    """Cite a text. Returns nothing of interest."""


@pytest.mark.parametrize("text", TEXTS)
def test_quotations_are_in_the_text(model, text):
    """Whatever the heat: words of a tool's result, or of what the user said, with every mark and space."""
    before = (UserMessage(content="Read it."), *called("read", {"file": "x"}, {"text": text, "lines": 3}))
    for seed in range(2):
        answer = ask(model, "What does it say?", before=before, output=Quote, seed=seed, temperature=1.2)
        quoted = Quote.model_validate_json(answer.message.text).words
        assert quoted.split()
        assert quoted in text or quoted == "3"
        [call] = ask(model, text, tools=[cite], seed=seed, temperature=1.2).message.tool_calls
        arguments = cite.validate(call.arguments)
        assert all(words in text for words in [arguments["words"], *(arguments["more"] or [])])
        assert 0 < len(arguments["words"]) <= 20


def test_a_refusal_is_not_quoted(model):
    """What a check said of the answer before comes as the user's word, and is none."""
    refused = UserMessage(content='Your answer was refused. Give it again, corrected.\n{"problem":"zebra"}')
    before = (UserMessage(content="apples pears"), AssistantMessage(text='{"words":"apples"}'))
    asked = request("", before=before, output=Quote, seed=1, temperature=1.5)
    answer = asyncio.run(model.respond(asked.model_copy(update={"messages": (*before, refused)})))
    assert Quote.model_validate_json(answer.message.text).words.strip() in "apples pears"


def test_nothing_to_quote_is_an_empty_quotation(model):
    """Nothing is made up."""
    assert ask(model, "...", output=Quote).message.text == '{"words":""}'


@given(st.lists(st.text(max_size=30), max_size=4))
def test_the_pieces_of_a_text_are_the_text(texts):
    """Put together again and read as JSON, they are the texts that have words, one after the other."""
    joined = "".join(chunks(texts))
    read = [json.loads(f'"{part}"') for part in joined.split(BORDER)] if joined else []
    assert read == [text for text in texts if any(char.isalnum() or char == "_" for char in text)]


def test_quotations_are_found_wherever_they_stand(model):
    """In lists, maps, tuples, options and nested models; what stands beside them is free."""

    class Source(BaseModel):
        title: ak.Quotation
        year: int

    class Report(BaseModel):
        sources: Annotated[list[Source], Field(min_length=1, max_length=2)]
        pair: tuple[ak.Quotation, bool]
        perhaps: ak.Quotation | None
        by_name: Annotated[dict[str, ak.Quotation], Field(min_length=1, max_length=1)]

    text = "Moby Dick was written by Herman Melville"
    answer = ask(model, text, output=Report, seed=1, temperature=1.2)
    report = Report.model_validate_json(answer.message.text)
    quoted = [report.sources[0].title, report.pair[0], report.perhaps or "was", *report.by_name.values()]
    assert all(words.split() and words in text for words in quoted)
