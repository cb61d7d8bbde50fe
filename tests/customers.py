"""Customer files for tests: made-up people, faults where a test wants them."""

import csv
from pathlib import Path

GOOD = {
    "customer_id": "1",
    "first_name": "Wrenna",
    "last_name": "Hollisk",
    "email": "wrenna@hollisk.example",
    "phone": "020 7946 0000",
    "postcode": "M1 1AF",
    "company": "",
    "status": "active",
}


def customer(number: int = 1, **changes: str) -> dict[str, str]:
    """Return a good customer with this id, and some fields changed."""
    return GOOD | {"customer_id": str(number)} | changes


def write_customers(path: Path, rows: list[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write a customer file with a header; columns are those of the first row, in its order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else list(GOOD), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
