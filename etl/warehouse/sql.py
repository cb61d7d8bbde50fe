"""The statements of a load: what an upsert does with staged rows, by dialect. A `?` marks a value."""

from etl.ddl import COMPARED, DATES, LOADED, STAGING
from etl.schema import KEY, TABLE, column


def update_different(dialect: str) -> str:
    """Return the statement that updates the rows which differ from the staged ones; two marks, both the time.

    Two statements instead of MERGE: on SQL Server MERGE can fail on keys that two sessions insert at once, not every server
    that speaks T-SQL has it, and the counts of each come for free.
    """
    sets = ", ".join(f"{name} = s.{name}" for name in COMPARED)
    dates = "processed_date = ?, modified_date = ?"
    if dialect == "sqlserver":  # IS DISTINCT FROM came with 2022; EXCEPT compares NULL as a value too
        ours, theirs = (", ".join(_exact(side, name) for name in COMPARED) for side in "ts")
        return (
            f"UPDATE t SET {sets}, {dates} FROM {TABLE} AS t INNER JOIN {STAGING} AS s ON t.{KEY} = s.{KEY} "
            f"WHERE EXISTS (SELECT {ours} EXCEPT SELECT {theirs})"
        )
    differ = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in COMPARED)
    return f"UPDATE {TABLE} AS t SET {sets}, {dates} FROM {STAGING} AS s WHERE t.{KEY} = s.{KEY} AND ({differ})"


def _exact(side: str, name: str) -> str:
    """Return a value that is compared sign by sign: the usual collations of SQL Server take `o'neil` and `O'Neil` for the same."""
    return f"{side}.{name} COLLATE Latin1_General_BIN2" if column(name).length else f"{side}.{name}"


def insert_new() -> str:
    """Return the statement that inserts the staged rows whose key is new; three marks, all the time."""
    return (
        f"INSERT INTO {TABLE} ({', '.join(LOADED + DATES)}) "
        f"SELECT {', '.join(f's.{name}' for name in LOADED)}, ?, ?, ? FROM {STAGING} AS s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {TABLE} AS t WHERE t.{KEY} = s.{KEY})"
    )


def insert(table: str, columns: tuple[str, ...]) -> str:
    """Return the statement that inserts one row, with a mark for each column."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
