"""All families by name."""

from types import ModuleType

from families import (
    discounts,
    parcels,
    pickups,
    refunds,
    reminders,
    returns,
    sensors,
    statements,
    tickets,
)

FAMILIES: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (parcels, refunds, statements, tickets, reminders, pickups, returns, discounts, sensors)
}
