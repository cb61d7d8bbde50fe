"""Badges: small pictures with a label and a value, drawn without a font file or another host."""

from markupsafe import escape

_COLOURS = {"good": "#14713a", "fair": "#8a5300", "bad": "#b3261e", "plain": "#3f51b5"}
_LETTER = 6.6
"""Pixels a letter takes on average at 11 px; the text is fitted to what the sum makes."""


def badge(label: str, value: str, look: str) -> str:
    """Return an SVG; `look` is good, fair, bad or plain. The title says the same as the picture."""
    left, right = (round(len(text) * _LETTER + 12) for text in (label, value))
    told = escape(f"{label}: {value}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{told}">'
        f"<title>{told}</title>"
        f'<rect width="{left + right}" height="20" rx="3" fill="#3a4250"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" fill="{_COLOURS[look]}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 12}">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 12}">{escape(value)}</text></g></svg>\n'
    )
