"""Images and files as part of what an agent is asked: read, recorded, shown, counted, sent."""

import base64
import json
import re

import pytest
from dialects import Reply
from fault_server import FaultServer
from faults import MODELS, keys

import agentkit as ak
from agentkit.messages import MediaPart, UserMessage
from agentkit.testing import FunctionModel, ScriptedModel

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 48


def ask(given, log, **options):
    model = ScriptedModel(["A cat."])
    run = ak.Agent("eyes", model, **options).run(given, log=log)
    assert run.result(timeout=30) == "A cat."
    return run, model.requests[0].messages[0]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    return path


def test_a_picture_goes_along_with_the_question(photo, log):
    """As a text and a media part; the log has the picture itself."""
    run, message = ask(["What is this?", ak.media(photo)], log)
    text, picture = message.content
    assert (text.text, picture.media_type, picture.name) == ("What is this?", "image/png", "photo.png")
    assert base64.b64decode(picture.data) == PNG
    assert log.run(run.run_id).state.messages[0] == message
    assert run.prompt("model/1").exact


def test_a_picture_alone_is_enough(photo, log):
    """Without words."""
    _, message = ask(ak.media(photo), log)
    assert isinstance(message, UserMessage)
    assert [part.type for part in message.content] == ["media"]


def test_a_list_of_texts_stays_the_users_own_json(log):
    """Only media make parts of a list."""
    _, message = ask(["one", "two"], log)
    assert message.content == '["one","two"]'


def test_a_large_picture_goes_to_a_blob_and_comes_back(embedded_log, tmp_path):
    """More than 256 kB are not in the journal."""
    body = PNG * 40
    run, message = ask(["What is this?", ak.media(body)], embedded_log)
    assert len(list((tmp_path / ".agentkit" / "blobs").glob("[0-9a-f]*"))) == 1
    [_, picture] = embedded_log.run(run.run_id).state.messages[0].content
    assert base64.b64decode(picture.data) == body
    assert picture == message.content[1]


def test_a_picture_is_shown_as_what_it_is(photo, log):
    """Name, type and size; not its base64."""
    run, _ = ask(["What is this?", ak.media(photo), ak.media("https://example.com/a.jpg?x=1")], log)
    line = str(run.trace).splitlines()[1]
    assert "input: 'What is this?', photo.png (image/png, 12 kB), https://example.com/a.jpg" in line
    assert "iVBOR" not in str(run.trace)


def test_a_picture_counts_as_a_picture(log):
    """A megabyte of base64 is no quarter of a million tokens; the history is not trimmed for it."""
    run, _ = ask(["What is this?", ak.media(PNG * 100)], log, history_tokens=4000)
    assert 1000 < run.state.tokens < 3000
    assert not run.state.trims


def test_a_picture_is_not_searched_for_secrets(log):
    """Its bytes look like a key sooner or later; with a marker in them they would be no picture."""
    body = base64.b64decode("AIza" + "A" * 36) + PNG
    _, message = ask(["What is this?", ak.media(body, "image/png")], log, redact=[re.compile("AAAA")])
    assert base64.b64decode(message.content[1].data) == body


def test_what_only_claims_to_be_a_picture_is_searched(log):
    """A key in a field of that name is taken out."""
    secret = "sk-" + "a1b2c3d4" * 4
    run = ak.Agent("eyes", FunctionModel(lambda _request: "ok")).run(
        {"type": "media", "media_type": "text/plain", "data": secret}, log=log
    )
    run.result(timeout=30)
    assert secret not in "".join(event.model_dump_json() for event in run.events())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF....WEBP", "image/webp"),
        (b"RIFF....WAVE", "audio/wav"),
        (b"%PDF-1.7", "application/pdf"),
    ],
)
def test_bytes_say_what_they_are(body, kind):
    """By how they begin."""
    assert ak.media(body).media_type == kind


def test_a_file_without_an_ending_is_known_by_its_beginning(tmp_path):
    """And a given type goes before all."""
    path = tmp_path / "scan"
    path.write_bytes(b"%PDF-1.7")
    assert ak.media(str(path)).media_type == "application/pdf"
    assert ak.media(path, "text/plain").media_type == "text/plain"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("no-such.png", "no-such.png"),
        (b"who knows", "what type"),
        (b"", "no bytes"),
        ("https://example.com/picture", "what type"),
        ("ftp://example.com/a.png", "https://"),
        ("a\0b", "cannot be read"),
    ],
)
def test_what_cannot_be_sent_is_told(source, said):
    """At the call that brought it, with what to write instead."""
    with pytest.raises(ak.ConfigError, match=said):
        ak.media(source)


@pytest.mark.parametrize("dialect", MODELS)
def test_providers_get_pictures_and_files_in_their_own_form(dialect, photo, log):
    """An image, a PDF and a text file, through the real adapter."""
    given = ["What is this?", ak.media(photo), ak.media(b"%PDF-1.7"), ak.media(b"some notes", "text/plain")]
    with keys(), FaultServer([Reply()]) as server:
        agent = ak.Agent("eyes", f"loopback/{MODELS[dialect]}", settings={"api_base": server.url})
        agent.run(given, log=log).result(timeout=60)
    [message] = [said for said in server.requests[0].body["messages"] if said["role"] == "user"]
    text, image, document, notes = message["content"]
    assert (text["text"], notes["text"]) == ("What is this?", "some notes")
    assert base64.b64encode(PNG).decode() in json.dumps(image)
    forms = {"openai": ("image_url", "file"), "anthropic": ("image", "document")}
    assert (image["type"], document["type"]) == forms[dialect]
    assert base64.b64encode(b"%PDF-1.7").decode() in json.dumps(document)


def test_a_text_file_that_is_no_text_is_an_error(log):
    """Not retried: the same bytes would come again."""
    with keys(), FaultServer() as server:
        agent = ak.Agent("eyes", f"loopback/{MODELS['openai']}", settings={"api_base": server.url})
        run = agent.run(["Read this", ak.media(b"\xff\xfe\xfd", "text/plain")], log=log)
        with pytest.raises(ak.RunFailed, match="UTF-8"):
            run.result(timeout=60)
    assert not server.requests


def test_a_part_needs_no_helper():
    """It is a plain value, and prints what it holds."""
    assert MediaPart(media_type="image/png", url="https://example.com/a.png") == ak.media(
        "https://example.com/a.png"
    ).model_copy(update={"name": None})
