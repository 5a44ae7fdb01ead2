"""What people's SQL is told where a log does not run it, in the same words on every store."""

from collections.abc import Collection

from agentkit.errors import QueryError


def refused(statements: str, why: str) -> QueryError:
    """The error of a text that is not what `log.sql` runs.

    Args:
        statements: what it runs, for example "SELECT, WITH".
        why: what this one is instead.
    """
    return QueryError(f"log.sql runs one reading statement ({statements}); {why}")


def several(count: int) -> str:
    """Why a text without a statement, or with several, is refused."""
    return f"this text holds {count} statements"


def writing(kind: str) -> str:
    """Why a statement that does not only read is refused."""
    return f"{kind} is not one of them: the log is append-only, its views are read"


def check_parameters(wanted: Collection[str], given: Collection[str]) -> None:
    """See that each parameter has its value, and each value its parameter.

    Args:
        wanted: the names in the SQL; a number is one without a name.
        given: the names in the call.

    Raises:
        QueryError: they differ.
    """
    if any(name.isdigit() for name in wanted):
        raise QueryError("name the parameters: $run_id in the SQL and run_id=… in the call, not ? or $1")
    if missing := sorted(set(wanted) - set(given)):
        raise QueryError(f"no value for {', '.join('$' + name for name in missing)}; give {missing[0]}=… in the call")
    if unused := sorted(set(given) - set(wanted)):
        raise QueryError(f"the SQL has no ${', $'.join(unused)}; its parameters are {sorted(wanted) or 'none'}")
