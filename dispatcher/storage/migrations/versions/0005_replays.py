"""Replays: many deliveries once more, as a job that any worker carries on.

*Each webhook of a replay has a cursor of its own* (`replay_webhooks.last_id`), because one receiver that is down must
not hold up the others. A batch of deliveries and the cursors that pass it move in one transaction: each match once.

*A delivery that repeats another under a new Idempotency-Key says so* (`copy_of`), and is left out of the rule that of
an event only one delivery waits for a webhook.
"""

from dispatcher.storage.migrations.statements import runs

revision = "0005"
down_revision = "0004"

UPGRADE = """
create table replays (
    id int generated always as identity primary key,
    account_id int not null references accounts (id),
    client_id int references clients (id),
    webhook_id int references webhooks (id),
    event_names text[],
    states text[] not null
        constraint replays_states_are_of_finished_deliveries check (states <@ array['failed', 'delivered', 'cancelled']),
    since timestamptz not null,
    until timestamptz not null,
    rate int constraint replays_rate_is_positive check (rate > 0),
    new_key boolean not null,
    missed boolean not null,
    state text not null constraint replays_state_is_known check (state in ('running', 'done', 'stopped')),
    matched bigint not null,
    sent bigint not null default 0,
    turn int not null default 0,
    paced_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null default dispatcher_now(),
    finished_at timestamptz,
    constraint replays_finish_with_their_state check ((state = 'running') = (finished_at is null)),
    constraint replays_miss_events_of_one_webhook check (not missed or webhook_id is not null)
);
comment on column replays.client_id is 'who asked; null: the command';
comment on column replays.turn is 'the webhook that was looked at last: the next look begins after it';
comment on column replays.paced_at is 'up to when the rate is used up';
comment on column replays.created_at is 'what was not in its state by then is not replayed';
-- For the list, newest first.
create index replays_by_account on replays (account_id, id);
-- For the workers, who ask again and again.
create index replays_running on replays (id) where state = 'running';

create table replay_webhooks (
    replay_id int not null references replays (id) on delete cascade,
    webhook_id int not null references webhooks (id),
    matched bigint not null,
    sent bigint not null default 0,
    last_id bigint not null default 0,
    done boolean not null default false,
    primary key (replay_id, webhook_id)
);
comment on column replay_webhooks.last_id is 'the cursor: the delivery, or of missed ones the event, that was looked at last';
create index replay_webhooks_left on replay_webhooks (replay_id, webhook_id) where not done;

alter table deliveries add column copy_of bigint;
comment on column deliveries.copy_of is 'the delivery that this one repeats under a new Idempotency-Key; null: made for its event';
drop index deliveries_are_one_per_event_and_webhook;
create unique index deliveries_are_one_per_event_and_webhook on deliveries_waiting (event_id, webhook_id)
    where copy_of is null;
-- For the prune, which asks whether an event is still needed.
create index deliveries_copies on deliveries_waiting (event_id) where copy_of is not null;
"""

DOWNGRADE = """
drop index deliveries_copies;
drop index deliveries_are_one_per_event_and_webhook;
update deliveries set state = 'cancelled', finished_on = current_date where copy_of is not null and finished_on is null;
create unique index deliveries_are_one_per_event_and_webhook on deliveries_waiting (event_id, webhook_id);
alter table deliveries drop column copy_of;
drop table replay_webhooks, replays;
"""

upgrade, downgrade = runs(UPGRADE), runs(DOWNGRADE)
