"""The digest of a step follows what it uses: what changes when, what does not, and what it costs."""

import re
import subprocess
import sys

import pytest

import agentkit as ak
from agentkit.functions.used import Used
from agentkit.tools import tool

PROGRAM = '''
import enum, functools, re, sys
import agentkit as ak
from agentkit.functions.used import Used
from dataclasses import dataclass, field
from pathlib import Path
from pydantic import BaseModel, Field, field_validator
from typing import Annotated, Literal, TypeAlias
import shop

LIMITS = {"small": 1, "large": [2, 3]}
KINDS = {"b", "a", "c"}
WORD = re.compile("a+")
HERE = Path("here")
CLIENT = object()
UNUSED = 1
Names: TypeAlias = "list[str]"

class Kind(enum.Enum):
    ONE = "one"

class Part(BaseModel):
    """A part."""
    text: Annotated[str, Field(description="what it says")] = "x"
    kinds: list[Kind] = Field(default_factory=list)

    @field_validator("text")
    @classmethod
    def _short(cls, text):
        return text[:LENGTH]

LENGTH = 9

class Facts(Part):
    more: "Other | None" = None

class Other(BaseModel):
    kind: Literal["x", "y"]

@dataclass
class Plain:
    number: int = 3
    names: list = field(default_factory=list)

    def twice(self):
        return self.number * FACTOR

FACTOR = 2

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **options):
        return again(function, *args, **options)
    return wrapper

def again(function, *args, **options):
    return function(*args, **options)

@functools.cache
def cached(number):
    return number + 1

def one(number):
    return two(number - 1) if number else 0

def two(number):
    return one(number - 1) if number else shop.rate(1)

@ak.tool
def refund(amount: float) -> dict:
    """Pay back an amount. Returns the receipt."""
    return {"amount": amount + fee()}

def fee():
    return 7

def made(rate):
    def inner(number):
        return number * rate
    return inner

triple = made(3)
halved = functools.partial(again, cached, number=4)

def unused():
    return UNUSED

@decorate
def step(ticket: str, ctx: ak.Context, by=LIMITS["small"]) -> "Facts":
    inner = lambda: [one(n) for n in sorted(KINDS)]
    ctx.call(refund, amount=triple(2))
    ctx.ask(ticket, output=Facts)
    return WORD, HERE, CLIENT, LIMITS, Plain().twice(), halved(), inner(), __name__

if __name__ == "__main__":
    print(Used(step).sha256)
'''
SHOP = "RATE = 2\n\n\ndef rate(x):\n    return x * RATE + len(other.__name__)\n\n\ndef other():\n    return 1\n"


def digest(folder, program=PROGRAM, shop=SHOP, name="program"):
    """What a process of its own prints."""
    (folder / "shop.py").write_text(shop)
    (folder / f"{name}.py").write_text(program)
    done = subprocess.run([sys.executable, f"{name}.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


CHANGES = {
    "a constant": ('"large": [2, 3]', '"large": [2, 4]'),
    "a set": ('KINDS = {"b", "a", "c"}', 'KINDS = {"b", "a"}'),
    "a pattern": ('compile("a+")', 'compile("b+")'),
    "a path": ('Path("here")', 'Path("there")'),
    "an enum": ('ONE = "one"', 'ONE = "two"'),
    "a field's default": ('= "x"\n', '= "z"\n'),
    "a field's description": ("what it says", "what it tells"),
    "a class's docstring": ('"""A part."""', '"""A piece."""'),
    "what a validator uses": ("LENGTH = 9", "LENGTH = 8"),
    "a class named in a text": ('Literal["x", "y"]', 'Literal["x", "z"]'),
    "a field's default in a dataclass": ("number: int = 3", "number: int = 4"),
    "what a method uses": ("FACTOR = 2", "FACTOR = 3"),
    "what a decorator calls": ("return function(*args, **options)\n\n@", "return [function(*args, **options)]\n\n@"),
    "a cached helper": ("return number + 1", "return number + 2"),
    "a helper of a helper": ("if number else shop.rate(1)", "if number else shop.rate(2)"),
    "what a tool uses": ("return 7", "return 8"),
    "a closure's value": ("made(3)", "made(4)"),
    "what a partial fixes": ("number=4)", "number=5)"),
    "a default": ('by=LIMITS["small"]', 'by=LIMITS["large"]'),
    "the type of a client": ("CLIENT = object()", "CLIENT = Exception()"),
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return digest(tmp_path_factory.mktemp("first"))


def test_the_digest_is_the_same_in_every_process_and_under_every_name(first, tmp_path):
    """Neither addresses, nor the order of sets, nor what a file is called are in it."""
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert digest(tmp_path, name="renamed") == first
    (tmp_path / "main.py").write_text("import renamed\nprint(renamed.Used(renamed.step).sha256)")
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == first, done.stderr


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_step_uses_changes_its_digest(first, tmp_path, what):
    """However many names lie between."""
    before, after = CHANGES[what]
    assert PROGRAM.count(before) == 1, before
    assert digest(tmp_path, PROGRAM.replace(before, after)) != first


def test_a_module_of_the_users_own_counts_as_far_as_it_is_used(first, tmp_path):
    """What `shop.rate` uses does; what stands beside it in the module does not."""
    assert digest(tmp_path, shop=SHOP.replace("RATE = 2", "RATE = 3")) != first
    assert digest(tmp_path, shop=SHOP + "\n\ndef beside():\n    return 1\n") == first


def test_what_a_step_does_not_use_leaves_its_digest(first, tmp_path):
    """Other functions, other constants, another place in the file."""
    changed = PROGRAM.replace("UNUSED = 1", "UNUSED = 2").replace("return UNUSED", "return UNUSED + 1")
    assert digest(tmp_path, "\n\n" + changed) == first


def test_comments_and_the_way_it_is_formatted_do_not_count(first, tmp_path):
    """A formatter that went over a module loses no cached result."""
    changed = PROGRAM.replace("    return number + 1", "    # one more\n    return (number +\n        1)")
    changed = changed.replace("def again(function, *args, **options)", "def again(function, *args, **options,)")
    assert digest(tmp_path, changed) == first


def test_a_name_that_has_another_value_by_now_counts_at_once(monkeypatch):
    """As when a cell is executed again, or a list was filled."""
    used = Used(reads)
    before = used.sha256
    assert used.sha256 == before
    monkeypatch.setitem(globals(), "RATE", 3)
    changed = used.sha256
    assert changed != before
    SEEN.append(1)
    assert used.sha256 not in {before, changed}
    SEEN.pop()
    monkeypatch.undo()
    assert used.sha256 == before


RATE = 2
SEEN = []


def reads():
    return RATE, SEEN


def test_what_a_function_writes_into_is_its_memory(monkeypatch):
    """A list that it fills, a counter, a memo in a closure: what they hold is no part of what it does."""
    memo = {}

    def remembers(x):
        memo[x] = COUNTED
        counts()
        return SEEN

    used = Used(remembers)
    before = used.sha256
    remembers(1)
    assert (COUNTED, SEEN, memo) == (1, [1], {1: 0})
    assert used.sha256 == before == Used(remembers).sha256
    SEEN.clear()


COUNTED = 0


def counts():
    global COUNTED  # noqa: PLW0603  what the test is about
    COUNTED += 1
    SEEN.append(COUNTED)


def test_what_is_not_there_yet_counts_when_it_is(monkeypatch):
    """A helper that is defined in a later cell."""
    used = Used(lambda: later_helper() + 1)  # noqa: F821
    before = used.sha256
    monkeypatch.setitem(globals(), "later_helper", lambda: 1)
    assert used.sha256 != before


def test_an_iterator_is_not_consumed():
    """What has no stable value is left alone, and counts by its type."""
    numbers = iter([1, 2])
    assert Used(lambda: numbers).sha256 == Used(lambda: numbers).sha256
    assert list(numbers) == [1, 2]


def test_a_proxy_that_raises_counts_by_its_type():
    """Whatever a user's object does when it is looked at, a step that uses it has a digest."""

    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("outside of its context")

        def __eq__(self, other):
            raise RuntimeError("outside of its context")

        __hash__ = object.__hash__

    proxy = Proxy()
    used = Used(lambda: (proxy, [proxy]))
    assert used.sha256 == used.sha256


def test_tools_that_use_each_other_have_digests():
    """A cycle ends."""

    def one() -> int:
        """Give one."""
        return other.function()

    @tool
    def other() -> int:
        """Give another."""
        return made.function()

    made = tool(one)
    assert made.source_sha256 != other.source_sha256


# what it is for -------------------------------------------------------------------------------------------------------

BEGIN = """
import agentkit as ak
log = ak.open_log("memory:")
calls = []
p = ak.Pipeline("p", input={"x": int})
"""
HELPER = "def helper(x): return x + {}"
STEPS = """
@p.step(cache=True)
def first(x: int) -> int:
    calls.append(x)
    return helper(x)
@p.step
def second(first: int) -> int:
    return first * 10
"""
RUN = "run = p.run(x=1, log=log); run.result(20)"


def test_a_cached_result_of_another_helper_is_not_used(cell):
    """The step's own source is the same; the helper's cell was executed again."""
    for source in (BEGIN, HELPER.format(1), STEPS):
        cell(source)
    assert cell(RUN) == 20
    cell(HELPER.format(5))
    assert cell(RUN) == 60
    cell(HELPER.format(1))
    assert cell(RUN) == 20
    assert cell(
        "[event.type for event in run.events() if event.type == 'note' or event.body.model_dump().get('cached_from')]"
    )


def test_a_fork_does_again_what_uses_what_changed(cell):
    """`run.fork()` begins with the step whose helper changed, and shares the rest."""
    for source in (BEGIN, HELPER.format(1), STEPS):
        cell(source)
    assert cell(RUN) == 20
    with pytest.raises(ak.AgentKitError, match="no step or input changed"):
        cell("run.fork()")
    cell(HELPER.format(5))
    assert cell("run.fork().result(20)") == 60


def test_a_batch_begins_anew_where_a_helper_changed(cell):
    """`map` finds the results of the same items only as long as what they are made by is the same."""
    for source in (BEGIN, HELPER.format(1), STEPS.replace("cache=True", "")):
        cell(source)
    assert cell("p.map([1, 2], log=log).result()") == [20, 30]
    cell(HELPER.format(5))
    assert cell("p.map([1, 2], log=log).result()") == [60, 70]


def test_an_approval_is_for_what_a_step_used(cell):
    """A helper that was changed while a person was asked: the answer was for another one."""
    for source in (BEGIN, HELPER.format(1), STEPS.replace("cache=True", "approve=True")):
        cell(source)
    with pytest.raises(ak.RunPaused):
        cell(RUN)
    cell(HELPER.format(5))
    cell("run.approve()")
    with pytest.raises(ak.RunPaused):
        cell("run.result(20)")
    assert [asked.because for asked in cell("run.pending")] == ["changed"]
    cell("run.approve()")
    assert cell("run.result(20)") == 60


def test_an_agents_definition_follows_its_tools(cell):
    """What is recorded of a run that begins now says what its tools do now."""
    cell("import agentkit as ak\nfrom agentkit.testing import FunctionModel\ndef helper(): return 1")
    cell('@ak.tool\ndef look(text: str) -> dict:\n    """Look a text up. Returns it."""\n    return {"n": helper()}')
    cell("agent = ak.Agent('a', FunctionModel(lambda request: 'x'), tools=[look])")
    before = cell("agent.definition")
    assert cell("agent.definition") is before
    cell("def helper(): return 2")
    assert cell("agent.definition").sha256 != before.sha256


def test_an_agent_that_is_a_step_follows_its_tools(cell):
    """The agent is the same object; what its tool uses is not."""
    cell(BEGIN + "from agentkit.testing import FunctionModel\ndef helper(): return 1")
    cell('@ak.tool\ndef look(text: str) -> dict:\n    """Look a text up. Returns it."""\n    return {"n": helper()}')
    cell("agent = ak.Agent('a', FunctionModel(lambda request: 'x'), tools=[look])\np.step(agent, name='asked')")
    assert cell("run = p.run(x=1, log=log); run.result(20)") == "x"
    with pytest.raises(ak.AgentKitError, match="no step or input changed"):
        cell("run.fork()")
    cell("def helper(): return 2")
    assert cell("run.fork().result(20)") == "x"


def test_a_run_of_an_older_log_goes_on(tmp_path):
    """Digests that another agentkit recorded differ: what is not settled is asked again, and nothing fails."""
    made = ak.Pipeline("older", input={"x": int})
    made.step(lambda x: x + 1, name="gated", approve=True)
    log = ak.open_log("memory:")
    run = made.run(x=1, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(20)
    older = older_log(run)
    older.run(run.run_id).approve()
    again = ak.resume(run.run_id, log=older)
    with pytest.raises(ak.RunPaused):
        again.result(20)
    assert [asked.because for asked in again.pending] == ["changed"]
    again.approve()
    assert again.result(20) == 2


def older_log(run):
    """The same events with the digests of another agentkit."""
    log = ak.open_log("memory:")
    claim = log.store.claim(run.run_id, new=True)
    events = []
    for event in run.events():
        text = event.body.model_dump()
        if text.get("header"):
            for fact in text["header"]["tools"]:
                fact["source_sha256"] = "0" * 64
        if "digest" in text:
            text["digest"] = "0" * len(text["digest"])
        events.append(event.model_copy(update={"body": type(event.body).model_validate(text)}))
    log.store.append(claim, events).result(20)
    log.store.release(claim)
    return log


def test_defining_many_tools_takes_no_digests():
    """They are taken when a run begins: a module of tools is imported as quickly as before."""

    def give(number: int) -> int:
        """Give a number."""
        return number

    assert tool(give)._used._walk is None
