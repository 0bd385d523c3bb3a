-- Emits an event from any language, in the transaction that makes the change. $1 the account's slug, $2 the event's name,
-- $3 its body as JSON text, $4 an idempotency key or null.

-- 1. Two emits of one key wait for each other; a statement of its own, so that the next one sees what was committed.
select pg_advisory_xact_lock(hashtextextended(a.id || ':' || $4, 0)) from dispatcher.accounts a
where a.slug = $1 and $4 is not null;

-- 2. The event and its place in the outbox, unless the key is known. No row comes back then, nor for an unknown account.
with event as (
    insert into dispatcher.events (account_id, name, body, idempotency_key, created_at)
    select a.id, $2, $3::json, $4, now() from dispatcher.accounts a
    where a.slug = $1 and not exists (
        select from dispatcher.events e where e.account_id = a.id and e.idempotency_key = $4)
    returning id, account_id, name)
insert into dispatcher.events_waiting (event_id, account_id, name)
select id, account_id, name from event
returning event_id;

-- 3. Tells the workers, at the commit and only then. Without it the event is found within 15 s.
select pg_notify('dispatcher_events', '');
