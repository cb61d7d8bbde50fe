"""References: what proofs name must be there, or be planned. Looked at before anything runs."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from etl.console import COMMANDS
from generators.backlog import Backlog, nearest
from generators.evidence.command import module_of
from generators.evidence.expressions import unknown_names
from generators.evidence.file import RUN, XML_SCHEMA
from generators.evidence.signatures import Signature
from generators.inputs import Inputs, names_of_tests
from generators.proofs import CommandProof, DrillProof, FileProof, RunProof, SectionProof, SignoffProof, TestProof
from generators.safe_yaml import YamlPath
from generators.schemas import SCHEMAS

DRILLS = Path("tests/drill.py")
TEMPLATES = Path("templates/deliverables")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*(?:\{[#:.][^}]*\})?\s*$", re.MULTILINE)


class Dangling(NamedTuple):
    """A reference that leads nowhere: its place in the backlog's file and what is wrong."""

    where: YamlPath
    text: str


def dangling(backlog: Backlog, root: Path) -> Iterator[Dangling]:
    """Yield each proof whose reference is not there, with the nearest that is, and each plan for what is there already."""
    look = _Looker(root)
    for place, item in enumerate(backlog.items):
        for number, criterion in enumerate(item.criteria):
            for index, proof in enumerate(criterion.proofs):
                fault = look.fault(proof)
                where = ("items", place, "criteria", number, "proofs", index)
                if proof.planned is None and fault:
                    yield Dangling(where, fault)
                elif proof.planned and not fault:
                    yield Dangling((*where, "planned"), "what is planned is there now; take 'planned' out")


def unasked(signatures: Sequence[Signature], backlog: Backlog) -> Iterator[str]:
    """Yield each signature that no criterion asks for."""
    wanted = {(proof.page, proof.role) for one in backlog.criteria for proof in one.proofs if isinstance(proof, SignoffProof)}
    for one in signatures:
        if (one.page, one.role) not in wanted:
            near = nearest(f"{one.page}, {one.role}", [f"{page}, {role}" for page, role in sorted(wanted)])
            yield f"facts/signoffs.yaml: no criterion asks the {one.role} to sign {one.page}{near}"


class _Looker:
    """Looks references up, each file once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inputs = Inputs(root)
        self._headings = cache(self._read_headings)
        self._tests = cache(self._read_tests)
        self._drills = cache(self._read_drills)

    def fault(self, proof: Any) -> str | None:
        """Return why a proof's reference leads nowhere, or None."""
        return _LOOKS[type(proof)](self, proof)

    def section(self, proof: SectionProof) -> str | None:
        headings = self._headings(proof.page)
        if headings is None:
            return f"the page {proof.page} has no template; plan it with 'planned'"
        return None if proof.heading in headings else _unknown("section", proof.heading, sorted(headings), f" on {proof.page}")

    def test(self, proof: TestProof) -> str | None:
        file, _, name = proof.node.partition("::")
        names = self._tests(file)
        if names is None:
            known = sorted(path.relative_to(self.root).as_posix() for path in self.root.glob("tests/test_*.py"))
            return _unknown("test module", file, known)
        bare = name.partition("[")[0]
        return None if not name or bare in names else _unknown("test", bare, sorted(names), f" in {file}")

    def run(self, proof: RunProof) -> str | None:
        try:
            found = next(unknown_names(proof.expression), None)
        except SyntaxError as error:
            return f"the expression can't be read ({error.msg})"
        return _unknown("figure", found[0], found[1], " of a run record") if found else None

    def file(self, proof: FileProof) -> str | None:
        known = (self.root / proof.fits).is_file() if proof.fits and proof.fits.endswith(XML_SCHEMA) else proof.fits in SCHEMAS
        if proof.fits and not known:
            return _unknown("schema", proof.fits, sorted(SCHEMAS))
        if RUN in proof.path or any(self.root.glob(proof.path)):
            return None
        return f"there is no file {proof.path[:60]!r}"

    def drill(self, proof: DrillProof) -> str | None:
        drills = self._drills()
        return None if proof.name in drills else _unknown("drill", proof.name, sorted(drills))

    def command(self, proof: CommandProof) -> str | None:
        module = module_of(proof.run)
        if module is None:
            return "a command starts with 'python -m' and a module of the project"
        if not self.inputs.module_file(module):
            return f"there is no module {module[:60]!r} to start"
        words = shlex.split(proof.run)[3:]
        if module == "etl" and (not words or words[0] not in COMMANDS):
            return _unknown("command", words[0] if words else "", sorted(COMMANDS), " of python -m etl")
        return None

    def signoff(self, proof: SignoffProof) -> str | None:
        return (
            None if self._headings(proof.page) is not None else f"the page {proof.page} has no template; plan it with 'planned'"
        )

    def _read_headings(self, page: str) -> set[str] | None:
        path = self.root / TEMPLATES / f"{page}.md.j2"
        return set(_HEADING.findall(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def _read_tests(self, file: str) -> set[str] | None:
        path = self.root / file
        return set(names_of_tests(path.read_text(encoding="utf-8"))) if file.startswith("tests/") and path.is_file() else None

    def _read_drills(self) -> set[str]:
        """Return the names of the drills that there are: the keys of `DRILLS`."""
        path = self.root / DRILLS
        tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
        tables = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)]
        named = [table.value for table in tables if [getattr(one, "id", "") for one in table.targets] == ["DRILLS"]]
        return {str(key.value) for table in named for key in getattr(table, "keys", ()) if isinstance(key, ast.Constant)}


_LOOKS: Mapping[type, Callable[[_Looker, Any], str | None]] = {
    SectionProof: _Looker.section,
    TestProof: _Looker.test,
    RunProof: _Looker.run,
    FileProof: _Looker.file,
    DrillProof: _Looker.drill,
    CommandProof: _Looker.command,
    SignoffProof: _Looker.signoff,
}


def _unknown(kind: str, word: str, known: Sequence[str], where: str = "") -> str:
    return f"there is no {kind} {word[:80]!r}{where}{nearest(word, known) or '; correct it, or plan it with planned'}"
