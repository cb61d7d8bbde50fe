"""The judge of `signoff`: a person of the role accepted the page, and what it says has not changed since."""

from generators.evidence.exhibits import Exhibits
from generators.evidence.signatures import fingerprint
from generators.judging import ProofVerdict, State
from generators.proofs import SignoffProof


def judge(proof: SignoffProof, exhibits: Exhibits) -> ProofVerdict:
    """Look for the newest signature of the role under the page."""
    page = exhibits.pages.get(proof.page)
    if page is None:
        return ProofVerdict("signoff", proof.what, "missing", f"the page {proof.page} is not built yet")
    link, now = f"generated/deliverables/{proof.page}.md", fingerprint(page)
    signed = [one for one in exhibits.signatures if (one.page, one.role) == (proof.page, proof.role)]
    remedy = f'python -m generators.evidence sign --page {proof.page} --role "{proof.role}" --who NAME'
    if not signed:
        why = f"waits for the {proof.role} to look at the page"
        return ProofVerdict("signoff", proof.what, "waiting", why, link, exhibits.context.now, now, remedy)
    last = signed[-1]
    state: State = "failing" if not last.accepted else "stale" if last.seen != now else "proved"
    why = {
        "failing": f"{last.who} refused it on {last.on:%d %b %Y}{f': {last.note}' if last.note else ''}",
        "stale": f"the page changed after {last.who} signed it on {last.on:%d %b %Y}",
        "proved": f"signed by {last.who} on {last.on:%d %b %Y}",
    }[state]
    return ProofVerdict("signoff", proof.what, state, why, link, exhibits.context.now, now, None if state == "proved" else remedy)
