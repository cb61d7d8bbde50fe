"""Verdicts: the state of a proof and of a criterion, and how the one follows from the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["proved", "failing", "stale", "waiting", "missing"]

STATES: tuple[State, ...] = ("proved", "failing", "stale", "waiting", "missing")
"""All states, best first; `waiting` is for a person's signature, `missing` means nothing proves it yet."""

_WORST_FIRST: tuple[State, ...] = ("failing", "missing", "stale", "waiting", "proved")


@dataclass(frozen=True)
class ProofVerdict:
    """What was found when a proof was looked at: its kind, what it names, its state and one line why.

    `link` is a page of the site, relative to its root, or None; `at` says when what was looked at came into being (UTC);
    `fingerprint` is the hash of it, empty when there was nothing; `remedy` is the command, or what else helps, that can
    make a proof of it.
    """

    kind: str
    what: str
    state: State
    why: str
    link: str | None = None
    at: datetime | None = None
    fingerprint: str = ""
    remedy: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The state of a criterion: the worst of its proofs, `missing` when it has none."""

    criterion: str
    proofs: tuple[ProofVerdict, ...]

    @property
    def state(self) -> State:
        """The worst state of the proofs."""
        return worst([proof.state for proof in self.proofs])


def worst(states: Sequence[State]) -> State:
    """Return the worst of some states; of none, `missing`: without proof nothing is proved."""
    return next((state for state in _WORST_FIRST if state in states), "missing")
