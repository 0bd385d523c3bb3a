"""Each few seconds: what was finished meanwhile is counted, by minute and by hour, for whoever looks at it later."""

from dispatcher.storage.engine import Storage
from dispatcher.storage.stats import rollups


def count_figures(storage: Storage, lag_s: float = 2.0) -> bool:
    """Whether anything was counted. Harmless when doubled. `lag_s`: what is younger is left for the next time."""
    return storage.transact(rollups.count, lag_s=lag_s)
