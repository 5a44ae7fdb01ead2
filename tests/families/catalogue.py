"""All families by name."""

from types import ModuleType

from families import (
    discounts,
    expenses,
    mirrors,
    parcels,
    pickups,
    refunds,
    reminders,
    restocks,
    returns,
    sensors,
    statements,
    tickets,
)

FAMILIES: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        *(parcels, refunds, statements, tickets, reminders, pickups),
        *(returns, discounts, sensors, mirrors, restocks, expenses),
    )
}
