-- The shop's tables, and its events: a trigger emits what it inserts. Whoever writes to them, and in whatever language,
-- emits in the same transaction.

create table if not exists shop_invoices (
    id int generated always as identity primary key,
    number text not null,
    status text not null default 'open',
    total numeric(10, 2) not null
);

create table if not exists shop_payments (
    invoice_id int primary key references shop_invoices,
    paid_on date not null default current_date
);

-- The statements of docs/examples/emit.sql: account, event's name, body as JSON text, idempotency key.
create or replace function shop_emit(text, text, text, text default null) returns void language sql volatile as $emit$
select pg_advisory_xact_lock(hashtextextended(a.id || ':' || $4, 0)) from dispatcher.accounts a
where a.slug = $1 and $4 is not null;

with event as (
    insert into dispatcher.events (account_id, name, body, idempotency_key, created_at)
    select a.id, $2, $3::json, $4, now() from dispatcher.accounts a
    where a.slug = $1 and not exists (
        select from dispatcher.events e where e.account_id = a.id and e.idempotency_key = $4)
    returning id, account_id, name)
insert into dispatcher.events_waiting (event_id, account_id, name)
select id, account_id, name from event
returning event_id;

select pg_notify('dispatcher_events', '');
$emit$;

create or replace function shop_invoice_json(shop_invoices) returns json language sql stable as $$
    select json_build_object('id', $1.id, 'number', $1.number, 'status', $1.status, 'total', $1.total::text)
$$;

create or replace function shop_invoice_created() returns trigger language plpgsql as $$
begin
    perform shop_emit('applecorp', 'invoice_created', json_build_object('invoice', shop_invoice_json(new))::text);
    return null;
end
$$;

create or replace function shop_invoice_paid() returns trigger language plpgsql as $$
begin
    perform shop_emit('applecorp', 'invoice_paid', json_build_object(
        'invoice', (select shop_invoice_json(i) from shop_invoices i where id = new.invoice_id),
        'payment', json_build_object('id', new.invoice_id, 'paid_on', new.paid_on))::text);
    return null;
end
$$;

create or replace trigger created after insert on shop_invoices for each row execute function shop_invoice_created();
create or replace trigger paid after insert on shop_payments for each row execute function shop_invoice_paid();
