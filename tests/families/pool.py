"""Where ids, names, amounts and days come from: two pools that share none, and look alike.

Numbers, cents and days of the one pool are even, of the other odd, so both have the same range: what a pipeline learns
of bounds in training has no reason to refuse what is held out.
"""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from families.case import Entities

T = TypeVar("T")

NAMES = (
    *("Ada Berg", "Ben Ortiz", "Chidi Eze", "Dana Roth", "Elif Kaya", "Femi Ade", "Gita Rao", "Hana Sato"),
    *("Ivo Marek", "Jun Park", "Kofi Mensah", "Lena Vogt", "Mina Farah", "Noor Aziz", "Olga Petrova", "Pia Lund"),
    *("Quinn Doyle", "Rosa Diaz", "Sven Dahl", "Tara Singh", "Umar Khan", "Vera Novak", "Wes Cole", "Xenia Popa"),
    *("Yara Haddad", "Zoe Martin", "Amir Levi", "Bea Costa", "Cyril Blanc", "Dora Nagy", "Emil Holm", "Faye Chen"),
)
WORDS = (
    *("amber", "birch", "cobalt", "delta", "ember", "fjord", "garnet", "harbour", "indigo", "jasper", "kestrel"),
    *("maple", "nimbus", "onyx", "prairie", "quartz", "rowan", "saffron", "tundra", "umbra", "velvet", "willow"),
    *("lumen", "zephyr"),
)


class Pool:
    """The things that one case is made of; nothing is given twice where it names something.

    Args:
        seed: which case it is.
        entities: from which of the two pools.
        family: keeps the families' cases apart.
    """

    def __init__(self, family: str, seed: int, entities: Entities) -> None:
        self.random = random.Random(f"{family} {entities} {seed}")
        self._odd = int(entities == "held_out")
        self._given: set[Any] = set()

    def number(self, low: int, high: int) -> int:
        """A number that this case has not used."""
        return self._fresh(lambda: self.random.randrange(low, high) // 2 * 2 + self._odd)

    def id(self, prefix: str, digits: int = 5) -> str:
        """An identifier such as "A-10428"."""
        return f"{prefix}{self.number(10 ** (digits - 1), 10**digits - 1)}"

    def name(self) -> str:
        """A person."""
        return self._fresh(lambda: self.random.choice(NAMES[self._odd :: 2]))

    def word(self) -> str:
        """A word that names something."""
        return self._fresh(lambda: self.random.choice(WORDS[self._odd :: 2]))

    def email(self, name: str) -> str:
        """A person's address."""
        return f"{name.lower().replace(' ', '.')}{self.number(10, 999)}@example.com"

    def amount(self, low: int, high: int) -> Decimal:
        """Money, two decimals."""
        return Decimal(self._fresh(lambda: self.random.randrange(low * 100, high * 100) // 2 * 2 + self._odd)) / 100

    def day(self) -> date:
        """A day in 2026."""
        return date(2026, 1, 1) + timedelta(days=self.random.randrange(0, 362) // 2 * 2 + self._odd)

    def chance(self, probability: float) -> bool:
        """Whether something that is so likely is the case."""
        return self.random.random() < probability

    def choice(self, among: Sequence[T]) -> T:
        """One of what both pools share: a status, a currency."""
        return self.random.choice(among)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The same in another order."""
        return self.random.sample(items, len(items))

    def _fresh(self, draw: Any) -> Any:
        while (value := draw()) in self._given:
            pass
        self._given.add(value)
        return value
