"""Measures the pipeline on a million customers, as ratios within one run.

* Seconds against a bare load of the same file: one DuckDB statement that reads the CSV, joins the references, scores and
  fills the same 26 columns of the same table, with no rules counted, no quarantine, no audit, no checkpoint.
* Peak memory at a million rows against that at a tenth.

Each measurement is a process of its own; both ways take turns. Started by `nox -s bench`.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from generators.sample import main as make_sample

ROWS = 1_000_000
ROUNDS = 3
MOST_SECONDS, MOST_MEMORY = 3.0, 1.3
ROOT = Path(__file__).parent.parent

PIPELINE = """
import sys
from etl import config
from etl.pipeline import run
folder, file = sys.argv[1:]
loaded = config.load(overrides={"input.path": file, "quality.rejects_stop": "1", "runs.path": folder + "/runs",
                                "warehouse.path": folder + "/w.duckdb"})
begin()
record = run(loaded, quiet=True)
assert record.exit_code in (0, 10), record.fault
assert record.rows.read == record.rows.loaded + record.rows.quarantined
end(record.rows.loaded)
"""

BARE = """
import sys
import duckdb
from etl.ddl import create_table
folder, file = sys.argv[1:]
begin()
connection = duckdb.connect(folder + "/bare.duckdb")
connection.execute("SET enable_progress_bar = false")
connection.execute(create_table("duckdb"))
loaded = connection.execute('''
INSERT OR REPLACE INTO customer_enriched
WITH customers AS (
  SELECT try_cast(customer_id AS INTEGER) AS id, * EXCLUDE (customer_id) FROM read_csv(?, header = true, all_varchar = true,
    ignore_errors = true, strict_mode = false)
  WHERE id IS NOT NULL AND first_name <> '' AND last_name <> '' AND email LIKE '%_@_%' AND status <> ''
  QUALIFY row_number() OVER (PARTITION BY id) = 1)
SELECT id, first_name, last_name, lower(email), phone, upper(postcode), a.region, a.country, a.district,
  CAST(a.longitude AS DECIMAL(10,7)), CAST(a.latitude AS DECIMAL(10,7)), a.area IS NOT NULL, c.company, k.company_size,
  k.industry, k.annual_revenue, c.company IS NOT NULL, CASE WHEN lower(status) = 'suspended' THEN 'High' ELSE 'Low' END,
  CASE WHEN lower(status) = 'suspended' THEN 60 ELSE 0 END, 'standard profile', lower(status), now(), 'csv', 'complete',
  now(), now()
FROM customers c
LEFT JOIN 'data/reference/postcode_areas.csv' a ON a.area = regexp_extract(upper(postcode), '^([A-Z]{1,2})[0-9]', 1)
LEFT JOIN 'data/reference/companies.csv' k ON lower(k.company) = lower(c.company)
''', [file]).fetchall()[0][0]
connection.close()
end(loaded)
"""

FRAME = """
import json, os, sys, time
import psutil
def begin():
    global started
    started = time.perf_counter()
def end(rows):
    seconds = time.perf_counter() - started
    memory = psutil.Process().memory_info()
    peak = getattr(memory, "peak_wset", None)
    if peak is None:
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_mb": peak / 1e6}))
"""


def measure(way: str, file: Path) -> dict[str, float]:
    """Return seconds, loaded rows and peak memory of one way in a process of its own, imports apart."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", FRAME + way, folder, str(file)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


def main() -> int:
    """Print the figures; return 1 when a ratio is beyond its limit."""
    with tempfile.TemporaryDirectory() as folder:
        million, tenth = Path(folder) / "million.csv", Path(folder) / "tenth.csv"
        make_sample(["--rows", str(ROWS), "--out", str(million)])
        with million.open(encoding="utf-8", errors="surrogateescape") as file:
            lines = [next(file) for _ in range(ROWS // 10 + 1)]
        tenth.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
        pairs = [(measure(PIPELINE, million), measure(BARE, million)) for _ in range(ROUNDS)]
        small = [measure(PIPELINE, tenth) for _ in range(ROUNDS)]
    ratio = statistics.median(ours["seconds"] / bare["seconds"] for ours, bare in pairs)
    memory = statistics.median(one["peak_mb"] for one, _ in pairs) / statistics.median(one["peak_mb"] for one in small)
    figures = {
        "pipeline, seconds": round(statistics.median(ours["seconds"] for ours, _ in pairs), 2),
        "bare load, seconds": round(statistics.median(bare["seconds"] for _, bare in pairs), 2),
        "pipeline to bare load": round(ratio, 2), "limit": MOST_SECONDS,
        "rows a second": round(ROWS / statistics.median(ours["seconds"] for ours, _ in pairs)),
        "rows loaded": [pairs[0][0]["rows"], pairs[0][1]["rows"]],
        "peak MB": round(statistics.median(one["peak_mb"] for one, _ in pairs)),
        "peak memory, a million rows to a tenth": round(memory, 2), "limit of memory": MOST_MEMORY,
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(ratio > MOST_SECONDS or memory > MOST_MEMORY)


if __name__ == "__main__":
    raise SystemExit(main())
