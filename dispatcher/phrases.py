"""Figures in sentences, for people: spans, numbers, and nouns that are counted. Pure."""

_FIGURE_SPACE = "\N{NARROW NO-BREAK SPACE}"


def span(seconds: float | None) -> str:
    """`84 ms`, `1.2 s`, `45 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    parts = [(minutes // 1_440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def number(value: float | None) -> str:
    """With narrow spaces between thousands."""
    return "–" if value is None else f"{value:,.0f}".replace(",", _FIGURE_SPACE)


def counted(value: int, noun: str) -> str:
    """`1 attempt`, `2 deliveries`."""
    plural = f"{noun.removesuffix('y')}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(value)} {noun if value == 1 else plural}"
