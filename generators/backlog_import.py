"""Brings Markdown documents into `backlog.yaml`: the commands `import`, `check` and `schema`.

What was added by hand since (proofs, another deliverable) is kept, matched by the item's id and the criterion's text.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from etl.console import say
from generators.backlog import Backlog, BacklogError, json_schema, load
from generators.backlog_documents import read_documents, vocabulary
from generators.evidence.exhibits import SIGNATURES
from generators.evidence.references import dangling, unasked
from generators.evidence.signatures import read_signatures
from generators.facts import FactsError

HEADER = """\
# yaml-language-server: $schema=docs/data/backlog.schema.json
# The backlog. Stories come from the documents named below: `python -m generators.backlog import FILE...` reads them again
# and keeps what is written here by hand: `deliverable` of an item, `proofs` of a criterion, titles of deliverables.
"""

PROJECT = "mkdocs.yml"
"""Where this lies beside the backlog, what proofs name is looked up too."""


def merge(fresh: dict[str, Any], before: Backlog) -> list[str]:
    """Bring into `fresh` what `before` holds beyond it: other documents, and what was written by hand.

    Returns a line for each proof that finds no place any more.
    """
    lost = list(_keep_handwork(fresh["items"], before))
    read = {document["id"]: document for document in fresh["documents"]}
    kept = [read.pop(document.id, None) or document.model_dump() for document in before.documents]
    order = {document["id"]: place for place, document in enumerate([*kept, *read.values()])}
    reread = {document["id"] for document in fresh["documents"]}
    items = fresh["items"] + [item.model_dump() for item in before.items if item.document not in reread]
    items.sort(key=lambda item: order[item["document"]])
    titles = {**fresh["deliverables"], **before.deliverables}
    fresh["documents"] = [*kept, *read.values()]
    fresh["items"] = items
    fresh["deliverables"] = {name: titles[name] for name in _deliverables_of(items) if name in titles}
    fresh["skills"] = vocabulary(items)
    return lost


def _deliverables_of(items: list[dict[str, Any]]) -> list[str]:
    """Return what the items ask for, then what only their proofs name, each once."""
    proofs = (proof for item in items for criterion in item["criteria"] for proof in criterion["proofs"])
    return list(
        dict.fromkeys([*(item["deliverable"] for item in items), *(proof["page"] for proof in proofs if "page" in proof)])
    )


def _keep_handwork(items: list[dict[str, Any]], before: Backlog) -> Iterator[str]:
    read = {item["document"] for item in items}
    old = {item.id: item for item in before.items if item.document in read}
    for item in items:
        known = old.pop(item["id"], None)
        if known is None:
            continue
        item["deliverable"] = known.deliverable
        proofs = defaultdict(list)
        for criterion in known.criteria:
            proofs[criterion.text].append([proof.model_dump(exclude_none=True) for proof in criterion.proofs])
        for fresh in item["criteria"]:
            if proofs[fresh["text"]]:
                fresh["proofs"] = proofs[fresh["text"]].pop(0)
        for text in (text for text, left in proofs.items() if any(left)):
            yield f"{item['id']}: the criterion {text[:60]!r} is gone and its proofs with it"
    for gone in old.values():
        if any(criterion.proofs for criterion in gone.criteria):
            yield f"{gone.id}: the item {gone.title[:60]!r} is gone and its proofs with it"


def to_yaml(data: dict[str, Any]) -> str:
    """Return the text of `backlog.yaml`; the same data gives the same text."""
    return HEADER + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, which is how people write them, and writes no aliases, which are not read."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quote a text; line ends other than newline must be escaped, or a reader takes them for blanks."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _LINE_ENDS.search(text) else None)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out `import`, `check` or `schema`; return 0, or 1 when there is a fault."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (BacklogError, FactsError) as error:
        say(str(error), sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generators.backlog", description="The structured backlog.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    importing = commands.add_parser("import", help="read Markdown documents into the backlog, keeping proofs")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE")
    importing.add_argument("--into", type=Path, default=Path("backlog.yaml"), metavar="FILE")
    importing.set_defaults(command=_import)
    checking = commands.add_parser("check", help="name every fault of the backlog")
    checking.add_argument("file", nargs="?", type=Path, default=Path("backlog.yaml"), metavar="FILE")
    checking.set_defaults(command=_check)
    schema = commands.add_parser("schema", help="write the JSON Schema")
    schema.add_argument("--out", type=Path, metavar="FILE", help="file to write; standard output without it")
    schema.set_defaults(command=_schema)
    return parser


def _import(options: argparse.Namespace) -> None:
    fresh = read_documents(options.files)
    lost = merge(fresh, load(options.into)) if options.into.exists() else []
    try:
        Backlog.model_validate(fresh)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise BacklogError(f"{options.into} was not written: {where}: {first['msg']}. Correct the documents.") from None
    for line in lost:
        say(f"warning: {line}", sys.stderr)
    _write(options.into, to_yaml(fresh))
    options.file = options.into
    _check(options)


def _check(options: argparse.Namespace) -> None:
    root = options.file.parent
    backlog = load(options.file, lambda read: dangling(read, root) if (root / PROJECT).is_file() else ())
    signed = list(unasked(read_signatures(root / SIGNATURES), backlog))
    if signed:
        raise BacklogError("\n".join(signed))
    say(f"{len(backlog.items)} items, {len(backlog.criteria)} criteria, {backlog.points} points")


def _schema(options: argparse.Namespace) -> None:
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if options.out:
        _write(options.out, text + "\n")
    else:
        say(text)


def _write(path: Path, text: str) -> None:
    """Put the whole file in place at once, so that a stop halfway leaves the old one."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8", newline="\n")
        fresh.replace(path)
    except OSError as error:
        raise BacklogError(f"{path}: can't be written ({error.strerror}). Name a folder that is there.") from None
