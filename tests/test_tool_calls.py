"""What the runner does around a tool's call."""

import pytest

import agentkit as ak
from agentkit.testing import ScriptedModel, call


def test_a_key_that_had_its_success_is_not_used_for_one_more_call(log):
    """The call after an unknown effect keeps the key, the one after that is another operation."""
    keys = []

    @ak.tool(writes=True)
    def pay(amount: int, ctx: ak.Context) -> dict:
        """Pay an amount of money out of the till, and return the receipt for it.

        Args:
            amount: how much to pay, in cents.
        """
        keys.append(ctx.idempotency_key)
        if len(keys) == 1:
            raise ConnectionError("no answer")
        return {"paid": amount}

    model = ScriptedModel([*(call("pay", amount=5) for _ in range(3)), "done"])
    run = ak.Agent("payer", model, "Pay.", tools=[pay]).run("pay", log=log)
    for _ in range(2):  # the first call's effect stays unknown, so each later one is asked about
        with pytest.raises(ak.RunPaused):
            run.result(10)
        run.approve()
    assert run.result(10) == "done"
    assert keys[0] == keys[1]
    assert keys[2] != keys[1]
