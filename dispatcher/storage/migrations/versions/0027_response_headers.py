"""Headers of responses that are no success, for whoever looks for the reason; of a success nothing more is stored."""

from dispatcher.storage.migrations.statements import runs

revision = "0027"
down_revision = "0026"

UPGRADE = "alter table attempts add column response_headers text;"

DOWNGRADE = "alter table attempts drop column response_headers;"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
