"""Subscriptions to many events at once: `*` in the place of any text, as in `order.*`, `invoice_*`, `*_removed`, `*`.

Events that a catalogue gets later are meant too. The dispatcher's own events never are: they are subscribed to by name.
"""

import re
from collections.abc import Iterable
from fnmatch import translate

SHAPE = re.compile(r"[A-Za-z0-9_.*-]{1,100}")


def is_wildcard(name: str) -> bool:
    """Whether it may stand for several events."""
    return "*" in name


def as_pattern(subscriptions: Iterable[str]) -> re.Pattern[str]:
    """Matches, as a whole, the names that these subscriptions mean.

    In time that grows with the pattern and the name: an owner may write `****x`, over which `.*.*.*.*x` takes hours.
    """
    return re.compile("|".join(map(translate, subscriptions)))


def as_like(wildcard: str) -> str:
    """The same of one wildcard, as SQL's LIKE has it."""
    return wildcard.replace("_", r"\_").replace("*", "%")
