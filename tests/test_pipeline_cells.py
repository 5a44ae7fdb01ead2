"""A pipeline that is defined cell by cell in a real IPython shell, as a notebook does."""

import pytest

import agentkit as ak

BEGIN = """
import agentkit as ak
from pydantic import BaseModel
log = ak.open_log("memory:")
triage = ak.Pipeline("triage", input={"ticket": str})
"""
MODELS = """
class Facts(BaseModel):
    amount: float
    refund: bool = True
"""
FACTS = """
@triage.step
def facts(ticket: str) -> Facts:
    return Facts(amount=len(ticket))
"""
PAY = """
@triage.step
def pay(facts: Facts) -> str:
    assert isinstance(facts, Facts), type(facts)
    return f"paid {facts.amount:g}"
"""
RUN = "triage.run(ticket='broken', log=log).result(timeout=20)"


def test_cells_make_a_pipeline(cell):
    """Each step in a cell of its own, in any order: one that needs a later cell's step fits when that was executed."""
    cell(BEGIN)
    cell(MODELS)
    cell(PAY)
    assert cell("triage.problems") == ["pay: its parameter 'facts' is no input and no step (there are: ticket)"]
    cell(FACTS)
    assert cell("triage.problems") == []
    assert cell(RUN) == "paid 6"


def test_a_cell_executed_again_replaces_its_step_and_keeps_the_rest(cell):
    """The changed code runs, in the step's old place, and nothing is there twice."""
    for source in (BEGIN, MODELS, FACTS, PAY):
        cell(source)
    assert cell(RUN) == "paid 6"
    cell(FACTS.replace("len(ticket)", "100"))
    assert cell(RUN) == "paid 100"
    assert cell("triage.drafted()") == {"facts": ["ticket"], "pay": ["facts"]}
    assert cell("len(triage.run(ticket='', log=log).state.header.tools)") == 2


def test_a_class_executed_again_still_fits_what_was_defined_before(cell):
    """The new class has another identity and the same schema: both steps go on, each with the class it knows."""
    for source in (BEGIN, MODELS, FACTS, PAY, MODELS):
        cell(source)
    cell("old, new = triage.definition.steps['facts'].tool.return_type, Facts")
    assert cell("old is new") is False
    cell(FACTS)
    assert cell("triage.problems") == []
    cell(PAY.replace("assert isinstance(facts, Facts), type(facts)", ""))
    assert cell(RUN) == "paid 6"


def test_a_class_executed_again_with_other_fields_is_told_where_it_no_longer_fits(cell):
    """The step that was defined with the old class gives what the new one cannot be read from: its cell is named."""
    for source in (BEGIN, MODELS, FACTS, PAY):
        cell(source)
    cell(MODELS.replace("amount: float", "total: float"))
    cell(PAY.replace("facts.amount", "facts.total"))
    (said,) = cell("triage.problems")
    assert said.endswith("the step 'facts' gives: Facts has no field `total`, which Facts requires")
    cell(FACTS.replace("amount=", "total="))
    assert cell(RUN) == "paid 6"


def test_annotations_that_are_texts_are_read_in_the_cells_names(cell):
    """`from __future__ import annotations` holds for later cells too, and a step gets the class that its code sees."""
    cell("from __future__ import annotations" + BEGIN)
    for source in (MODELS, FACTS, PAY):
        cell(source)
    assert cell("facts.__annotations__") == {"ticket": "str", "return": "Facts"}
    assert cell(RUN) == "paid 6"
    cell(MODELS)
    cell(FACTS)
    assert cell(RUN) == "paid 6"


def test_a_step_that_got_another_name_leaves_the_old_one_to_be_removed(cell):
    """A cell whose function was renamed makes a second step; `remove` takes the first one out."""
    for source in (BEGIN, MODELS, FACTS, PAY, PAY.replace("def pay", "def payment")):
        cell(source)
    assert cell(RUN) == {"pay": "paid 6", "payment": "paid 6"}
    cell("triage.remove('pay')")
    assert cell(RUN) == "paid 6"


def test_a_pipeline_executed_again_begins_anew(cell):
    """The cell that makes the pipeline makes an empty one; it is the one that runs are resumed with."""
    for source in (BEGIN, MODELS, FACTS, PAY, BEGIN):
        cell(source)
    assert cell("triage.problems") == ["it has no steps; decorate functions with @pipeline.step"]
    cell("from agentkit import registry")
    assert cell("registry.defined('triage') is triage") is True


def test_a_run_goes_on_with_the_step_that_was_executed_again(cell):
    """A step that waits for a person runs as its cell is by then; the approval was for the old code: it asks again."""
    for source in (BEGIN, MODELS, FACTS, PAY.replace("@triage.step", "@triage.step(approve=True)")):
        cell(source)
    cell("run = triage.run(ticket='broken', log=log)")
    with pytest.raises(ak.RunPaused):
        cell("run.result(timeout=20)")
    cell(PAY.replace("@triage.step", "@triage.step(approve=True)").replace("paid", "PAID"))
    cell("run.approve()")
    with pytest.raises(ak.RunPaused):
        cell("run.result(timeout=20)")
    assert [asked.because for asked in cell("run.pending")] == ["changed"]
    cell("run.approve()")
    assert cell("run.result(timeout=20)") == "PAID 6"


def test_an_error_in_a_cell_leaves_the_pipeline_as_it_was(cell):
    """A cell that cannot be a step changes nothing: the step that was there runs."""
    for source in (BEGIN, MODELS, FACTS, PAY):
        cell(source)
    with pytest.raises(ak.ConfigError, match="facts: cache='x'; give True"):
        cell(FACTS.replace("@triage.step", "@triage.step(cache='x')"))
    assert cell(RUN) == "paid 6"
