"""Event types that programs of the company describe by JSON Schemas, and the number of their last change.

*A process knows by one row whether anything has changed.* It asks for it twice a second, or when it works.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0021"
down_revision = "0020"

UPGRADE = """
create table event_types (
    name text not null,
    version int not null constraint event_types_are_numbered check (version > 0),
    resource text,
    resource_id text not null default 'id',
    schema json not null,
    example json,
    description text not null default '',
    "group" text not null default '',
    supersedes boolean not null default false,
    deprecated_at timestamptz,
    downgrade json,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (name, version));
comment on column event_types.resource is 'the key of the body under which stands what it is about; null: nothing in particular';
comment on column event_types.downgrade is 'JSON Patch from a body of this version to one of the version before; null: it is one';

create table event_types_revision (
    id int primary key default 1 constraint event_types_have_one_revision check (id = 1),
    revision bigint not null);
insert into event_types_revision (revision) values (1);
"""

DOWNGRADE = """
drop table event_types_revision, event_types;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
