"""What a pipeline's step says must hold: where it does not, the step deopts before it does something wrong.

Pure functions, for the lines of a step that read its inputs:

```python
item = ak.only([item for item in order["items"] if item["sku"] == sku])
ak.guard(item["price"] <= 500, "the runs never showed an item over 500 USD", price=item["price"])
amount = ak.agree(item["price"], order["total"] - order["shipping"])
```

What fails raises `ak.Deopt`: a pipeline with `deopt=agent` hands over to that agent, any other fails with that message.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeVar, cast

from agentkit.errors import Deopt
from agentkit.jsonvalue import as_json, canonical
from agentkit.text import brief

T = TypeVar("T")

_COUNTED = 1000
"""So many elements are counted: an endless iterable has to come to an end too."""


def guard(condition: object, message: str, **context: Any) -> None:  # the values a person wants to see
    """Go on where something holds, and nowhere else.

    Args:
        condition: what has to be true.
        message: what is wrong where it is not, in a person's words.
        context: values that help, JSON; they are recorded.

    Raises:
        Deopt: the condition is not true.

    Example:
        >>> guard(80.0 <= 500, "the runs never showed more than 500 USD")
        >>> guard(900.0 <= 500, "the runs never showed more than 500 USD", amount=900.0)
        Traceback (most recent call last):
        agentkit.errors.Deopt: the runs never showed more than 500 USD
    """
    if not condition:
        raise Deopt(message, **context)


def only(items: Iterable[T], message: str = "there has to be exactly one") -> T:
    """The one element that there is.

    Args:
        items: anything to iterate over.
        message: what is wrong where there are none or several; how many there are is added.

    Returns:
        The element.

    Raises:
        Deopt: there are none or several.

    Example:
        >>> only([item for item in ("cup", "lamp") if item.startswith("l")])
        'lamp'
        >>> only([], "no such item in the order")
        Traceback (most recent call last):
        agentkit.errors.Deopt: no such item in the order: there are none
    """
    rest = iter(items)
    first = list(islice(rest, 2))
    if len(first) == 1:
        return first[0]
    if not first:
        raise Deopt(f"{message}: there are none", found=0)
    found = sum(1 for _ in islice(rest, _COUNTED - 2)) + 2
    several = f"{_COUNTED} or more" if found == _COUNTED else str(found)
    shown = [brief(item) for item in first]
    raise Deopt(f"{message}: there are {several}, the first: {', '.join(shown)}", found=found, first=shown)


def agree(first: T, *others: T, message: str = "what has to be the same differs") -> T:
    """The value that several ways to it all give.

    They are compared as JSON: 1 is 1.0, and True is not 1.

    Args:
        first: what one way gave.
        others: what the others gave.
        message: what is wrong where they differ; the values are added, shortened.

    Returns:
        The first of them.

    Raises:
        Deopt: they are not all equal.
        EncodingError: one is nothing that JSON can hold.

    Example:
        >>> agree(80, 80.0)
        80
        >>> agree("A-1042", "A-1043", message="two order numbers")
        Traceback (most recent call last):
        agentkit.errors.Deopt: two order numbers: 'A-1042', 'A-1043'
    """
    values = (first, *others)
    if len({_comparable(value) for value in values}) > 1:
        shown = [brief(value) for value in values]
        raise Deopt(f"{message}: {', '.join(shown)}", values=shown)
    return first


def _comparable(value: object) -> bytes:
    """The same bytes for values that are equal as JSON."""
    return canonical(_whole(as_json(value, "a value of agree()")))


def _whole(value: Any) -> Any:  # JSON
    """JSON whose numbers are written one way: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
