"""Generated code that a person edited is generated anew: the edits stay, or it is said what conflicts."""

import pytest

from agentkit.promote.merging import merge

BASE = '''"""Pays.

Made by agentkit from 8 recorded runs of 9.
"""

from typing import Any

import shop

LIMIT = 50  # the same in all 8 runs


def order(order_id: str) -> Any:
    return shop.find(order_id)


def pay(order: Any) -> None:
    # 8 runs do not tell these apart
    shop.pay(order, LIMIT)
'''


def test_what_nobody_edited_is_what_is_generated_now():
    """The new text, letter by letter."""
    ours = BASE.replace("shop.find", "shop.find_one").replace("import shop", "import shop\nimport re")
    assert merge(BASE, BASE, ours).text == ours


def test_another_layout_is_no_edit():
    """A person's formatter does not make every block theirs."""
    theirs = BASE.replace("shop.pay(order, LIMIT)", "shop.pay(\n        order,\n        LIMIT,\n    )")
    ours = BASE.replace("pay(order, LIMIT)", "pay(order, 2 * LIMIT)")
    assert merge(BASE, theirs, ours).text == ours


def test_an_edited_block_stays_and_the_others_are_replaced():
    """A function of theirs, an import, a block of their own behind the one it stood behind, and a new one of ours."""
    theirs = BASE.replace("return shop.find(order_id)", "return shop.find(order_id.strip())  # they come with spaces")
    theirs = theirs.replace("\n\ndef pay", "\n\ndef audit() -> None:\n    re.compile('x')\n\n\ndef pay")
    theirs = theirs.replace("import shop\n", "import re\n\nimport shop\n")
    ours = BASE.replace("shop.pay(order, LIMIT)", "shop.pay_back(order, LIMIT)") + "\n\ndef result() -> None: ...\n"
    merged = merge(BASE, theirs, ours)
    assert merged.kept == ("the function order", "the function audit")
    assert not merged.conflicts
    names = [line for line in merged.text.splitlines() if line.startswith(("def", "import", "from"))]
    assert names == [
        "import re",
        "from typing import Any",
        "import shop",
        "def order(order_id: str) -> Any:",
        "def audit() -> None:",
        "def pay(order: Any) -> None:",
        "def result() -> None: ...",
    ]
    assert "strip())  # they come with spaces" in merged.text
    assert "shop.pay_back" in merged.text
    compile(merged.text, "merged", "exec")


def test_more_runs_are_no_other_code():
    """How many runs showed it changes each time: that alone is no reason to ask a person about their edit."""
    theirs = BASE.replace("LIMIT = 50", "LIMIT = 60").replace("shop.pay(order", "shop.pay(order.id")
    ours = BASE.replace("8 runs", "9 runs").replace("8 recorded runs of 9", "9 recorded runs of 11")
    merged = merge(BASE, theirs, ours)
    assert not merged.conflicts
    assert "LIMIT = 60  # the same in all 8 runs" in merged.text
    assert "9 recorded runs of 11" in merged.text


def test_a_block_that_both_changed_is_said_with_both_versions():
    """Nobody can know which is right: a person sees what the file has and what the runs give."""
    theirs = BASE.replace("shop.find(order_id)", "shop.find(order_id.strip())")
    ours = BASE.replace("shop.find(order_id)", "shop.find_one(order_id)")
    (conflict,) = merge(BASE, theirs, ours).conflicts
    assert conflict.startswith("the function order: the file has:")
    assert "order_id.strip()" in conflict
    assert "shop.find_one(order_id)" in conflict


@pytest.mark.parametrize("gone", ["theirs", "ours"])
def test_a_block_that_one_took_out_and_the_other_changed_conflicts(gone):
    """It is neither brought back nor thrown away unasked; where the other left it alone it goes."""
    shorter = BASE[: BASE.index("def pay")].rstrip() + "\n"
    changed = BASE.replace("shop.pay(order, LIMIT)", "shop.pay_back(order, LIMIT)")
    pair = (shorter, changed) if gone == "theirs" else (changed, shorter)
    (conflict,) = merge(BASE, *pair).conflicts
    assert ("it was taken out of the file" if gone == "theirs" else "the runs need it no more") in conflict
    left = (shorter, BASE) if gone == "theirs" else (BASE, shorter)
    assert "def pay" not in merge(BASE, *left).text


def test_a_docstring_of_a_persons_stays():
    """The words of a person about the module are better than generated ones, and are no conflict."""
    theirs = BASE.replace('"""Pays.\n', '"""Pays what is due; ask Ann before changing it.\n')
    ours = BASE.replace("recorded runs of 9.", "recorded runs of 9.\n\n- 2 of 8 runs also called rules.")
    merged = merge(BASE, theirs, ours)
    assert (merged.kept, merged.conflicts) == (("the docstring",), ())
    assert "ask Ann" in merged.text
    assert "also called rules" not in merged.text


def test_a_file_that_is_no_python_is_refused():
    """What cannot be read cannot be merged."""
    with pytest.raises(SyntaxError):
        merge(BASE, "def (", BASE + "\nLIMIT_2 = 3\n")
