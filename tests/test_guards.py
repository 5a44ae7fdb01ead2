"""Guards: what holds passes, what does not is a Deopt that says what was met."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentkit as ak

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


def same(left, right):
    """Equality as JSON has it, written another way than the code does: Python's, but for what a bool is."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.parametrize("condition", [False, None, [], 0, ""])
def test_a_guard_stops_what_does_not_hold(condition):
    """Whatever is falsy raises, with the message and the values that help."""
    with pytest.raises(ak.Deopt, match="over the limit") as raised:
        ak.guard(condition, "over the limit", amount=900)
    assert (raised.value.message, raised.value.context) == ("over the limit", {"amount": 900})


def test_a_guard_lets_pass_what_holds():
    """What is true goes on."""
    assert ak.guard([0], "never") is None


def test_only_gives_the_one_element():
    """One element, None included, comes back; a generator is as good as a list."""
    assert ak.only(x for x in [None]) is None
    assert ak.only({"a": 1}) == "a"


@pytest.mark.parametrize(
    ("items", "said", "found"), [([], "there are none", 0), ("xyz", "there are 3, the first: 'x', 'y'", 3)]
)
def test_only_says_how_many_there_are(items, said, found):
    """None and several are a Deopt that says how many, and shows the first ones."""
    with pytest.raises(ak.Deopt) as raised:
        ak.only(items, "no single match")
    assert str(raised.value) == f"no single match: {said}"
    assert raised.value.context["found"] == found


def test_only_comes_to_an_end():
    """An endless iterable is several."""
    with pytest.raises(ak.Deopt, match="there are 1000 or more"):
        ak.only(itertools.count())


def test_agree_gives_the_value_that_all_have():
    """One value agrees with itself; numbers are numbers, also deep inside."""
    assert ak.agree("a") == "a"
    assert ak.agree({"a": [1, 2.0]}, {"a": [1.0, 2]}) == {"a": [1, 2.0]}


@pytest.mark.parametrize("values", [(True, 1), (False, 0), ("1", 1), (None, 0), ([1, 2], [2, 1]), ([True], [1])])
def test_agree_shows_what_differs(values):
    """Values that JSON tells apart are a Deopt that shows them."""
    with pytest.raises(ak.Deopt) as raised:
        ak.agree(*values, message="two sources")
    assert str(raised.value) == f"two sources: {', '.join(map(repr, values))}"


@given(JSON, JSON)
def test_agree_is_the_equality_of_json(left, right):
    """Two values agree where they are equal as JSON, and nowhere else."""
    try:
        ak.agree(left, right)
    except ak.Deopt:
        assert not same(left, right)
    else:
        assert same(left, right)


def test_a_long_value_is_shortened():
    """A Deopt's message stays readable, whatever differs."""
    with pytest.raises(ak.Deopt) as raised:
        ak.agree("x" * 10_000, "y" * 10_000)
    assert len(str(raised.value)) < 300
