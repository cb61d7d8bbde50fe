"""`python -m generators.evidence`: a gate for a CI, the trial of commands, and signing.

`check` judges the evidence as it is now, writing nothing; `refresh` tries the commands that prove something; `sign` keeps a
person's signature under a page.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from etl.console import add_settings_options, load_settings, say
from etl.errors import ConfigError
from generators.backlog import BacklogError, Criterion, Item, nearest
from generators.changes import ChangesError
from generators.context import Context, NoRunError, load_context
from generators.deliverable import write_deliverables
from generators.evidence.command import try_commands
from generators.evidence.exhibits import COMMANDS, SIGNATURES
from generators.evidence.judge import judge_all
from generators.evidence.report import make_report, next_steps, to_junit
from generators.evidence.results import write_results
from generators.evidence.signatures import Signature, fingerprint, read_signatures, write_signatures
from generators.facts import FactsError
from generators.figures import FigureError
from generators.judging import STATES, State
from generators.proofs import CommandProof
from generators.rendering import Renderer

EXPECTED = (ConfigError, NoRunError, BacklogError, ChangesError, FactsError, FigureError)
UNPROVED, UNUSABLE = 1, 2
SHOWN = 20


class _UsageError(Exception):
    """An option that nothing fits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; return 0, 1 when the gate is shut or a command failed, 2 when nothing could be judged."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (*EXPECTED, _UsageError) as error:
        say(f"Not judged: {error}", sys.stderr)
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generators.evidence", description="What proves the backlog.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="judge the evidence as it is now; fail when a criterion is in one of some states")
    check.add_argument("--fail-on", default="failing", metavar="STATES", help=f"{', '.join(STATES[1:])}, with commas (failing)")
    check.add_argument("--theme", metavar="WORDS", help="only items whose theme holds these words")
    check.add_argument("--item", action="append", metavar="ID", help="only this item; may be given again")
    check.add_argument("--format", choices=("table", "json", "junit"), default="table", help="what is printed (table)")
    check.set_defaults(command=_check)
    refresh = commands.add_parser("refresh", help="try every command that proves something, and keep how it ended")
    refresh.set_defaults(command=_refresh)
    sign = commands.add_parser("sign", help="keep a signature under a page as it is now")
    sign.add_argument("--page", required=True, metavar="SLUG", help="the page, by its slug")
    sign.add_argument("--role", required=True, help="the role that the criterion names")
    sign.add_argument("--who", required=True, help="who signs, as pages shall name the person")
    sign.add_argument("--refuse", action="store_true", help="the person looked at it and does not accept it")
    sign.add_argument("--note", help="what the person wants to be known")
    sign.set_defaults(command=_sign)
    for one in (check, refresh, sign):
        add_settings_options(one)
    return parser


def _check(options: argparse.Namespace) -> int:
    fail_on = _states(options.fail_on)
    context = judged(load_context(load_settings(options)))
    items = _chosen(context.backlog.items, options.theme, options.item)
    chosen = [criterion for item in items for criterion in item.criteria]
    if options.format == "table":
        say(_table(context, chosen, fail_on))
    else:
        report = make_report(context)
        ids = {criterion.id for criterion in chosen}
        kept = tuple(one for one in report.criteria if one.id in ids)
        counts = Counter(one.state for one in kept)
        report = report.model_copy(update={"criteria": kept, "states": {state: counts[state] for state in STATES}})
        say(to_junit(report).rstrip() if options.format == "junit" else report.model_dump_json(indent=1))
    verdicts = context.verdicts or {}
    return UNPROVED if any(verdicts[one.id].state in fail_on for one in chosen) else 0


def judged(context: Context) -> Context:
    """Return a context with its evidence, judged on the pages as they would be written now."""
    pages = pages_now(context)
    return context.with_evidence(tuple(pages), judge_all(context, pages))


def pages_now(context: Context) -> dict[str, str]:
    """Return the pages of the deliverables by slug, written to a folder which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return write_deliverables(context, Renderer(context, Path(folder)))


def _states(words: str) -> frozenset[State]:
    known = {str(state): state for state in STATES[1:]}
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    if bad := [word for word in wanted if word not in known]:
        raise _UsageError(f"--fail-on: no state {bad[0][:40]!r}{nearest(bad[0], list(known))}. There are {', '.join(known)}.")
    return frozenset(known[word] for word in wanted)


def _chosen(items: Sequence[Item], theme: str | None, ids: Sequence[str] | None) -> list[Item]:
    chosen = [item for item in items if theme is None or theme.lower() in item.theme.lower()]
    if ids:
        if bad := set(ids) - {item.id for item in items}:
            one = min(bad)
            raise _UsageError(f"--item: no item {one[:40]!r}{nearest(one, [item.id for item in items])}.")
        chosen = [item for item in chosen if item.id in ids]
    if not chosen:
        raise _UsageError(f"no item fits. Themes are: {', '.join(dict.fromkeys(item.theme for item in items))}.")
    return chosen


def _table(context: Context, chosen: Sequence[Criterion], fail_on: frozenset[State]) -> str:
    verdicts = context.verdicts or {}
    counts = Counter(verdicts[one.id].state for one in chosen)
    shut = [one for one in chosen if verdicts[one.id].state in fail_on]
    lines = [f"{len(chosen)} criteria: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])]
    for one in shut[:SHOWN]:
        verdict = verdicts[one.id]
        bad = next((proof for proof in verdict.proofs if proof.state == verdict.state), None)
        why = f"{bad.kind} {bad.what[:60]}: {bad.why[:100]}" if bad else "nothing proves it yet"
        lines.append(f"  {one.id:<8} {verdict.state:<8} {why}")
    if len(shut) > SHOWN:
        lines.append(f"  ... and {len(shut) - SHOWN} more")
    steps = next_steps(proof for one in chosen for proof in verdicts[one.id].proofs)
    lines += [f"  {count:>3} proofs: {remedy}" for remedy, count in list(steps.items())[:SHOWN]]
    return "\n".join(lines)


def _refresh(options: argparse.Namespace) -> int:
    context = load_context(load_settings(options))
    results = []
    for result in try_commands(commands_of(context.backlog.criteria), context.root):
        say(f"  {'ok    ' if result.good else 'failed'} {result.name} ({result.seconds:.1f} s, {result.told})")
        results.append(result)
    write_results(context.root / COMMANDS, results)
    return 0 if all(result.good for result in results) else UNPROVED


def commands_of(criteria: Iterable[Criterion]) -> list[str]:
    """Return the commands that prove something, each once."""
    proofs = [proof for criterion in criteria for proof in criterion.proofs]
    return list(dict.fromkeys(proof.run for proof in proofs if isinstance(proof, CommandProof) and not proof.planned))


def _sign(options: argparse.Namespace) -> int:
    context = load_context(load_settings(options))
    pages = pages_now(context)
    if options.page not in pages:
        raise _UsageError(f"--page: no page {options.page[:40]!r}{nearest(options.page, sorted(pages))}.")
    wanted = sorted(
        {proof.role for one in context.backlog.criteria for proof in one.proofs if proof.kind == "signoff" and proof.page == options.page}
    )  # fmt: skip
    if options.role not in wanted:
        raise _UsageError(f"--role: {options.page} is to be signed by: {', '.join(wanted) or 'nobody'}.")
    seen = fingerprint(pages[options.page])
    signature = Signature(
        page=options.page, role=options.role, who=options.who, on=datetime.now().astimezone().date(), seen=seen,
        accepted=not options.refuse, note=options.note,
    )  # fmt: skip
    path = context.root / SIGNATURES
    write_signatures(path, [*read_signatures(path), signature])
    say(
        f"{path.as_posix()}: {options.who} {'refused' if options.refuse else 'accepted'} {options.page} (seen {seen}). Commit it."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
