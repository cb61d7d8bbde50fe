"""The warehouse: one small interface, a module for each kind of server behind it."""

import importlib

from etl.errors import WarehouseError
from etl.settings import WarehouseSettings
from etl.warehouse.base import AuditRow, Checkpoint, Health, Loaded, UpsertCounts, Warehouse
from etl.warehouse.embedded import DuckDBWarehouse

__all__ = ["AuditRow", "Checkpoint", "DuckDBWarehouse", "Health", "Loaded", "UpsertCounts", "Warehouse", "open_warehouse"]


def open_warehouse(settings: WarehouseSettings) -> Warehouse:
    """Open the warehouse that the settings name; raises WarehouseError when it can't be had."""
    if settings.kind == "duckdb":
        return DuckDBWarehouse(settings)
    module, kind, extra = _SERVERS[settings.kind]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise WarehouseError(
            f"warehouse.kind {settings.kind}: {error.name} is not installed. Install it: pip install 'handover[{extra}]'"
        ) from None
    opened: Warehouse = getattr(found, kind)(settings)
    return opened


_SERVERS = {
    "postgresql": ("etl.warehouse.postgresql", "PostgreSQLWarehouse", "postgresql"),
    "sqlserver": ("etl.warehouse.sqlserver", "SQLServerWarehouse", "sqlserver"),
}
