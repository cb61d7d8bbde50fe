"""Batches as `etl.extract` yields them, without a file."""

from collections.abc import Sequence

import pandas as pd

from etl.rules import id_numbers
from etl.schema import INPUT_COLUMNS


def batch_of(rows: Sequence[dict[str, str]], misshapen: Sequence[bool] | None = None) -> pd.DataFrame:
    """Return a batch of these customers; lines are numbered from 2."""
    batch = pd.DataFrame([{name: row[name] for name in INPUT_COLUMNS} for row in rows], columns=list(INPUT_COLUMNS), dtype="str")
    numbers = id_numbers(batch["customer_id"])
    return batch.assign(
        _line=range(2, 2 + len(rows)),
        _raw=pd.Series([",".join(row.values()) for row in rows], dtype="str"),
        _misshapen=list(misshapen or [False] * len(rows)),
        _undecodable=False,
        _number=numbers,
        _repeated=numbers.duplicated() & (numbers > 0),
    )
