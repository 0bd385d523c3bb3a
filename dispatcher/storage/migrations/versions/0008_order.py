"""Order: events of one second have their ids in the order of their emits, over whichever connections.

Each connection had 50 numbers in advance. So of two updates of an invoice, a moment apart, the later could have the lower
id: it was sent first where order is kept, and gave way to the older where the newer supersedes.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0008"
down_revision = "0007"

upgrade, downgrade = runs("alter sequence event_counter cache 1"), runs("alter sequence event_counter cache 50")
