"""The colours of a portal, from the accent that a company has chosen: readable in the light and in the dark.

Pure. The grounds and the texts are those of console.css.
"""

from collections.abc import Mapping

Colour = tuple[int, int, int]

CONTRAST = 4.6
"""WCAG asks for 4.5 of text; what is rounded stays above it."""
LIGHT_GROUNDS = ("#f5f6f8", "#ffffff", "#e7f4ec", "#fcf1dd", "#fbe9e7", "#eceff3")
DARK_GROUNDS = ("#14181d", "#1c2229", "#1c3326", "#37290f", "#3d1f1d", "#29313a")
"""On these the accent is text: of links, and of names in JSON."""
_WHITE, _INK = "#ffffff", "#10202c"
_STEPS = 40


def style_sheet(theme: Mapping[str, str]) -> str:
    """The theme's variables; empty where it has no accent, as console.css has one. Colours are `#rrggbb`."""
    if not theme.get("accent") and not theme.get("accent_dark"):
        return ""
    accent = theme.get("accent") or theme["accent_dark"]
    light = _rules(readable(accent, LIGHT_GROUNDS, towards="#000000"))
    dark = _rules(readable(theme.get("accent_dark") or accent, DARK_GROUNDS, towards="#ffffff"))
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def readable(accent: str, grounds: tuple[str, ...], *, towards: str) -> str:
    """The accent, mixed with as little of `towards` as text in it needs on each of the grounds."""
    for step in range(_STEPS + 1):
        mixed = _mixed(accent, towards, step / _STEPS)
        if all(contrast(mixed, ground) >= CONTRAST for ground in grounds):
            return mixed
    return towards


def contrast(one: str, other: str) -> float:
    """The contrast of two colours: 1 to 21 (WCAG 2)."""
    darker, lighter = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (lighter + 0.05) / (darker + 0.05)


def _rules(accent: str) -> str:
    text = max((_WHITE, _INK), key=lambda colour: contrast(colour, accent))
    return f"--accent: {accent}; --accent-text: {text};"


def _mixed(one: str, other: str, share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(_rgb(one), _rgb(other), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _rgb(colour: str) -> Colour:
    number = int(colour.removeprefix("#"), 16)
    return number >> 16, number >> 8 & 255, number & 255


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
