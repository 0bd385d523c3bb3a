"""Service tokens: how much each may ask for in a minute, and when it was last used.

A row of an idempotent request is written with its response, in the transaction of what the request did: none is without.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0019"
down_revision = "0018"

UPGRADE = """
alter table service_tokens
    add column requests_per_minute int constraint service_tokens_requests_are_positive check (requests_per_minute > 0),
    add column emits_per_minute int constraint service_tokens_emits_are_positive check (emits_per_minute > 0),
    add column last_used_at timestamptz;
comment on column service_tokens.last_used_at is 'to a minute';

delete from idempotent_requests where response_encrypted is null;
alter table idempotent_requests alter column response_encrypted set not null;
comment on column idempotent_requests.response_encrypted is 'it may hold new secrets';
"""

DOWNGRADE = """
alter table idempotent_requests alter column response_encrypted drop not null;
alter table service_tokens drop column requests_per_minute, drop column emits_per_minute, drop column last_used_at;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
