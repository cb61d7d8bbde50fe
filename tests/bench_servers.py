"""Measures loading into PostgreSQL, as ratios within one run, on a server that it starts itself.

* Throughput against the shortest way there is: COPY into a temporary table, then INSERT ... ON CONFLICT DO UPDATE where something
  differs. Ours also looks for refused rows, counts new and updated rows apart and keeps a checkpoint. Both load 100,000 new rows,
  then the same with every second one changed.
* Throughput against the notebook's way: for each row SELECT COUNT(*), then UPDATE or INSERT, each its own transaction. It is
  measured on a fiftieth of the rows, and its time for all of them follows from that.

Started by `nox -s bench`.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pandas as pd
import psycopg
import pyarrow as pa
from pyarrow import csv

from etl.ddl import COMPARED, DATES, LOADED, create_table
from etl.schema import KEY, TABLE
from etl.warehouse import Checkpoint, open_warehouse
from etl.warehouse.base import loadable
from tests.customers import customer
from tests.postgres_server import Server, running
from tests.test_warehouse import enriched

ROWS, BATCH, BY_ROW, ROUNDS = 100_000, 25_000, 2_000, 3
LEAST_OF_BARE, LEAST_TIMES_ROW_BY_ROW = 0.5, 20.0
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def customers(changed: bool = False) -> pd.DataFrame:
    """Return the rows; every second one is another when `changed`."""
    return enriched(*(
        customer(number, email=f"c{number}@example.com", phone=f"0113 496 {number % 10_000:04}" if changed and number % 2 else "")
        for number in range(1, ROWS + 1)
    ))  # fmt: skip


def ours(server: Server, loads: list[pd.DataFrame]) -> float:
    """Return the seconds that the pipeline's way takes."""
    with open_warehouse(server.settings(server.new_database())) as warehouse:
        warehouse.prepare()
        begin = time.perf_counter()
        for frame in loads:
            for start in range(0, ROWS, BATCH):
                warehouse.load(frame.iloc[start : start + BATCH], NOW, lambda _: Checkpoint("run", "ab", 2, NOW, ""))
        return time.perf_counter() - begin


def bare(server: Server, loads: list[pd.DataFrame]) -> float:
    """Return the seconds of COPY and ON CONFLICT, in the same batches."""
    columns = ", ".join(LOADED)
    sets = ", ".join(f"{name} = excluded.{name}" for name in COMPARED)
    differ = " OR ".join(f"t.{name} IS DISTINCT FROM excluded.{name}" for name in COMPARED)
    statement = (
        f"INSERT INTO {TABLE} AS t ({columns}, {', '.join(DATES)}) SELECT {columns}, now(), now(), now() FROM staged "
        f"ON CONFLICT ({KEY}) DO UPDATE SET {sets}, modified_date = now() WHERE {differ}"
    )
    with server.connect(server.new_database()) as connection:
        connection.execute(create_table("postgresql"))
        connection.execute(f"CREATE TEMPORARY TABLE staged AS SELECT {columns} FROM {TABLE} WHERE false")
        begin = time.perf_counter()
        for frame in loads:
            for start in range(0, ROWS, BATCH):
                table = loadable(frame.iloc[start : start + BATCH])
                with connection.transaction():
                    copy_rows(connection, table)
                    connection.execute(statement)
                    connection.execute("TRUNCATE staged")
        return time.perf_counter() - begin


def copy_rows(connection: psycopg.Connection, rows: pa.Table) -> None:
    """Copy rows as CSV, which is the fastest that was found."""
    text = pa.BufferOutputStream()
    csv.write_csv(rows, text, csv.WriteOptions(include_header=False))
    with connection.cursor().copy(f"COPY staged ({', '.join(LOADED)}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(memoryview(text.getvalue()))


def row_by_row(server: Server, frame: pd.DataFrame) -> float:
    """Return the seconds that the notebook's way takes for all rows, from those of the first of them."""
    rows = [tuple(row.values()) for row in loadable(frame.iloc[:BY_ROW]).to_pylist()]
    marks = ", ".join(["%s"] * len(LOADED))
    with server.connect(server.new_database()) as connection:
        connection.execute(create_table("postgresql"))
        begin = time.perf_counter()
        for row in rows:
            found = connection.execute(f"SELECT COUNT(*) FROM {TABLE} WHERE {KEY} = %s", [row[0]]).fetchone()
            assert found == (0,)
            connection.execute(f"INSERT INTO {TABLE} ({', '.join(LOADED + DATES)}) VALUES ({marks}, now(), now(), now())", row)
        return (time.perf_counter() - begin) * ROWS / BY_ROW


def main() -> int:
    """Print the ratios; return 1 when one is beyond its limit."""
    os.environ["CI"] = "true"  # without a server nothing was measured, which is a failure here
    first, second = customers(), customers(changed=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, running(Path(folder), durable=True) as server:
        pairs = [(ours(server, [first, second]), bare(server, [first, second])) for _ in range(ROUNDS)]
        pairs_row = [(ours(server, [first]), row_by_row(server, first)) for _ in range(ROUNDS)]
    of_bare = statistics.median(other / mine for mine, other in pairs)
    times = statistics.median(other / mine for mine, other in pairs_row)
    figures = {
        "rows": ROWS, "ours, seconds": round(statistics.median(mine for mine, _ in pairs), 2),
        "COPY and ON CONFLICT, seconds": round(statistics.median(other for _, other in pairs), 2),
        "throughput, ours to COPY and ON CONFLICT": round(of_bare, 2), "at least": LEAST_OF_BARE,
        "throughput, ours to row by row": round(times, 1), "at least, row by row": LEAST_TIMES_ROW_BY_ROW,
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(of_bare < LEAST_OF_BARE or times < LEAST_TIMES_ROW_BY_ROW)


if __name__ == "__main__":
    raise SystemExit(main())
