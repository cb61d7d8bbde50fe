"""Disclosure control: which counts of people may be published, so that no small group can be made out."""

from collections.abc import Mapping


def withheld(counts: Mapping[str, int], k: int) -> frozenset[str]:
    """Return the groups whose count must not be shown when the total is.

    Every group under `k` is withheld, and with it the next larger ones until those withheld are at least two and together
    at least `k`: otherwise total minus the rest would tell the small one.
    """
    hidden: list[str] = []
    for name, count in sorted(counts.items(), key=lambda one: one[1]):
        if count >= k and (not hidden or (len(hidden) > 1 and sum(counts[one] for one in hidden) >= k)):
            break
        hidden.append(name)
    return frozenset(hidden)
