"""All families by name: those that were there before the code that promotes, and those that were written after it."""

from types import ModuleType

from families import (
    contacts,
    discounts,
    expenses,
    meetings,
    mirrors,
    parcels,
    payouts,
    pickups,
    refunds,
    reminders,
    restocks,
    returns,
    sensors,
    statements,
    tickets,
)

EARLY: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        *(parcels, refunds, statements, tickets, reminders, pickups),
        *(returns, discounts, sensors, mirrors, restocks, expenses),
    )
}

LATE: dict[str, ModuleType] = {"payouts": payouts, "contacts": contacts, "meetings": meetings}
"""Nobody who wrote the code that promotes had these to look at: what they say is not what was worked towards."""

FAMILIES = EARLY | LATE
