"""What the generated code says, and where: one check of what a read gave back, doubts before the first write."""

import functools
import re

from families import (
    contacts,
    discounts,
    expenses,
    meetings,
    parcels,
    payouts,
    refunds,
    reminders,
    restocks,
    returns,
    tickets,
)
from families.harness import record
from families.solve import SOON

import agentkit as ak
from agentkit.testing import FunctionModel, call


@functools.cache
def promoted(family, runs=8):
    """A promotion of some runs of a family's agent."""
    log = ak.open_log("memory:")
    ids = record(family, [family.case(3000 + n, "training") for n in range(runs)], log, noise=0.2, seed=3)
    found = ak.promote(family.agent, runs=ids, log=log)
    log.close()
    return found


def before_the_agent(run):
    """The steps that a pipeline began before its agent took over, and why that did."""
    run.result(SOON)
    events = run.events()
    [at] = [place for place, event in enumerate(events) if event.type == "deopted"]
    return {event.step for event in events[:at] if event.step}, str(events[at])


def function(promotion, name):
    """One step's source."""
    found = re.search(rf"(?m)^(?:@.*\n)*def {name}\((?:.|\n)*?(?=\n\n\n|\Z)", promotion.source)
    assert found, promotion.source
    return found[0]


def test_the_docstring_says_what_it_does_and_where_it_comes_from():
    """The agent's own first sentence; how many runs; what becomes of an edit."""
    lines = promoted(restocks).source.splitlines()
    assert lines[0] == '"""Order one lot of whatever ran low.'
    assert "8 of 8 recorded runs of the agent restocks" in lines[2]


def test_what_a_read_gives_back_is_checked_there_and_nowhere_else():
    """An order's number is the one that was asked for: the step that reads it says so, and no other one has to."""
    promotion = promoted(refunds)
    assert 'ak.guard(found.order_id == order_id, "find_order gave another order_id")' in function(promotion, "order")
    assert "ak.agree" not in promotion.source
    assert "(order_id: str, ctx: ak.Context)" in function(promotion, "payments")  # it need not wait for the order


def test_a_write_takes_such_a_value_from_the_read_that_checked_it():
    """So it waits for the check."""
    assert "quote_id=quote.quote_id" in function(promoted(discounts), "grant_discount")


def test_a_read_that_gives_back_something_else_leads_to_no_write():
    """The guard is no ornament: another order's record stops the pipeline before it writes."""
    case = refunds.case(7, "held-out")
    order_id = case.input["order_id"]
    tables = case.world.tables
    tables["orders"][order_id] = tables["orders"][order_id].model_copy(update={"order_id": "A-99999"})
    steps, why = before_the_agent(
        promoted(refunds).load().run(**case.input, deps=case.world, log=ak.open_log("memory:"))
    )
    assert "find_order gave another order_id" in why
    assert not [step for step in steps if "/call/refund" in step]


def test_a_step_that_gives_the_whole_output_is_the_output():
    """No step that copies every field."""
    promotion = promoted(discounts)
    assert 'output="grant_discount"' in promotion.source
    assert "def result(" not in promotion.source


def test_what_was_the_same_in_all_runs_is_checked_before_the_ways_part():
    """Not at the end, when everything is written."""
    assert 'ak.guard(claim.contact["lang"] == "en"' in function(promoted(payouts), "way")
    assert "ak.guard" not in function(promoted(payouts), "result")


def test_a_doubt_about_a_later_write_is_settled_before_the_first_one():
    """Whether an address keeps its capitals no run shows: it is asked before anything is paid."""
    first, later = (function(promoted(payouts), name) for name in ("pay_card", "notify"))
    assert 'claim.contact["email"] == claim.contact["email"].lower(),' in first
    assert '"no run had capitals in email: whether they stay it does not say"' in first
    assert "ak.guard" not in later


def test_a_doubt_stops_the_pipeline_before_it_has_written_anything():
    """An address with capitals: the agent has both writes before it."""
    case = next(one for one in (payouts.case(n, "held-out") for n in range(50)) if one.way == "card")
    [claim] = case.world.tables["claims"].values()
    claim.contact["email"] = claim.contact["email"].upper()
    steps, why = before_the_agent(
        promoted(payouts).load().run(**case.input, deps=case.world, log=ak.open_log("memory:"))
    )
    assert "no run had capitals in email" in why
    assert not [step for step in steps if "/call/pay_card" in step]
    assert [write.tool for write in case.world.writes] == ["pay_card", "notify"]


def test_a_sum_of_nothing_is_not_paid():
    """No run had a report without receipts: what is done then nobody saw."""
    assert 'ak.guard(receipts, "receipts is empty, as in no run")' in function(promoted(expenses), "pay_back")


def test_a_status_that_no_run_had_stops_the_write():
    """A parcel that has arrived is not said to be delayed."""
    guard = 'ak.guard(parcel.status in ("at depot", "in transit"), "no run had this status", status=parcel.status)'
    assert guard in function(promoted(parcels), "send_notice")


def test_a_list_that_is_not_all_there_stops_the_write():
    """The book says how many contacts it has: a page of them is no book."""
    guard = 'ak.guard(book["data"]["total"] == len(book["data"]["items"]), '
    assert guard in function(promoted(contacts), "add_contacts")


def test_a_read_that_a_model_may_have_used_is_said_to_be_one():
    """Plain code uses nothing of it; what the model read nobody knows."""
    said = "a model made queue and reason and summary and may have read it"
    assert any(said in doubt for doubt in promoted(tickets).plan.doubts)


def test_an_amount_that_becomes_cents_has_whole_cents():
    """Rounding away half a cent is nothing that a run showed."""
    assert "ak.guard(round(claim.amount, 2) == claim.amount, " in function(promoted(payouts), "pay_card")


def test_what_a_model_chooses_out_of_a_list_is_in_it():
    """Several of them too: nothing that the list does not have is written."""
    taken = iter([["I-1", "I-3"], ["I-2"], [], ["I-1", "I-2", "I-3"], ["I-3", "I-1"]])

    @ak.tool
    def list_items(day: str) -> list[dict[str, str]]:
        """List what came in on a day. Returns each with its number.

        Args:
            day: the day, for example "2026-03-04".
        """
        return [{"item": f"I-{n}", "of": day} for n in (1, 2, 3)]

    @ak.tool(writes=True)
    def keep_items(numbers: list[str]) -> dict[str, int]:
        """Mark some items as kept. Returns how many there are now.

        Args:
            numbers: theirs, for example ["I-4821"].
        """
        return {"kept": len(numbers)}

    def turn(request):
        said = request.messages
        if len(said) == 1:
            return call("list_items", day=said[0].content)
        return call("keep_items", numbers=next(taken)) if len(said) == 3 else "done"

    agent = ak.Agent("keeper", FunctionModel(turn), "Keep what is good.", tools=[list_items, keep_items])
    log = ak.open_log("memory:")
    ids = []
    for day in range(1, 6):
        run = agent.run(f"2026-03-{day:02}", log=log)
        assert run.result(SOON) == "done"
        ids.append(run.run_id)
    asks = function(ak.promote(agent, runs=ids, log=log), "numbers")
    assert 'numbers_options = [item["item"] for item in items]' in asks
    assert 'ak.guard(all(one in numbers_options for one in answer), "numbers is none of those there are")' in asks


def test_prose_of_which_one_word_is_read_is_read_by_a_model_before_anything_is_written():
    """ "Do not return A-10428" has the order's number in it too: whether the text asks for it a model says."""
    promotion = promoted(returns)
    assert "ctx.ask" in function(promotion, "text_asks_for_it")
    assert 'ak.guard(text_asks_for_it, "the text does not clearly ask for this")' in function(promotion, "way")
    doubt = "plain code reads nothing of text but order_id: a model says whether it asks for this"
    assert doubt in promotion.plan.doubts
    assert f"- {doubt}." in promotion.source


def test_a_text_that_does_not_ask_for_it_leads_to_no_write():
    """Where the model says no the agent takes over, and reads it all."""
    case = next(one for one in (returns.case(n, "held-out", status="delivered") for n in range(9)))
    asked = []

    def no(request):
        asked.append(request.messages[-1].content)
        return "false"

    pipeline = promoted(returns).load(model=FunctionModel(no))
    steps, why = before_the_agent(pipeline.run(text=case.input, deps=case.world, log=ak.open_log("memory:")))
    assert len(asked) == 1
    assert case.input in str(asked[0])
    assert "the text does not clearly ask for this" in why
    assert not [step for step in steps if "/call/create_return" in step]


def test_texts_of_one_form_have_to_have_that_form():
    """What a machine wrote needs no model to read it: the words around what varies are always the same."""

    @ak.tool
    def find_order(order_id: str) -> dict[str, str]:
        """Look up one order by its number. Returns its status.

        Args:
            order_id: its number, for example "A-4821".
        """
        return {"status": "open"}

    @ak.tool(writes=True)
    def close_order(order_id: str) -> dict[str, str]:
        """Close one order for good. Returns its number.

        Args:
            order_id: its number, for example "A-4821".
        """
        return {"closed": order_id}

    def turn(request):
        said = request.messages
        order_id = said[0].content.split()[1].rstrip(":")
        return [call("find_order", order_id=order_id), call("close_order", order_id=order_id), "done"][len(said) // 2]

    agent = ak.Agent("closer", FunctionModel(turn), "Close the order.", tools=[find_order, close_order])
    log = ak.open_log("memory:")
    runs = [agent.run(f"Order A-10{n}: close it today.", log=log) for n in range(11, 16)]
    assert {run.result(SOON) for run in runs} == {"done"}
    promotion = ak.promote(agent, runs=[run.run_id for run in runs], log=log)
    guard = 'ak.guard(re.fullmatch(r"Order \\S+: close it today\\.", text), "text has another form than in all 5 runs")'
    assert guard in function(promotion, "close_order")
    assert "ctx.ask" not in promotion.source


def test_what_two_steps_need_is_found_once():
    """The amount that is paid and the amount that is said are one."""
    promotion = promoted(expenses)
    assert promotion.source.count("sum(") == 1
    assert "-> float:" in function(promotion, "amount")


def test_what_is_read_for_each_is_checked_for_each():
    """Each user is the one that was asked for."""
    assert "ak.guard(found.user_id == guest.user_id," in function(promoted(reminders), "users")


def test_things_have_the_names_that_a_person_gives_them():
    """Several receipts are each a receipt; what ran low is the low stock; a choice says what of it there has to be."""
    assert 'each=("receipt_id", "receipt_ids")' in function(promoted(expenses), "receipts")
    assert "sum(receipt.amount for receipt in receipts)" in promoted(expenses).source
    assert "def low_stock(" in promoted(restocks).source
    assert '"payments whose status is captured"' in promoted(refunds).source
    assert "[item[" in function(promoted(contacts), "contact_ids")


def test_the_smallest_is_found_once():
    """Not anew for each element; and times are compared as times: 10:00 is later than 9:00."""
    times = 'min(datetime.fromisoformat(found_meeting["starts"]) for found_meeting in found_meetings)'
    assert times in function(promoted(meetings), "move_meeting")


def test_a_model_is_told_what_each_value_is():
    """By the fields of the class that it fills in, in the tool's own words."""
    source = promoted(tickets).source
    assert 'reason: str = Field(description="why it belongs there, in one sentence.")' in source
    assert '"give": "queue and reason for route_ticket"' in source
