"""A pipeline or an agent of a notebook's cells, a script or a module, written as a module that stands alone."""

import contextlib
import html
import importlib
import json
import random
import re
import subprocess
import sys
from importlib import util
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import agentkit as ak
from agentkit.demo.pipeline import audit
from agentkit.errors import PromotionError
from agentkit.promote.facts import facts

ROOT = Path(__file__).parent.parent
RUFF = Path(sys.executable).with_name("ruff")

BEGIN = """
import agentkit as ak
import sqlite3
from pydantic import BaseModel
log = ak.open_log("memory:")
triage = ak.Pipeline("triage", input={"ticket": str})
"""
STEP = """
@triage.step
def pay(ticket: str) -> str:
    return {}
"""


@pytest.fixture
def promoted(cell):
    """Executes cells, and promotes what the name has in them."""

    def promote(*cells, name="triage", **options):
        for source in cells:
            cell(source)
        return ak.promote(cell(name), **options)

    return promote


def code(module):
    """A module's source below its docstring."""
    return re.sub(r'\A# Written.*\n"""[^"]*"""\n+', "", module.source)


def load(path, name):
    """What a written module defines, imported as a module of its own."""
    spec = util.spec_from_file_location(path.stem, path)
    module = util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where pydantic looks for what a class named before it was there
    spec.loader.exec_module(module)
    return getattr(module, name)


def refused(promote, *cells, **options):
    """What promoting says is wrong."""
    with pytest.raises(PromotionError) as caught:
        promote(*cells, **options)
    return [re.sub(r"In \[\d+\]", "In [.]", problem) for problem in caught.value.problems]


# what is written ------------------------------------------------------------------------------------------------------


def test_the_demos_pipeline_is_written_as_it_stands(tmp_path):
    """A module from a module: byte for byte what its author wrote, under a line that says who copied it."""
    module = ak.promote(audit)
    header, _, text = module.source.partition("\n")
    assert text == (ROOT / "agentkit/demo/pipeline.py").read_text("utf-8")
    assert header.startswith("# Written by agentkit's promote")
    path = module.write(tmp_path / "licences.py")
    assert facts(load(path, "audit").definition) == facts(audit.definition)


def test_the_second_notebook_becomes_a_module(promoted, cell, tmp_path, monkeypatch):
    """Cells executed twice, typos and displays left behind; the module's results are the notebook's."""
    monkeypatch.setenv("AGENTKIT_MODEL", "local/smollm2")
    monkeypatch.chdir(tmp_path)
    cells = [
        "".join(one["source"])
        for one in json.loads((ROOT / "notebooks/02_pipeline.ipynb").read_text("utf-8"))["cells"]
        if one["cell_type"] == "code"
    ]
    before = cells[: next(at for at, one in enumerate(cells) if "few.run(" in one)]
    changed = next(one for one in cells if "few.run(" not in one and "run.fork()" in one).partition("\n\n\nfork")[0]
    module = promoted(*before, changed, name="few")
    assert "raed" not in module.source
    assert "| package | kind |" in module.source
    assert not re.search(r"^(few|few\.problems|log.*)$", module.source, re.MULTILINE)
    path = module.write(tmp_path / "few.py")
    one, other = cell("few"), load(path, "few")
    assert facts(one.definition) == facts(other.definition)
    given = {"packages": ["pluggy", "certifi"]}
    assert [settled(pipeline, given) for pipeline in (one, other)] == [
        {"pluggy": "permissive", "certifi": "copyleft"}
    ] * 2


def settled(pipeline, given):
    """The rows of a run that a person lets write."""
    run = pipeline.run(**given, log="memory:")
    with pytest.raises(ak.RunPaused):
        run.result(60)
    run.approve()
    run.result(60)
    return run.state.calls["rows"].result


def test_only_what_the_steps_need_is_written_and_all_of_it(promoted, tmp_path):
    """Constants, helpers, classes, aliases, decorators, conditions, defaults, annotations, nested uses, all the way."""
    module = promoted(
        BEGIN + "import json, os, re, textwrap\nfrom typing import Annotated, TypeAlias\nfrom functools import wraps",
        """
UNUSED = 1
LEAST, MOST = 1, 9  # bounds
WORD = re.compile(r"\\w+")
\"\"\"What a word is.\"\"\"
Names: TypeAlias = "list[Name]"
class Name(BaseModel):
    text: str
    kind: "Kind" = "plain"
# why a kind is a text
Kind = str
def unused(): return UNUSED
""",
        """
def shout(function):
    @wraps(function)
    def louder(*args, **options):
        return function(*args, **options).upper() + "!" * LEAST
    return louder

@shout
def said(text, by=MOST):
    inner = lambda part: f"{part:>{WIDTH}}"
    return inner(text)[:by]
WIDTH = 3
def big(call): return len(call.args["names"]) > THRESHOLD
THRESHOLD = 5
""",
        """
@triage.step(when=lambda ticket: os.path.basename(ticket) != "")
def names(ticket: str) -> Names:
    return [Name(text=one) for one in WORD.findall(ticket)]
%time os.getcwd()
@triage.step(approve=big, on_reject=lambda reason: json.dumps(reason))
def pay(names: "list[Name]") -> str:
    return said(names[0].text)
""",
    )
    assert "UNUSED" not in module.source
    assert "unused" not in module.source
    assert "textwrap" not in module.source
    assert "sqlite3" not in module.source
    assert "getcwd" not in module.source
    assert "# why a kind is a text\nKind = str" in module.source
    assert 'WORD = re.compile(r"\\w+")\n"""What a word is."""' in module.source
    assert "LEAST, MOST = 1, 9  # bounds" in module.source
    path = module.write(tmp_path / "triage.py")
    assert load(path, "triage").run(ticket="ab cd", log="memory:").result(20) == " AB!"


def test_a_module_passes_the_formatters_and_the_linters_defaults(promoted, tmp_path, monkeypatch):
    """Also where there is no ruff when it is written: the layout is clean by itself, imports sorted."""
    cells = [
        BEGIN + "from decimal import Decimal, ROUND_UP\nimport json as j, os\n"
        "from collections import deque, OrderedDict",
        "RATE = 2\nNAMES = [1]\nx = deque()\ndef f(): return (RATE, NAMES, x, Decimal, ROUND_UP, j, os, OrderedDict)",
        STEP.format("str(len(f()))"),
    ]
    monkeypatch.setattr("agentkit.promote.layout.formatted", lambda text: text)
    path = tmp_path / "plain.py"
    path.write_text(promoted(*cells).source)
    for check in (["check", "--isolated"], ["check", "--isolated", "--select", "I"]):
        done = subprocess.run([RUFF, *check, path], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
    assert "\n\n\ndef f()" in path.read_text()


def test_a_cell_executed_again_counts_in_its_newest_form(promoted):
    """A helper, a class and a step: the newest of each, in the place of the first, before what uses it."""
    helper = "def fee(amount):\n    return amount * {}"
    module = promoted(BEGIN, helper.format(1), STEP.format("str(fee(2))"), helper.format(3), STEP.format("str(fee(4))"))
    assert code(module).partition("triage = ")[2] == (
        'ak.Pipeline("triage", input={"ticket": str})\n\n\ndef fee(amount):\n    return amount * 3\n\n\n'
        "@triage.step\ndef pay(ticket: str) -> str:\n    return str(fee(4))\n"
    )


def test_what_the_notebook_cached_is_used_by_the_module(promoted, cell, tmp_path):
    """The module's steps are the notebook's: same source, same helpers, same classes."""
    module = promoted(
        BEGIN + "import enum",
        "class Kind(enum.Enum):\n    ONE = 1\n\n\nclass Facts(BaseModel):\n    kind: Kind | None = None\n    text: str",
        "LIMIT = {'most': 3}\n\n\ndef cut(text: str) -> str:\n    return text[: LIMIT['most']]",
        "@triage.step(cache=True)\ndef facts(ticket: str) -> Facts:\n    return Facts(text=cut(ticket))",
    )
    cell("triage.run(ticket='abcd', log=log).result(20)")
    run = load(module.write(tmp_path / "triage.py"), "triage").run(ticket="abcd", log=cell("log"))
    assert run.result(20).text == "abc"
    [done] = [event.body for event in run.events() if event.type == "step_succeeded"]
    assert done.cached_from is not None


def test_what_magics_ran_is_python(promoted, tmp_path):
    """%%time, %time and %%capture hold statements as any other; !commands and displays are left out."""
    module = promoted(
        BEGIN,
        "%%time\nRATE = 2\ndef fee():\n    return RATE * MORE",
        "%time MORE = 5\n!true",
        "%%capture\n@triage.step\ndef pay(ticket: str) -> str:\n    return str(fee())\ntriage",
    )
    assert "get_ipython" not in module.source
    assert load(module.write(tmp_path / "triage.py"), "triage").run(ticket="", log="memory:").result(20) == "10"


def test_what_is_added_to_a_function_or_a_class_comes_with_it(promoted, tmp_path):
    """Registrations of a dispatcher, a rebuilt model, an attribute; optional imports as they were written."""
    module = promoted(
        BEGIN + "from functools import singledispatch\ntry:\n    import no_such_module as fast\n"
        "except ImportError:\n    fast = None",
        "@singledispatch\ndef shown(value):\n    return 'any'",
        "@shown.register\ndef _(value: int):\n    return f'int {value}'",
        "@shown.register(str)\ndef _(value):\n    return shown.mark + value",
        "shown.mark = '*'",
        "class Node(BaseModel):\n    inner: 'Node | Leaf'\nclass Leaf(BaseModel):\n    x: int\nNode.model_rebuild()",
        STEP.format("shown(1) + shown('a') + str(fast) + str(Node(inner=Leaf(x=1)).inner.x)"),
    )
    assert module.source.count(".register") == 2
    assert "Node.model_rebuild()" in module.source
    path = module.write(tmp_path / "triage.py")
    assert load(path, "triage").run(ticket="", log="memory:").result(20) == "int 1*aNone1"


def test_postponed_annotations_stay_so(promoted, tmp_path):
    """`from __future__ import annotations` in a cell holds for the module."""
    module = promoted("from __future__ import annotations" + BEGIN, STEP.format("ticket"))
    assert "\nfrom __future__ import annotations\n\nimport agentkit as ak\n" in module.source
    module.write(tmp_path / "triage.py")


def test_agents_tools_and_pipelines_as_steps_come_with_their_own(promoted, tmp_path):
    """An agent with its tools, an inner pipeline with its steps; a step of another pipeline is only a function here."""
    module = promoted(
        BEGIN + "from agentkit.testing import FunctionModel\ndef say(request): return 'yes'\n",
        """
@ak.tool(writes=True, approve=True)
def refund(amount: float) -> str:
    '''Pay back. Returns the receipt.'''
    return "paid"
support = ak.Agent("support", FunctionModel(say), "Be brief.", tools=[refund])
inner = ak.Pipeline("inner", input={"ticket": str})
other = ak.Pipeline("other", input={"ticket": str})
@inner.step
def within(ticket: str) -> str:
    return ticket
triage.step(support, name="asked", needs={"task": "ticket"})
triage.step(inner)
@triage.step
@other.step(
    timeout=3,
)
def pay(ticket: str) -> str:
    return "paid"
""",
    )
    assert "other" not in module.source
    assert "@triage.step\ndef pay" in module.source
    path = module.write(tmp_path / "triage.py")
    assert load(path, "triage").run(ticket="t", log="memory:").result(20) == {
        "asked": "yes",
        "inner": "t",
        "pay": "paid",
    }


def test_an_agent_becomes_a_module_with_its_tools(promoted, cell, tmp_path):
    """Its instructions, tools, checks and output; `to="module"` says that its runs are not asked."""
    module = promoted(
        BEGIN + "from agentkit.testing import FunctionModel\nRULES = ['brief']\n",
        """
class Answer(BaseModel):
    text: str
def holds(answer: Answer) -> None:
    assert answer.text
@ak.tool
def find(order: str) -> str:
    '''Find an order. Returns its state.'''
    return order
support = ak.Agent("support", FunctionModel(lambda request: '{"text": "x"}'), f"Be {RULES[0]}.",
    tools=[find], output=Answer, checks=[holds])
""",
        name="support",
        to="module",
    )
    assert "triage" not in module.source
    made = load(module.write(tmp_path / "support.py"), "support")
    assert facts(made.definition) == facts(cell("support").definition)
    assert made.run("x", log="memory:").result(20).text == "x"


def test_a_script_and_a_factory_become_modules(tmp_path):
    """Run as `__main__`: what a function declares is written as the call of that function."""
    (tmp_path / "shop.py").write_text(
        "import sys\nimport agentkit as ak\n\n\ndef make(rate):\n    made = ak.Pipeline('p', input={'x': int})\n\n"
        "    @made.step\n    def times(x: int) -> int:\n        return x * rate\n\n    return made\n\n\n"
        "p = make(3)\n\nif __name__ == '__main__':\n    ak.promote(p).write('out.py')\n"
    )
    done = subprocess.run([sys.executable, "shop.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "__main__" not in (tmp_path / "out.py").read_text()
    assert load(tmp_path / "out.py", "p").run(x=2, log="memory:").result(20) == 6


def test_a_real_kernels_cells_become_a_module(tmp_path):
    """In Jupyter a cell's code is called after a file that is not there; its source is found all the same."""
    cells = [
        BEGIN,
        "%%time\nRATE = 2\ndef fee(x):\n    return x * RATE",
        STEP.format("str(fee(1))"),
        "def fee(x):\n    return x * RATE * 10",
        f"ak.promote(triage).write({str(tmp_path / 'triage.py')!r})",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    assert load(tmp_path / "triage.py", "triage").run(ticket="", log="memory:").result(20) == "20"


def test_relative_imports_become_absolute(tmp_path, monkeypatch):
    """A module of a package is written where it has no package; what only types need is imported for them alone."""
    folder = tmp_path / "goods" / "parts"
    folder.mkdir(parents=True)
    for place in (folder.parent, folder):
        (place / "__init__.py").touch()
    (folder / "rates.py").write_text("RATE = 2\n")
    (folder / "line.py").write_text(
        "from typing import TYPE_CHECKING\nimport agentkit as ak\nfrom . import rates\n"
        "from .rates import RATE as rate\n"
        "if TYPE_CHECKING:\n    from decimal import Decimal\n    from fractions import Fraction\n"
        "def times(x: 'Decimal') -> int:\n    return x * rate * rates.RATE\n"
        "p = ak.Pipeline('p', input={'x': int})\np.step(lambda x: times(x), name='times')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = ak.promote(importlib.import_module("goods.parts.line").p)
    assert "from goods.parts import rates\nfrom goods.parts.rates import RATE as rate\n" in module.source
    assert "if TYPE_CHECKING:\n    from decimal import Decimal\n\n" in module.source
    assert "Fraction" not in module.source
    monkeypatch.chdir(tmp_path)
    assert load(module.write(tmp_path / "line_.py"), "p").run(x=3, log="memory:").result(20) == 12


def test_a_module_shows_itself(promoted):
    """As text in a terminal, with colours and escaped in a notebook."""
    module = promoted(BEGIN, STEP.format("'<script>alert(1)</script>'"))
    shown = module._repr_mimebundle_()
    assert shown["text/plain"] == repr(module) == module.source
    assert "<script>" not in shown["text/html"]
    assert html.unescape(re.sub(r"<[^>]*>", "", shown["text/html"])) == module.source


PIECES = {  # what has to have been executed before → the statement
    "re": ((), "import re"),
    "ak": ((), "import agentkit as ak"),
    "BaseModel": ((), "from pydantic import BaseModel, Field"),
    "RATE": ((), "RATE = 2  # a rate"),
    "WORD": (("re",), "WORD = re.compile('[a-z]+')"),
    "fee": ((), "def fee(count: int) -> int:\n    return count * RATE"),
    "words": (("WORD",), "def words(text: str, pattern=WORD) -> list[str]:\n    return pattern.findall(text)"),
    "Facts": (("BaseModel",), "class Facts(BaseModel):\n    names: list[str] = Field(max_length=9)"),
    "Line": (("Facts",), "class Line(Facts):\n    total: int"),
    "p": (("ak",), "p = ak.Pipeline('p', input={'text': str})"),
    "facts": (("p", "Facts"), "@p.step\ndef facts(text: str) -> Facts:\n    return Facts(names=words(text))"),
    "line": (
        ("p", "Line", "facts"),
        (
            "# the last\n@p.step(when=lambda facts: bool(facts.names))\ndef line(facts: Facts) -> Line:\n"
            "    return Line(names=facts.names, total=fee(len(facts.names)))"
        ),
    ),
}
NOISE = (
    "p",
    "%time 1 + 1",
    "!true",
    "print('noise')",
    "noise = [1]",
    "display('noise')",
    "def noise(): return RATE",
    "1/0",
)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_cells_the_module_is_the_same_pipeline(cell, seed, tmp_path):
    """Any order that runs, any division into cells, anything in between, cells executed again, cells that failed."""
    rng = random.Random(seed)
    order = []
    while left := [name for name in PIECES if name not in order and set(PIECES[name][0]) <= set(order)]:
        order.append(rng.choice(left))
    again = [name for name in rng.choices(order, k=4) if name not in {"p", "ak"}]
    begun = [PIECES[name][1] for name in order]
    for at, noise in ((rng.randrange(order.index("p") + 1, len(begun) + 1), rng.choice(NOISE)) for _ in range(5)):
        begun.insert(at, noise)
    while begun:
        size = 1 if begun[0] in NOISE else rng.randint(1, 3)
        taken = [one for one in begun[:size] if size == 1 or one not in NOISE]
        begun = [one for one in begun[:size] if one not in taken] + begun[size:]
        with contextlib.suppress(ZeroDivisionError):
            cell("\n".join(taken))
    for name in again:
        cell(PIECES[name][1])
    module = ak.promote(cell("p"))
    assert "noise" not in module.source
    assert [module.source.count(f"{line}\n") for line in ("RATE = 2  # a rate", "# the last", "import re")] == [1] * 3
    path = tmp_path / f"cells_{seed}.py"
    path.write_text(module.source)
    made = load(path, "p")
    assert facts(made.definition) == facts(cell("p").definition)
    assert made.run(text="ab 1 cd", log="memory:").result(20).model_dump() == {"names": ["ab", "cd"], "total": 4}


# what is refused ------------------------------------------------------------------------------------------------------

DEPS = "open it where a run begins and give it as run(deps=…): a step has it as ctx.deps"
REFUSALS = {
    "a connection": (
        "conn = sqlite3.connect(':memory:')\ndef look(): return conn.execute('select 1')",
        "str(look())",
        f"needs `conn` (through `look`; In [.], line 1): it is a live sqlite3.Connection; {DEPS}",
    ),
    "a file": (
        "with open('/dev/null') as file: pass",
        "file.name",
        f"needs `file` (In [.], line 1): it belongs to a `with` block, which is over; {DEPS}",
    ),
    "a loop's variable": (
        "for number in range(3): pass",
        "str(number)",
        (
            "needs `number` (In [.], line 1): a loop gives it its value; write it as one statement, for "
            "example as a comprehension"
        ),
    ),
    "a question": (
        (
            "import builtins\nread, builtins.input = builtins.input, lambda _: 'me'\nwho = input('who?')\n"
            "builtins.input = read"
        ),
        "who",
        (
            "needs `who` (In [.], line 3): input() asks a person for it; make it an input of the pipeline, "
            "or an environment variable"
        ),
    ),
    "what was mutated": (
        "SEEN = {}\nSEEN['a'] = 1",
        "str(SEEN)",
        (
            "needs `SEEN` (In [.], line 1): its statement gives {}, and it is {'a': 1} by now; execute it "
            "again, or write the value that is meant"
        ),
    ),
    "what was filled": (
        "TABLE = dict([('a', 1)])\nfor key in 'bc':\n    TABLE[key] = 2",
        "str(TABLE)",
        (
            "needs `TABLE` (In [.], line 1): `for key in 'bc': TABLE[key] = 2` (In [.], line 2) changes it; write its "
            "value as one statement"
        ),
    ),
    "what got a key": (
        "KEYS = dict([('a', 'b')])\nKEYS['c'] = 'sk-abcdefgh12345678ijklmnop'",
        "str(KEYS)",
        (
            "needs `KEYS` (In [.], line 1): `KEYS['c'] = '[redacted:api-key]'` (In [.], line 2) changes it; write its "
            "value as one statement"
        ),
    ),
    "a file's place": (
        "",
        "__file__",
        "needs `__file__`: a module's is another file; give the path as an input of the pipeline",
    ),
    "what was awaited": (
        "import asyncio\nnow = await asyncio.sleep(0, 3)",
        "str(now)",
        "needs `now` (In [.], line 2): a module cannot await; make a step of what does",
    ),
    "what was counted": (
        "count = 0\ncount += 1",
        "str(count)",
        "needs `count` (In [.], line 2): `count += 1` changes it; write its value as one statement",
    ),
    "what is made of itself": (
        "names = ['b', 'a']\nnames = sorted(names)",
        "names[0]",
        (
            "needs `names` (In [.], line 2): it is made of the value that it had before; write its value as "
            "one statement"
        ),
    ),
    "a key": (
        "def key(): return 'sk-abcdefgh12345678ijklmnop'",
        "key()",
        (
            "(through `key`; In [.], line 1): it holds what looks like a secret; read it from the "
            "environment, or give it as run(deps=…)"
        ),
    ),
    "a password": (
        "PASSWORD = 'hunter2hunter2'",
        "PASSWORD",
        (
            "(through `PASSWORD`; In [.], line 1): `PASSWORD` has a text, and its name says that it is "
            "secret; read it from the environment"
        ),
    ),
    "a magic's value": (
        "files = !ls",
        "files[0]",
        "needs `files` (In [.], line 1): a notebook's magic gives it its value; write it in Python",
    ),
    "an output": (
        "1 + 1",
        "str(_)",
        "needs `_`: only a notebook has it; write in Python what it is needed for",
    ),
    "the notebook itself": (
        "",
        "get_ipython().__class__.__name__",
        "needs `get_ipython`: only a notebook has it; write in Python what it is needed for",
    ),
    "nothing": (
        "",
        "str(nothing_at_all)",
        "needs `nothing_at_all`: nothing defines it; define it, or take it out",
    ),
    "what came from elsewhere": (
        "globals().update(given=object())",
        "str(given)",
        ("needs `given`: no statement of the notebook gives it its value; write one, or make it a parameter"),
    ),
    "a run": (
        (
            "done = ak.Pipeline('done', input={'x': int})\ndone.step(lambda x: x, name='same')\n"
            "run = done.run(x=1, log=log)"
        ),
        "run.run_id",
        (
            "needs `run` (In [.], line 3): it is what a run gave (agentkit.runner.run.Run); make what is "
            "needed of it an input of the pipeline"
        ),
    ),
    "a script's own": (
        "if __name__ == '__main__':\n    mode = 'main'",
        "mode",
        (
            "needs `mode` (In [.], line 1): only a script's `if __name__ == '__main__'` gives it its value; "
            "move it out of there"
        ),
    ),
    "a value on the way": (
        "print(total := 3)",
        "str(total)",
        (
            "needs `total` (In [.], line 1): `print((total := 3))` gives it its value on the way; write it as "
            "a statement of its own"
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_written_is_refused_by_name(promoted, what):
    """The object, the step that needs it, where it stands and what to do; nothing of a secret."""
    before, expression, said = REFUSALS[what]
    assert refused(promoted, BEGIN, before, STEP.format(expression)) == [f"the step 'pay' {said}"]
    assert "sk-abc" not in said


def test_an_output_is_refused_where_a_prompt_left_it_among_the_builtins(promoted, monkeypatch):
    """A doctest and a plain prompt put `_` there: a module has it no more for that."""
    monkeypatch.setattr("builtins._", 2, raising=False)
    before, expression, said = REFUSALS["an output"]
    assert refused(promoted, BEGIN, before, STEP.format(expression)) == [f"the step 'pay' {said}"]


def test_a_closure_over_a_connection_is_refused(promoted):
    """A step that a function declares holds what that function was given."""
    build = f"def build(conn):\n    {STEP.format('str(conn)').strip().replace(chr(10), chr(10) + '    ')}"
    assert refused(promoted, BEGIN, build, "build(sqlite3.connect(':memory:'))") == [
        f"the step 'pay' (In [.], line 1): it holds `conn`, a live sqlite3.Connection; {DEPS}"
    ]


def test_steps_of_a_loop_are_refused(promoted):
    """A lambda in a loop has no source of its own."""
    loop = "for name in ['a', 'b']:\n    triage.step(lambda ticket: ticket, name=name)"
    assert refused(promoted, BEGIN, loop) == [
        f"the step {name!r} (In [.], line 1): a loop declares it; write a statement of its own for each step"
        for name in "ab"
    ]


def test_what_no_name_has_is_refused():
    """A pipeline that a function keeps for itself."""
    lost = ak.Pipeline("lost", input={"x": int})
    lost.step(lambda x: x, name="same")
    with pytest.raises(PromotionError) as caught:
        ak.promote(lost)
    assert str(caught.value) == (
        "the pipeline 'lost' cannot become a module: no name outside of a function has it; "
        "write lost = … in a cell, or at the top of a module"
    )


# writing --------------------------------------------------------------------------------------------------------------


def test_an_edited_file_is_not_written_over(promoted, tmp_path):
    """What agentkit wrote may be written again; what a person changed, or wrote, only where that is said."""
    module = promoted(BEGIN, STEP.format("ticket"))
    path = module.write(tmp_path / "new" / "triage.py")
    module.write(path)
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(PromotionError) as caught:
        module.write(path)
    assert str(caught.value) == (
        f"{path} was not written: it is there, and somebody edited it since it was written; write(…, overwrite=True) "
        "replaces it"
    )
    module.write(path, overwrite=True)
    assert path.read_text() == module.source
    path.write_text("x = 1\n")
    with pytest.raises(PromotionError, match="agentkit did not write it"):
        module.write(path)
    assert list(path.parent.iterdir()) == [path]


def test_what_does_not_stand_alone_is_not_written(promoted, tmp_path):
    """A module that the notebook's process alone can import: nothing is left, and the error says which line."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "only_here.py").write_text("VALUE = 1\n")
    path = f"import sys; sys.path.insert(0, {str(tmp_path / 'elsewhere')!r})"
    module = promoted(BEGIN, path, "import only_here", STEP.format("str(only_here.VALUE)"))
    with pytest.raises(PromotionError) as caught:
        module.write(tmp_path / "triage.py")
    assert str(caught.value) == (
        "triage.py was not written: in a process of its own it fails: ModuleNotFoundError: No module named 'only_here' "
        "(line 4)"
    )
    assert not (tmp_path / "triage.py").exists()


def test_a_module_is_tried_without_a_network(promoted, tmp_path):
    """What asks the internet when it is imported says so, and is not written."""
    module = promoted(BEGIN, STEP.format("ticket"))
    source = module.source + "\nimport socket\n\nANSWER = socket.create_connection(('example.org', 80))\n"
    changed = type(module)(source, module.name, module.owner)
    with pytest.raises(PromotionError, match="asks for 'example"):
        changed.write(tmp_path / "triage.py")


def test_a_difference_to_the_notebook_is_told(promoted, cell, tmp_path):
    """A class that was executed again after its step: the module has the new one, and that is not what runs here."""
    made = "class Facts(BaseModel):\n    amount: {}"
    step = "@triage.step(timeout=LIMIT)\ndef facts(ticket: str) -> Facts:\n    return Facts(amount=1)"
    module = promoted(BEGIN, "LIMIT = 3", made.format("int"), step, made.format("str"), "LIMIT = 4")
    with pytest.raises(PromotionError) as caught:
        module.write(tmp_path / "triage.py")
    assert caught.value.problems == (
        "output.properties.amount.type: 'integer' here, 'string' in the module",
        "steps.facts.timeout: 3 here, 4 in the module",
    )
    cell(step)
    ak.promote(cell("triage")).write(tmp_path / "triage.py")


# from the command line ------------------------------------------------------------------------------------------------


def command(*arguments):
    program = Path(sys.executable).with_name("agentkit")
    return subprocess.run([program, "promote", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_writes_and_checks(tmp_path):
    """`--check` fails where the file is not what would be written now."""
    where, path = "agentkit.demo.pipeline:audit", tmp_path / "audit.py"
    assert command(where).stdout == ak.promote(audit).source
    assert command(where, "--out", path, "--check").returncode == 1
    assert command(where, "--out", path).returncode == 0
    assert command(where, "--out", path, "--check").returncode == 0
    path.write_text("x = 1\n")
    assert command(where, "--out", path, "--check").returncode == 1
    done = command(where, "--out", path)
    assert done.returncode == 2
    assert "agentkit did not write it" in done.stderr


def test_what_is_no_pipeline_is_refused():
    """The error says what to give."""
    with pytest.raises(ak.ConfigError, match="int cannot be promoted: give a pipeline or an agent"):
        ak.promote(3)
    with pytest.raises(ak.ConfigError, match="licences: runs, log and their options are for what an agent's runs"):
        ak.promote(audit, log="memory:")
