"""The console: sessions end when nobody uses them, and can be listed and ended one by one.

Tries to sign in are counted in Redis from now on: by what was typed and from where, so that wrong passwords from one
address lock nobody out elsewhere. `users.sign_ins` and `sign_ins_since` are not read any more; they stay for processes of
the version before, which may run beside.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0010"
down_revision = "0009"

UPGRADE = """
alter table sessions
    add column id int generated always as identity unique,
    add column last_used_at timestamptz not null default now(),
    add column address text,
    add column agent text;
comment on column sessions.last_used_at is 'to the minute: it is written that often at most';
comment on column sessions.address is 'of the browser that signed in';
comment on column sessions.agent is 'what that browser calls itself';
"""

DOWNGRADE = "alter table sessions drop column id, drop column last_used_at, drop column address, drop column agent"

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
