"""The errors a run can end with, each with its exit code and the runbook section that helps."""

from pathlib import Path
from typing import ClassVar

EXIT_SUCCESS = 0
EXIT_UNEXPECTED = 1
EXIT_WARNINGS = 10
EXIT_INTERRUPTED = 130


class PipelineError(Exception):
    """A failure with a known cause. The text says what happened, where, and what to do next.

    The text never holds personal data: it may name a file, a line, a column or a setting, not a row's values.
    """

    exit_code: ClassVar[int] = EXIT_UNEXPECTED
    runbook: ClassVar[str] = "unexpected-error"
    meaning: ClassVar[str] = "An error the pipeline does not know"


class ConfigError(PipelineError):
    """A setting is unknown, missing or of the wrong type; nothing was read or written."""

    exit_code = 2
    runbook = "settings-wrong"
    meaning = "Bad configuration"


class ReferenceDataError(ConfigError):
    """A reference file is missing or of another shape; nothing was read or written."""

    runbook = "reference-unusable"
    meaning = "Reference unusable"


class InputError(PipelineError):
    """The input file is missing, empty or has the wrong columns; nothing was loaded."""

    exit_code = 3
    runbook = "input-unusable"
    meaning = "Bad input"


class WarehouseError(PipelineError):
    """The warehouse can't be opened or refused the work; batches committed before stay."""

    exit_code = 4
    runbook = "warehouse-unavailable"
    meaning = "Warehouse down"


class SchemaDriftError(WarehouseError):
    """A table of the warehouse is not as the schema declares it; nothing was loaded."""

    runbook = "schema-drift"
    meaning = "Tables not as declared"


class ThresholdError(PipelineError):
    """More rows were rejected than the settings allow; the batch in hand was not loaded."""

    exit_code = 5
    runbook = "too-many-rejects"
    meaning = "Stopped by a threshold"


class BusyError(PipelineError):
    """Another run on the same warehouse is under way; nothing was read or written."""

    exit_code = 6
    runbook = "two-runs-at-once"
    meaning = "Another run is under way"


class DiskError(PipelineError):
    """There is too little room for the run, or none is left; batches committed before stay."""

    exit_code = 7
    runbook = "disk-full"
    meaning = "Disk full"


ERROR_CLASSES: tuple[type[PipelineError], ...] = (
    ConfigError, ReferenceDataError, InputError, WarehouseError, SchemaDriftError, ThresholdError, BusyError, DiskError,
)  # fmt: skip
"""Every class that ends a run, in the order of their exit codes."""


def place_in_our_code(error: BaseException) -> str:
    """Return the last place of an error in our own code, such as `etl/transform.py:88`, or `start` when it has none.

    The text of a foreign error can quote a row, and so can the lines of its traceback; neither is kept anywhere.
    """
    place, trace = "start", error.__traceback__
    here = Path(__file__).parent
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(here):
            place = f"etl/{path.relative_to(here).as_posix()}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
