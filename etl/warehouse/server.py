"""What warehouses on a server have in common, whichever driver speaks to them: one connection, lost and made again."""

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from etl.ddl import STAGING, create_database, create_staging, permanent
from etl.errors import BusyError, WarehouseError
from etl.log import logger
from etl.settings import WarehouseSettings
from etl.warehouse import sql
from etl.warehouse.base import Transient, Warehouse, naive


class ServerWarehouse(Warehouse):
    """A database on a server, spoken to by a driver of Python's DB-API. The server holds the lock and frees it with the session."""

    def __init__(self, settings: WarehouseSettings) -> None:
        """Connect, sign in and take the lock; raises BusyError when a run holds it, WarehouseError when the server can't be had."""
        super().__init__(settings)
        if not settings.host:
            raise WarehouseError("warehouse.host: not set, so there is no server to connect to. Set it in config/.")
        try:
            self._connect_and_lock()
        except Transient as error:
            raise self.unreachable(str(error)) from None

    def _connect_and_lock(self) -> None:
        try:
            self._connection = self._connect_or_create()
        except self.driver_error as error:
            kind = self.classify(error)
            raise (Transient(self.name_of(error)) if kind is Transient else self.unreachable(self.name_of(error))) from None
        with self.guarded():
            got = self.take_lock()
        if not got:
            self._connection.close()
            logger().error("lock refused", seconds=self.settings.lock_timeout)
            raise BusyError(f"{self.place}: another run is under way. Wait until it has ended, or stop it.")

    def _connect_or_create(self) -> Any:
        try:
            return self.connect(self.settings.database)
        except self.driver_error as error:
            if not self.is_absent(error) or not self._created():
                raise
        return self.connect(self.settings.database)

    def _created(self) -> bool:
        try:
            return self.create_database()
        except self.driver_error as error:
            raise WarehouseError(
                f"{self.place}: there is no such database, or this account may not open it, and it may not create one "
                f"({self.name_of(error)}). Ask the server's owner: {create_database(self.settings.database, self.dialect)}"
            ) from None

    def unreachable(self, name: str) -> WarehouseError:
        """Return the error that says why there is no connection."""
        return WarehouseError(
            f"{self.place}: no connection ({name}). Is the server up, its name right, and the sign-in valid? See the runbook."
        )

    @property
    def place(self) -> str:
        """Host, port and database."""
        port = f":{self.settings.port}" if self.settings.port else ""
        return f"{self.settings.host}{port}/{self.settings.database}"

    @abstractmethod
    def connect(self, database: str) -> Any:
        """Return a new connection to a database of the server, which commits by itself outside of `transaction`."""

    @abstractmethod
    def is_absent(self, error: Exception) -> bool:
        """Tell whether an error of connecting may say that the database is not there."""

    @abstractmethod
    def create_database(self) -> bool:
        """Create the database unless it is there; return whether it was created. Raises what the driver raises."""

    @abstractmethod
    def take_lock(self) -> bool:
        """Take the lock of the target for this session; return False when another one holds it after the time that is waited."""

    @abstractmethod
    def free_lock(self) -> None:
        """Let go of the lock. Raises what the driver raises."""

    @abstractmethod
    def stage(self, rows: pa.Table) -> None:
        """Put the rows into the staging table, which is empty."""

    @abstractmethod
    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Execute a statement and return how many rows it changed."""

    def reconnect(self) -> None:
        """Connect again when the connection was lost, and take the lock again."""
        with contextlib.suppress(self.driver_error):
            self.execute("SELECT 1")
            return
        with contextlib.suppress(self.driver_error):
            self._connection.close()
        self._connect_and_lock()
        self.create_staging()

    def close(self) -> None:
        """Let go of the lock and close the connection. A server frees the lock of a session by itself, but only after a while."""
        with contextlib.suppress(self.driver_error):
            self.free_lock()
        with contextlib.suppress(self.driver_error):
            self._connection.close()

    def create_missing(self) -> None:
        """Create the tables that are missing with their indexes, and the session's staging table where it has one."""
        super().create_missing()
        self.create_staging()

    def create_staging(self) -> None:
        """Create the staging table of the session; a permanent one is among the tables."""
        if STAGING not in permanent(self.dialect):
            self.execute(create_staging(self.dialect))

    def upsert_staged(self, rows: pa.Table, now: datetime) -> tuple[int, int]:
        """Stage, insert what is new, update what differs, and leave nothing in staging."""
        self.stage(rows)
        times = [naive(now)]
        inserted = self.change(sql.insert_new(), times * 3)
        updated = self.change(sql.update_different(self.dialect), times * 2) if inserted < len(rows) else 0
        self.change(f"DELETE FROM {STAGING}", [])
        return inserted, updated
