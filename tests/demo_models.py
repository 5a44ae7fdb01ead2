"""Models for the demo's tests that need no weights: one that reads well, some that lie, one that talks nonsense."""

import random
import re

from agentkit.demo.reading import categories
from agentkit.messages import Usage
from agentkit.testing import FunctionModel, call

CATEGORIES = ["permissive", "weak copyleft", "strong copyleft", "proprietary"]


def honest(texts, rng):
    """Quotes the first words that name one kind of licence, and says which."""
    del rng
    for text in texts:
        for line in text.splitlines():
            found = categories(line)
            if len(found) == 1:
                return line.strip(), next(iter(found))
    return texts[0], "unknown"


def wrong_category(texts, rng):
    """A true quotation, and another category than its."""
    quotation, category = honest(texts, rng)
    return quotation, rng.choice([other for other in CATEGORIES if other != category])


INVENTED = {
    "permissive": "released under the permissive MIT License",
    "weak copyleft": "released under the LGPL, as always",
    "strong copyleft": "released under the GNU GPL, version 3",
    "proprietary": "strictly proprietary, by the lawyers",
    "unknown": "released under the permissive MIT License",
}


def false_quotation(texts, rng):
    """The true category, with words that nobody wrote."""
    _, category = honest(texts, rng)
    return INVENTED[category], category if category != "unknown" else "permissive"


def both_wrong(texts, rng):
    """Words that nobody wrote, and a category that they do not mean."""
    quotation, category = false_quotation(texts, rng)
    return quotation, rng.choice([other for other in CATEGORIES if other != category])


def cherry_picker(texts, rng):
    """True words that name a licence of some kind, whichever comes to hand, and the category that they mean."""
    found = [
        (words.group().strip(), kind)
        for text in texts
        for words in re.finditer(r"[^\n.;]{3,80}", text)
        if len(kinds := categories(words.group().strip())) == 1
        for kind in kinds
    ]
    return rng.choice(found) if found else (texts[0], rng.choice(CATEGORIES))


def nonsense(texts, rng):
    """Any words of the text, and any category."""
    words = " ".join(texts).split()
    start = rng.randrange(len(words))
    return " ".join(words[start : start + rng.randint(1, 6)]), rng.choice([*CATEGORIES, "unknown"])


LIARS = [wrong_category, false_quotation, both_wrong, cherry_picker, nonsense]


def reader(answer, *, seed=0):
    """A model that looks the package up and answers like `answer`, each time a person would see another draw.

    Args:
        answer: function(texts shown, random) → quotation, category.
        seed: of the draws; the same package gets the same ones.
    """

    def respond(request):
        task = request.messages[0].content
        shown = [message for message in request.messages if message.role == "tool"]
        if not shown:
            return call("look_up", package=re.search(r"package (\S+)", task).group(1))
        content = shown[-1].content
        texts = [content["license field"], *content["classifiers"], *content["licence files"].values()]
        rng = random.Random(f"{seed} {task} {len(request.messages)}")
        quotation, category = answer(texts, rng)
        return {"quotation": quotation, "category": category}

    return FunctionModel(respond, usage=Usage(input_tokens=400, output_tokens=20, cost_usd=0.0), name=answer.__name__)


def open_reader(name):
    """`play:honest` and the like, as a model's name."""
    return reader(globals()[name.removeprefix("play:")])


def asked(answer, *, seed=0):
    """The same for the pipeline's step, whose prompt is what the package says."""

    def respond(request):
        words = request.messages[0].content
        quotation, category = answer([words], random.Random(f"{seed} {words} {len(request.messages)}"))
        return {"quotation": quotation, "category": category}

    return FunctionModel(respond, usage=Usage(input_tokens=400, output_tokens=20, cost_usd=0.0), name=answer.__name__)


def open_asked(name):
    """`play:honest`, or `play:nonsense/3` for other draws, as a name of the pipeline's model."""
    answer, _, seed = name.removeprefix("play:").partition("/")
    return asked(globals()[answer], seed=seed)
