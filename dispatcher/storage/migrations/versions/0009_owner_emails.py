"""Owners whose e-mail was made up get one that strict clients take: `.invalid` is refused by e-mail validators."""

from dispatcher.storage.migrations.statements import runs

revision = "0009"
down_revision = "0008"

UPGRADE = """
update users u set email = a.slug || '@dispatcher.example' from accounts a
where a.id = u.account_id and u.permission = 'owner' and u.email = 'owner@' || a.slug || '.invalid'
    and not exists (
        select from users o where o.account_id = a.id and lower(o.email) = lower(a.slug || '@dispatcher.example')
    );
"""

DOWNGRADE = """
update users u set email = 'owner@' || a.slug || '.invalid' from accounts a
where a.id = u.account_id and u.permission = 'owner' and u.email = a.slug || '@dispatcher.example'
    and not exists (
        select from users o where o.account_id = a.id and lower(o.email) = lower('owner@' || a.slug || '.invalid')
    );
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
