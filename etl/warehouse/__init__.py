"""The warehouse: one small interface, a module for each kind of server behind it."""

from etl.settings import WarehouseSettings
from etl.warehouse.base import AuditRow, Checkpoint, Health, Loaded, UpsertCounts, Warehouse
from etl.warehouse.embedded import DuckDBWarehouse

__all__ = ["AuditRow", "Checkpoint", "DuckDBWarehouse", "Health", "Loaded", "UpsertCounts", "Warehouse", "open_warehouse"]


def open_warehouse(settings: WarehouseSettings) -> Warehouse:
    """Open the warehouse that the settings name; raises WarehouseError when it can't be had."""
    return DuckDBWarehouse(settings)
