"""A server on this machine with the interfaces of the postcode service and the company register, and faults on demand.

Tests start it in a thread. By hand, for rehearsals: `python tests/service_server.py --port 8765 --fault throttled`, then
`python -m etl run --set services.postcodes_url=http://127.0.0.1:8765`.
"""

import argparse
import base64
import csv
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

DATA = Path(__file__).parent.parent / "data" / "reference"
HUGE = 60_000_000
FAULTS = (
    "slow", "drop", "throttled", "unavailable", "denied", "moved", "broken", "half", "types", "huge", "shuffled", "gap", "mixed up",
)  # fmt: skip
"""How an answer can go wrong. `shuffled` is no fault: order was never promised."""


def _table(name: str, key: str) -> dict[str, dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Request:
    """A request as it arrived, and what became of it: `ok` or the fault."""

    method: str
    path: str
    keys: tuple[str, ...]
    body: bytes
    headers: dict[str, str]
    outcome: str


@dataclass
class Behaviour:
    """What the server does. `faults` are used up, one a request; then `always` holds until it is None again."""

    faults: deque[str] = field(default_factory=deque)
    always: str | None = None
    retry_after: str = "7"
    patience: float | None = None
    """Seconds a slow answer takes; None waits until the server is released."""
    key: str = ""
    unknown: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    companies: list[dict[str, Any]] = field(default_factory=list)
    """What a search finds besides the companies of the reference."""


class ServiceServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1; port 0 takes a free one. As a context it serves in a thread."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behaviour = Behaviour()
        self.log: list[Request] = []
        self.bytes_sent = 0
        self.released = threading.Event()
        self.places = _table("postcode_areas.csv", "area")
        self.companies = _table("companies.csv", "company")
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def fail(self, *faults: str) -> None:
        """Answer the next requests with these faults, or well (`ok`)."""
        assert set(faults) <= {"ok", *FAULTS}
        self.behaviour.faults.extend(faults)

    def outcomes(self) -> dict[str, int]:
        """Return how many requests arrived, by what became of them."""
        found = [request.outcome for request in self.log]
        return {outcome: found.count(outcome) for outcome in sorted(set(found))}

    def note(self, request: Callable[[str], Request]) -> str:
        """Log a request and return what becomes of it."""
        with self._lock:
            queue = self.behaviour.faults
            outcome = queue.popleft() if queue else self.behaviour.always or "ok"
            self.log.append(request(outcome))
        return outcome

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""

    def place_of(self, postcode: str) -> dict[str, Any] | None:
        """Return the place of a postcode. It differs from the embedded reference, so that one can tell them apart."""
        area = "".join(sign for sign in postcode[:2] if sign.isalpha())
        row = self.places.get(area)
        if row is None or postcode in self.behaviour.unknown | self.behaviour.withdrawn or postcode.endswith("9ZZ"):
            return None
        crown = row["country"] in ("Guernsey", "Jersey", "Isle of Man")
        return {
            "postcode": postcode, "quality": 1, "eastings": 1, "northings": 1, "outcode": postcode[:-4], "incode": postcode[-3:],
            "country": row["country"], "region": row["region"] or None, "codes": {"admin_district": "E00000001"},
            "admin_district": None if crown else f"{row['district']} Central",
            "longitude": None if crown else float(row["longitude"]) + 0.001234567891,
            "latitude": None if crown else float(row["latitude"]) + 0.001234567891,
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ServiceServer

    def log_message(self, *_: object) -> None:
        """The server keeps its own log."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            wanted = json.loads(body)["postcodes"]
        except (ValueError, KeyError, TypeError):
            wanted = None
        if urlsplit(self.path).path != "/postcodes":
            self._serve((), body, 404, {"status": 404, "error": "Resource not found"})
        elif not isinstance(wanted, list):
            self._serve((), body, 400, {"status": 400, "error": "Invalid data posted"})
        elif len(wanted) > 100:
            self._serve(tuple(wanted), body, 400, {"status": 400, "error": "Bulk lookup is limited to 100 postcodes"})
        else:
            found = [{"query": one, "result": self.server.place_of(one)} for one in wanted]
            self._serve(tuple(wanted), body, 200, {"status": 200, "result": found})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/search/companies":
            self._search(parse_qs(parts.query).get("q", [""])[0])
        elif parts.path.startswith("/postcodes/"):
            self._single(unquote(parts.path.removeprefix("/postcodes/")))
        else:
            self._serve((), b"", 404, {"status": 404, "error": "Resource not found"})

    def _single(self, postcode: str) -> None:
        place = self.server.place_of(postcode)
        if place:
            return self._serve((postcode,), b"", 200, {"status": 200, "result": place})
        answer: dict[str, Any] = {"status": 404, "error": "Postcode not found"}
        if postcode in self.server.behaviour.withdrawn:
            answer["terminated"] = {
                "postcode": postcode, "year_terminated": 1999, "month_terminated": 6, "longitude": -1.5, "latitude": 53.5,
            }  # fmt: skip
        return self._serve((postcode,), b"", 404, answer)

    def _search(self, name: str) -> None:
        behaviour = self.server.behaviour
        wanted = "Basic " + base64.b64encode(f"{behaviour.key}:".encode()).decode()
        if behaviour.key and self.headers.get("authorization") != wanted:
            return self._serve((name,), b"", 401, {"error": "Invalid Authorization", "type": "ch:service"})
        listed = [
            {"title": title.upper(), "company_status": "active", "date_of_creation": f"{row['founded']}-04-01", "kind": "s"}
            for title, row in self.server.companies.items()
        ]
        found = [one for one in (*behaviour.companies, *listed) if name.split()[0].lower() in one["title"].lower()]
        return self._serve((name,), b"", 200, {"items": found, "total_results": len(found), "kind": "search#companies"})

    def _serve(self, keys: tuple[str, ...], body: bytes, status: int, answer: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        outcome = self.server.note(lambda became: Request(self.command, self.path, keys, body, headers, became))
        with suppress(ConnectionError):
            self._send(outcome, status, answer)

    def _send(self, outcome: str, status: int, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        if outcome == "slow":
            self.server.released.wait(self.server.behaviour.patience)
        if outcome == "drop":
            self._hang_up()
        elif outcome in ("throttled", "unavailable", "denied", "moved"):
            number = {"throttled": 429, "unavailable": 500, "denied": 403, "moved": 302}[outcome]
            self._write(number, b'{"error": "as told"}', number)
        elif outcome == "half":
            self._write(status, text[: len(text) // 2], status, len(text))
            self._hang_up()
        elif outcome == "huge":
            self._flood()
        else:
            self._write(status, _changed(outcome, answer, text), status)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _write(self, status: int, text: bytes, number: int, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text) if length is None else length))
        if number == 429:
            self.send_header("retry-after", self.server.behaviour.retry_after)
        if number == 302:
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()

    def _flood(self) -> None:
        self.close_connection = True
        self._write(200, b"", 200, HUGE)
        for _ in range(HUGE // 100_000):
            self.wfile.write(b" " * 100_000)
            self.server.bytes_sent += 100_000


def _changed(outcome: str, answer: dict[str, Any], text: bytes) -> bytes:
    """Return the answer's text with what the fault does to it."""
    found = answer.get("result")
    if outcome == "broken":
        return text[:-2] + b",,"
    if outcome == "types":
        return text.replace(b'"result": ', b'"result": "none", "was": ').replace(b'"items": ', b'"items": 3, "was": ')
    if outcome == "shuffled" and isinstance(found, list):
        return json.dumps(answer | {"result": found[::-1]}).encode()
    if outcome == "gap" and isinstance(found, list):
        return json.dumps(answer | {"result": found[1:]}).encode()
    if outcome == "mixed up" and isinstance(found, list):
        places = [one["result"] for one in found]
        swapped = [one | {"result": place} for one, place in zip(found, places[::-1], strict=True)]
        return json.dumps(answer | {"result": swapped}).encode()
    return text


def main(arguments: Iterable[str] | None = None) -> None:
    """Serve until stopped with Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--fault", choices=FAULTS, help="answer every request with it")
    parser.add_argument("--patience", type=float, default=30, help="seconds that a slow answer takes")
    parser.add_argument("--retry-after", default="7", help="what a throttled answer asks for")
    parser.add_argument("--key", default="", help="key that the company register asks for")
    given = parser.parse_args(None if arguments is None else list(arguments))
    with ServiceServer(given.port) as server:
        server.behaviour = Behaviour(always=given.fault, patience=given.patience, retry_after=given.retry_after, key=given.key)
        print(f"{server.url} answers{f' with {given.fault}' if given.fault else ''}; Ctrl-C stops it", flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        print(f"{len(server.log)} requests: {server.outcomes()}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
