"""What is said of a word that is not among those that may stand there: API v3's text, then what would be right."""

from collections.abc import Collection, Iterable
from functools import lru_cache

from dispatcher.schemas.errors import plain

NOT_IN_LIST = "is not included in the list"
_NEAR = 0.4
"""Share of their parts that two words have in common, from which on one may have been meant for the other."""
_SHOWN = 3
_WORD_LIMIT = 100
"""Characters; the name of an event has 40."""


def allowed(choices: Iterable[str]) -> str:
    """Of a value that is no word, or that shall not be repeated."""
    return f"{NOT_IN_LIST}; allowed: {', '.join(choices)}"


def not_among(word: str, choices: Iterable[str]) -> str:
    """Of a word, where there are a few to choose from."""
    return f'{NOT_IN_LIST}: "{plain(word)}"; allowed: {", ".join(choices)}'


def no_such_event(name: object, names: Collection[str]) -> str:
    """Of the name of an event, where there are many."""
    return f'{NOT_IN_LIST}: "{plain(str(name))}"; {did_you_mean(str(name), names)}'


def did_you_mean(word: str, words: Collection[str]) -> str:
    """The nearest of `words`, or where all of them are."""
    near = _nearest(word, tuple(words)) if len(word) <= _WORD_LIMIT else []
    return f"did you mean {' or '.join(near)}?" if near else "the catalogue (event_types.json) lists them all"


def _nearest(word: str, words: tuple[str, ...]) -> list[str]:
    """By the threes of letters that they share: one request may hold a thousand wrong names, and difflib takes 1 ms."""
    letters = _parts(word.lower().replace(".", "_").replace("-", "_"))
    scored = ((2 * len(letters & parts) / (len(letters) + len(parts)), other) for other, parts in _all_parts(words))
    best = sorted((score, other) for score, other in scored if score >= _NEAR)[-_SHOWN:]
    return [other for _, other in reversed(best)]


@lru_cache(maxsize=8)
def _all_parts(words: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
    return [(word, _parts(word)) for word in words]


def _parts(word: str) -> frozenset[str]:
    padded = f"  {word} "
    return frozenset(padded[n : n + 3] for n in range(len(padded) - 2))
