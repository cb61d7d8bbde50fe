"""The cache: answers of live services, kept in a file of SQLite for the runs that follow.

It saves calls and is never needed: when its file is damaged it is set aside and begun anew, when it can't be used the run
goes on without it. It holds postcodes and names of companies, so only its owner may read it.
"""

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from etl.log import logger

_TABLE = """
    CREATE TABLE IF NOT EXISTS answer (
        service TEXT NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL, fetched REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (service, key)
    ) WITHOUT ROWID
"""
_AT_ONCE = 500
"""Keys asked for in one statement; older builds of SQLite take 999."""

_PATIENCE = 10
"""Seconds to wait while another run writes."""

Answer = Mapping[str, str | float | int | None] | None
"""What a service said of a key: values by column, or None when it does not know the key."""
T = TypeVar("T")


class _DamageError(Exception):
    """An answer is not what was put in."""


class AnswerCache:
    """Answers by service and key. `age`: hours after which an answer is asked for again. Close it after use."""

    def __init__(self, path: Path, age: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Take the file, which need not be there, the age in hours, and what tells the time in UTC."""
        self._path, self._age, self._now = path, age * 3600, now
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        self._usable = True
        self._lock = threading.Lock()

    def get(self, service: str, keys: Sequence[str]) -> dict[str, Answer]:
        """Return the answers that are kept for these keys and not too old."""

        def read(connection: sqlite3.Connection) -> dict[str, Answer]:
            found: dict[str, Answer] = {}
            for part in parts(keys, _AT_ONCE):
                rows = connection.execute(_query(len(part)), (service, *part))
                found |= {key: _checked(service, key, *row) for key, *row in rows if self._fresh(row[1])}
            return found

        return self._use(read, {})

    def put(self, service: str, answers: Mapping[str, Answer]) -> None:
        """Keep these answers from now on, all or none."""
        fetched = self._now().timestamp()
        texts = {key: json.dumps(answer, ensure_ascii=False) for key, answer in answers.items()}
        rows = [(service, key, text, fetched, _checksum(service, key, text, fetched)) for key, text in texts.items()]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?)", rows)

        if rows:
            self._use(write, None)

    def close(self) -> None:
        """Close the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _fresh(self, fetched: object) -> bool:
        return isinstance(fetched, float) and 0 <= self._now().timestamp() - fetched < self._age

    def _use(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do the work; a damaged file is set aside and the work done once more. Whatever goes wrong, the run goes on."""
        with self._lock:
            for _ in range(2):
                if not self._usable:
                    break
                try:
                    return work(self._open())
                except (sqlite3.Error, _DamageError, OSError, UnicodeDecodeError) as error:
                    self._recover(error)
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._path.chmod(0o600)
            self._file = self._path.stat().st_ino
            self._connection = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
            with self._connection as connection:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute(_TABLE)
                connection.execute("DELETE FROM answer WHERE fetched <= ?", (self._now().timestamp() - self._age,))
        return self._connection

    def _recover(self, error: Exception) -> None:
        self.close()
        try:
            if _is_damage(error):
                self._set_aside()
                logger().warning("cache set aside", file=self._path.name, error=_name(error))
                return
        except OSError as second:
            error = second
        self._usable = False
        logger().warning("cache not used", file=self._path.name, error=_name(error))

    def _set_aside(self) -> None:
        """Move the damaged file away with what belongs to it, so that nothing of it is replayed into the new one."""
        if self._path.stat().st_ino != self._file:
            return  # another run has begun a new one
        self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        for ending in ("-journal", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)


def parts(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the keys in parts of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _checksum(service: str, key: str, text: str, fetched: float) -> int:
    return zlib.crc32(repr((service, key, text, fetched)).encode())  # damaged values may be of any type


def _checked(service: str, key: str, text: str, fetched: float, checksum: int) -> Answer:
    if _checksum(service, key, text, fetched) != checksum:
        raise _DamageError
    answer: Answer = json.loads(text)
    return answer


def _query(keys: int) -> str:
    return f"SELECT key, answer, fetched, checksum FROM answer WHERE service = ? AND key IN ({', '.join('?' * keys)})"


def _is_damage(error: Exception) -> bool:
    """Tell whether the file is not what was written. Text that is no UTF-8 has no code; statements are fixed, so an error
    in one means that the table is another."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return isinstance(error, _DamageError | UnicodeDecodeError)


def _name(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", type(error).__name__))
