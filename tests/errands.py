"""Twenty errands, each for one tool of five, with the arguments that are right: what a small model can be asked."""

from typing import Literal

import agentkit as ak


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up one order by its number.

    Args:
        order_id: the order's number, for example A-1042
    """


@ak.tool
def refund(order_id: str, amount: float) -> dict:
    """Refund part of an order.

    Args:
        order_id: the order's number
        amount: in USD
    """


@ak.tool
def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> dict:
    """The weather of a city today.

    Args:
        city: the city's name
    """


@ak.tool
def convert_currency(amount: float, source: str, target: str) -> dict:
    """Convert an amount of money.

    Args:
        source: three letters, for example USD
        target: three letters, for example EUR
    """


@ak.tool
def send_email(to: str, subject: str, body: str) -> dict:
    """Send an e-mail.

    Args:
        to: the address
        subject: the subject
        body: the text
    """


TOOLS = [find_order, refund, get_weather, convert_currency, send_email]

ASKED = [
    ("Where is order A-1042?", "find_order", {"order_id": "A-1042"}),
    ("What is in order B-77?", "find_order", {"order_id": "B-77"}),
    ("Look up order K-17 please.", "find_order", {"order_id": "K-17"}),
    ("I want to see what became of order Z-900.", "find_order", {"order_id": "Z-900"}),
    ("Give the customer 25 dollars back for order A-12.", "refund", {"order_id": "A-12", "amount": 25}),
    ("Refund 9.99 USD of order C-5.", "refund", {"order_id": "C-5", "amount": 9.99}),
    ("Order Q-3 arrived broken, pay back 40 USD.", "refund", {"order_id": "Q-3", "amount": 40}),
    ("Is it raining in Oslo?", "get_weather", {"city": "Oslo"}),
    ("How warm is it in Madrid, in celsius?", "get_weather", {"city": "Madrid", "unit": "celsius"}),
    ("What's the weather in Boston in fahrenheit?", "get_weather", {"city": "Boston", "unit": "fahrenheit"}),
    ("Do I need an umbrella in London today?", "get_weather", {"city": "London"}),
    ("How cold is Helsinki?", "get_weather", {"city": "Helsinki"}),
    ("How much is 100 USD in EUR?", "convert_currency", {"amount": 100, "source": "USD", "target": "EUR"}),
    ("Convert 250 GBP to JPY.", "convert_currency", {"amount": 250, "source": "GBP", "target": "JPY"}),
    ("What are 12.5 CHF in USD?", "convert_currency", {"amount": 12.5, "source": "CHF", "target": "USD"}),
    ("Change 3000 JPY into USD.", "convert_currency", {"amount": 3000, "source": "JPY", "target": "USD"}),
    ("Change 7 EUR into CHF.", "convert_currency", {"amount": 7, "source": "EUR", "target": "CHF"}),
    ("Write to ann@example.org, subject Hello, text: See you soon.", "send_email", {"to": "ann@example.org"}),
    ("Mail bob@example.com with the subject Invoice: Please pay.", "send_email", {"to": "bob@example.com"}),
    ("Send an e-mail to joe@example.net that we are closed.", "send_email", {"to": "joe@example.net"}),
]
