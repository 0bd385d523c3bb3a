"""Attacks: what a stranger, a tenant or a receiver may try, as bounded tests against real processes on loopback.

`FAULTS=long` (by `make faults`) tries more of each; `make test` has the short form of every class.
"""

from tests.e2e.conftest import (  # noqa: F401 - fixtures
    cluster,
    cluster_options,
    folder,
    mortal_servers,
    programs,
    pytest_runtest_makereport,
    receiver,
)
from tests.faults.conftest import rng  # noqa: F401 - fixture
