-- A database of 0.1.0: what that release's code has written in two days, by pg_dump --inserts, without comments.
-- (commit c4208af; Postgres 18; SECRET_KEYS is SECRET_KEY of tests/support/builders.py.) test_upgrade.py says what is in it.
SET check_function_bodies = false;
CREATE FUNCTION public.create_partitions(day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
    suffix text := to_char(day, 'YYYYMMDD');
    first_id bigint := (extract(epoch from day::timestamp)::bigint - 1577836800) << 23;
    last_id bigint := (extract(epoch from (day + 1)::timestamp)::bigint - 1577836800) << 23;
begin
    if to_regclass('events_' || suffix) is null
       and not exists (select from events_default where id >= first_id and id < last_id) then
        execute format('create table events_%s partition of events for values from (%s) to (%s)
                        with (toast_tuple_target = 8160)', suffix, first_id, last_id);
        execute format('create unique index events_%s_key_is_unique on events_%s (account_id, idempotency_key)
                        where idempotency_key is not null', suffix, suffix);
    end if;
    if to_regclass('deliveries_' || suffix) is null
       and not exists (select from deliveries_default where finished_on = day) then
        execute format('create table deliveries_%s partition of deliveries for values in (%L)', suffix, day);
        execute format('create index deliveries_%s_by_webhook on deliveries_%s (webhook_id, id)', suffix, suffix);
    end if;
    if to_regclass('attempts_' || suffix) is null
       and not exists (select from attempts_default where recorded_on = day) then
        execute format('create table attempts_%s partition of attempts for values in (%L)', suffix, day);
    end if;
end
$$;
CREATE FUNCTION public.dispatcher_now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
    select statement_timestamp() + make_interval(secs => coalesce(nullif(current_setting('dispatcher.shift', true), ''), '0')::float8)
$$;
CREATE FUNCTION public.new_event_id() RETURNS bigint
    LANGUAGE sql
    AS $$
    select (extract(epoch from clock_timestamp())::bigint - 1577836800) << 23 | nextval('event_counter')
$$;
CREATE FUNCTION public.new_idempotency_key(delivery_id bigint) RETURNS uuid
    LANGUAGE sql
    AS $$
    select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || lpad(to_hex((random() * 4095)::int), 3, '0')
            || to_hex((-9223372036854775808) | delivery_id))::uuid
$$;
CREATE TABLE public.accounts (
    id integer NOT NULL,
    slug text NOT NULL,
    time_zone text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE public.accounts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE SEQUENCE public.attempt_id
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 50;
CREATE TABLE public.attempts (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) NOT NULL,
    delivery_id bigint NOT NULL,
    number smallint NOT NULL,
    request_id uuid NOT NULL,
    url text NOT NULL,
    status text NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE NOT NULL
)
PARTITION BY LIST (recorded_on);
COMMENT ON COLUMN public.attempts.reason IS 'for people: why there is no answer; "lost" for a lease that ran out unrecorded';
CREATE TABLE public.attempts_20261124 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261125 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261126 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261127 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261128 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261129 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261130 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261201 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_20261202 (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.attempts_default (
    id bigint DEFAULT nextval('public.attempt_id'::regclass) CONSTRAINT attempts_id_not_null NOT NULL,
    delivery_id bigint CONSTRAINT attempts_delivery_id_not_null NOT NULL,
    number smallint CONSTRAINT attempts_number_not_null NOT NULL,
    request_id uuid CONSTRAINT attempts_request_id_not_null NOT NULL,
    url text CONSTRAINT attempts_url_not_null NOT NULL,
    status text CONSTRAINT attempts_status_not_null NOT NULL,
    reason text,
    content_type text,
    body text,
    started_at timestamp with time zone CONSTRAINT attempts_started_at_not_null NOT NULL,
    finished_at timestamp with time zone CONSTRAINT attempts_finished_at_not_null NOT NULL,
    recorded_on date DEFAULT CURRENT_DATE CONSTRAINT attempts_recorded_on_not_null NOT NULL
);
CREATE TABLE public.deliveries (
    id bigint NOT NULL,
    event_id bigint NOT NULL,
    webhook_id integer NOT NULL,
    idempotency_key uuid NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempt_count smallint DEFAULT 0 NOT NULL,
    lost_count smallint DEFAULT 0 NOT NULL,
    tries_before smallint DEFAULT 0 NOT NULL,
    lost_before smallint DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
)
PARTITION BY LIST (finished_on);
COMMENT ON COLUMN public.deliveries.tries_before IS 'attempts made before the last replay: they do not count against the tries';
COMMENT ON COLUMN public.deliveries.lost_before IS 'the same of leases lost';
COMMENT ON COLUMN public.deliveries.next_attempt_at IS 'due time; while lease_token is set, the end of the lease';
CREATE TABLE public.deliveries_20261124 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261125 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261126 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261127 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261128 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261129 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261130 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261201 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_20261202 (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_default (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE public.deliveries_waiting (
    id bigint CONSTRAINT deliveries_id_not_null NOT NULL,
    event_id bigint CONSTRAINT deliveries_event_id_not_null NOT NULL,
    webhook_id integer CONSTRAINT deliveries_webhook_id_not_null NOT NULL,
    idempotency_key uuid CONSTRAINT deliveries_idempotency_key_not_null NOT NULL,
    state text DEFAULT 'pending'::text CONSTRAINT deliveries_state_not_null NOT NULL,
    attempt_count smallint DEFAULT 0 CONSTRAINT deliveries_attempt_count_not_null NOT NULL,
    lost_count smallint DEFAULT 0 CONSTRAINT deliveries_lost_count_not_null NOT NULL,
    tries_before smallint DEFAULT 0 CONSTRAINT deliveries_tries_before_not_null NOT NULL,
    lost_before smallint DEFAULT 0 CONSTRAINT deliveries_lost_before_not_null NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT public.dispatcher_now() CONSTRAINT deliveries_next_attempt_at_not_null NOT NULL,
    lease_token uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_created_at_not_null NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT deliveries_updated_at_not_null NOT NULL,
    finished_on date,
    CONSTRAINT deliveries_finish_with_their_state CHECK (((state = 'pending'::text) = (finished_on IS NULL))),
    CONSTRAINT deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.0', autovacuum_vacuum_threshold='20000');
CREATE SEQUENCE public.delivery_id
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 50;
CREATE SEQUENCE public.event_counter
    AS integer
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    MAXVALUE 8388607
    CACHE 50
    CYCLE;
CREATE TABLE public.events (
    id bigint DEFAULT public.new_event_id() NOT NULL,
    account_id integer NOT NULL,
    name text NOT NULL,
    body json NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (id);
CREATE TABLE public.events_20261124 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261125 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261126 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261127 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261128 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261129 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261130 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261201 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_20261202 (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_default (
    id bigint DEFAULT public.new_event_id() CONSTRAINT events_id_not_null NOT NULL,
    account_id integer CONSTRAINT events_account_id_not_null NOT NULL,
    name text CONSTRAINT events_name_not_null NOT NULL,
    body json CONSTRAINT events_body_not_null NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL
)
WITH (toast_tuple_target='8160');
CREATE TABLE public.events_waiting (
    event_id bigint NOT NULL,
    account_id integer NOT NULL,
    name text NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.0', autovacuum_vacuum_threshold='20000');
CREATE TABLE public.webhooks (
    id integer NOT NULL,
    account_id integer NOT NULL,
    failed_deliveries_uuid uuid DEFAULT gen_random_uuid() NOT NULL,
    webhook_url text NOT NULL,
    auth_header_encrypted text,
    signing_secret_encrypted text NOT NULL,
    previous_secret_encrypted text,
    previous_secret_until timestamp with time zone,
    active boolean DEFAULT true NOT NULL,
    events text[] NOT NULL,
    payload_version text DEFAULT 'v3'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT webhooks_payload_version_is_known CHECK ((payload_version = ANY (ARRAY['v3'::text, 'legacy'::text]))),
    CONSTRAINT webhooks_want_something CHECK ((cardinality(events) > 0))
);
ALTER TABLE public.webhooks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhooks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261124 FOR VALUES IN ('2026-11-24');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261125 FOR VALUES IN ('2026-11-25');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261126 FOR VALUES IN ('2026-11-26');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261127 FOR VALUES IN ('2026-11-27');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261128 FOR VALUES IN ('2026-11-28');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261129 FOR VALUES IN ('2026-11-29');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261130 FOR VALUES IN ('2026-11-30');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261201 FOR VALUES IN ('2026-12-01');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_20261202 FOR VALUES IN ('2026-12-02');
ALTER TABLE ONLY public.attempts ATTACH PARTITION public.attempts_default DEFAULT;
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261124 FOR VALUES IN ('2026-11-24');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261125 FOR VALUES IN ('2026-11-25');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261126 FOR VALUES IN ('2026-11-26');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261127 FOR VALUES IN ('2026-11-27');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261128 FOR VALUES IN ('2026-11-28');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261129 FOR VALUES IN ('2026-11-29');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261130 FOR VALUES IN ('2026-11-30');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261201 FOR VALUES IN ('2026-12-01');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_20261202 FOR VALUES IN ('2026-12-02');
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_default DEFAULT;
ALTER TABLE ONLY public.deliveries ATTACH PARTITION public.deliveries_waiting FOR VALUES IN (NULL);
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261124 FOR VALUES FROM ('1825710066892800') TO ('1826434842624000');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261125 FOR VALUES FROM ('1826434842624000') TO ('1827159618355200');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261126 FOR VALUES FROM ('1827159618355200') TO ('1827884394086400');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261127 FOR VALUES FROM ('1827884394086400') TO ('1828609169817600');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261128 FOR VALUES FROM ('1828609169817600') TO ('1829333945548800');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261129 FOR VALUES FROM ('1829333945548800') TO ('1830058721280000');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261130 FOR VALUES FROM ('1830058721280000') TO ('1830783497011200');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261201 FOR VALUES FROM ('1830783497011200') TO ('1831508272742400');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_20261202 FOR VALUES FROM ('1831508272742400') TO ('1832233048473600');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_default DEFAULT;
INSERT INTO public.accounts OVERRIDING SYSTEM VALUE VALUES
	(1, 'plumcorp', 'UTC', '2026-11-24 21:30:29.779923+00'),
	(2, 'pearcorp', 'Europe/Prague', '2026-11-24 21:30:29.781595+00');
INSERT INTO public.alembic_version VALUES
	('0001');
INSERT INTO public.attempts_20261124 VALUES
	(1, 1, 1, '570de9b4-96e8-432f-8da6-27af10f1e78c', 'RECEIVER/dead', '500', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:36.441321+00', '2026-11-24 21:30:36.443046+00', '2026-11-24'),
	(51, 1, 2, '536fd9de-d810-4b7b-a1e4-aaf3f0eff4d0', 'RECEIVER/dead', '500', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:36.911345+00', '2026-11-24 21:30:36.912125+00', '2026-11-24'),
	(101, 51, 1, '236e4b94-f49f-4fa0-97c2-624581626857', 'RECEIVER/paid', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.0721+00', '2026-11-24 21:30:42.076242+00', '2026-11-24'),
	(102, 52, 1, '019228e3-ea2f-45c6-91b8-964d48ee0cb0', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:42.072293+00', '2026-11-24 21:30:42.077212+00', '2026-11-24'),
	(103, 61, 1, '7412d732-ba94-4355-87ce-0510ed061ce1', 'RECEIVER/off', '503', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:42.072659+00', '2026-11-24 21:30:42.078893+00', '2026-11-24'),
	(104, 53, 1, 'e0572d23-8337-4a3d-a9b0-be4ad618d0be', 'RECEIVER/legacy?token=old', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.072502+00', '2026-11-24 21:30:42.079744+00', '2026-11-24'),
	(105, 60, 1, '921b3e01-7e47-4f28-ac86-19a51b49630e', 'RECEIVER/gone', '503', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:42.072783+00', '2026-11-24 21:30:42.081327+00', '2026-11-24'),
	(106, 62, 1, '5c202283-fc21-44e0-a7f3-d6edf4c904f4', 'RECEIVER/paid', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.072898+00', '2026-11-24 21:30:42.084982+00', '2026-11-24'),
	(107, 56, 1, '3e648378-77dc-41e7-a3a6-b679c4d090d6', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:42.072978+00', '2026-11-24 21:30:42.085391+00', '2026-11-24'),
	(108, 54, 1, 'ed808f5a-ffea-45d9-9e5f-3e2c67380ec3', 'RECEIVER/legacy?token=old', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.073124+00', '2026-11-24 21:30:42.086649+00', '2026-11-24'),
	(109, 57, 1, 'a803ea68-57a5-464a-927a-e5e6575b74ef', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-24 21:30:42.073278+00', '2026-11-24 21:30:42.089167+00', '2026-11-24'),
	(110, 55, 1, '87b91ee1-debe-4901-b539-3b7726ecb1bb', 'RECEIVER/paid', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.073208+00', '2026-11-24 21:30:42.089366+00', '2026-11-24'),
	(111, 58, 1, '5af078f5-261c-4135-b731-3b9a19e81ebd', 'RECEIVER/legacy?token=old', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.073389+00', '2026-11-24 21:30:42.089926+00', '2026-11-24'),
	(112, 59, 1, '0c9bfec6-a89c-4b6f-bc8a-643022e03ae0', 'RECEIVER/paid', '200', NULL, 'application/json', '{"received": true}', '2026-11-24 21:30:42.073463+00', '2026-11-24 21:30:42.090494+00', '2026-11-24');
INSERT INTO public.attempts_20261125 VALUES
	(151, 52, 2, '009c2299-2ea2-4f93-a252-107b0704553b', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-25 21:30:56.146493+00', '2026-11-25 21:30:56.153655+00', '2026-11-25'),
	(152, 56, 2, '22af5570-ed55-4d1b-96b3-688194983d41', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-25 21:30:56.146703+00', '2026-11-25 21:30:56.154595+00', '2026-11-25'),
	(153, 57, 2, '59f649ba-dae0-40a4-ae9f-fa13a40f9f7e', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-25 21:30:56.146814+00', '2026-11-25 21:30:56.155234+00', '2026-11-25'),
	(154, 102, 1, '8f0a7642-ec71-4f33-bda4-a9737d2c058c', 'RECEIVER/flaky', '503', NULL, 'application/json', '{"received": false}', '2026-11-25 21:30:56.146899+00', '2026-11-25 21:30:56.156907+00', '2026-11-25'),
	(201, 101, 1, '56bc051f-d97e-4011-8dca-9d9265ecaea6', 'RECEIVER/paid', '200', NULL, 'application/json', '{"received": true}', '2026-11-25 21:30:57.198174+00', '2026-11-25 21:30:57.201106+00', '2026-11-25'),
	(202, 103, 1, '5e9450a6-56ce-4fb3-b7de-59745d481c11', 'RECEIVER/legacy?token=old', '200', NULL, 'application/json', '{"received": true}', '2026-11-25 21:30:57.198417+00', '2026-11-25 21:30:57.201792+00', '2026-11-25'),
	(251, 151, 1, 'e23832f2-8cdb-4045-837e-0d0cddc6fd33', 'RECEIVER/paid', '200', NULL, 'application/json', '{"received": true}', '2026-11-25 21:30:57.303158+00', '2026-11-25 21:30:57.304536+00', '2026-11-25');
INSERT INTO public.deliveries_20261124 VALUES
	(1, 1826359596810240, 4, '01a20f77-c12c-750d-8000-000000000001', 'failed', 2, 0, 0, 0, '2026-11-24 21:31:36.905315+00', NULL, '2026-11-24 21:30:36.203988+00', '2026-11-24 21:30:36.912745+00', '2026-11-24'),
	(51, 1826359663919105, 1, '01a20f77-d7a8-78d8-8000-000000000033', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.959576+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(53, 1826359663919105, 3, '01a20f77-d7a8-78e0-8000-000000000035', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.959753+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(54, 1826359663919106, 3, '01a20f77-d7a8-7473-8000-000000000036', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.95976+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(55, 1826359663919106, 1, '01a20f77-d7a8-7f66-8000-000000000037', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.959766+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(58, 1826359663919107, 3, '01a20f77-d7a8-7dce-8000-00000000003a', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.959783+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(59, 1826359663919107, 1, '01a20f77-d7a8-7d4a-8000-00000000003b', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.959788+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(62, 1826359663919108, 1, '01a20f77-d7a8-769a-8000-00000000003e', 'delivered', 1, 0, 0, 0, '2026-11-24 21:31:42.062467+00', NULL, '2026-11-24 21:30:41.959808+00', '2026-11-24 21:30:42.090888+00', '2026-11-24'),
	(60, 1826359663919108, 6, '01a20f77-d7a8-7721-8000-00000000003c', 'cancelled', 1, 0, 0, 0, '2026-11-24 21:31:04.624358+00', NULL, '2026-11-24 21:30:41.959793+00', '2026-11-24 21:30:42.143737+00', '2026-11-24');
INSERT INTO public.deliveries_20261125 VALUES
	(101, 1827084540313650, 1, '01a2149e-6ac3-7c8f-8000-000000000065', 'delivered', 1, 0, 0, 0, '2026-11-25 21:31:57.153093+00', NULL, '2026-11-25 21:30:56.067247+00', '2026-11-25 21:30:57.2054+00', '2026-11-25'),
	(103, 1827084540313650, 3, '01a2149e-6ac4-78f1-8000-000000000067', 'delivered', 1, 0, 0, 0, '2026-11-25 21:31:57.153093+00', NULL, '2026-11-25 21:30:56.067512+00', '2026-11-25 21:30:57.2054+00', '2026-11-25'),
	(151, 1827084599033907, 1, '01a2149e-6f90-73c5-8000-000000000097', 'delivered', 1, 0, 0, 0, '2026-11-25 21:31:57.299492+00', NULL, '2026-11-25 21:30:57.296055+00', '2026-11-25 21:30:57.361312+00', '2026-11-25');
INSERT INTO public.deliveries_waiting VALUES
	(61, 1826359663919108, 5, '01a20f77-d7a8-7957-8000-00000000003d', 'pending', 1, 0, 0, 0, '2026-11-24 21:30:58.189445+00', NULL, '2026-11-24 21:30:41.959802+00', '2026-11-24 21:30:42.090888+00', NULL),
	(52, 1826359663919105, 2, '01a20f77-d7a8-76c4-8000-000000000034', 'pending', 2, 0, 0, 0, '2026-11-25 21:32:38.145653+00', NULL, '2026-11-24 21:30:41.959744+00', '2026-11-25 21:30:56.160648+00', NULL),
	(56, 1826359663919106, 2, '01a20f77-d7a8-7c60-8000-000000000038', 'pending', 2, 0, 0, 0, '2026-11-25 21:32:37.720172+00', NULL, '2026-11-24 21:30:41.959771+00', '2026-11-25 21:30:56.160648+00', NULL),
	(57, 1826359663919107, 2, '01a20f77-d7a8-7ee0-8000-000000000039', 'pending', 2, 0, 0, 0, '2026-11-25 21:32:51.928589+00', NULL, '2026-11-24 21:30:41.959777+00', '2026-11-25 21:30:56.160648+00', NULL),
	(102, 1827084540313650, 2, '01a2149e-6ac3-762b-8000-000000000066', 'pending', 1, 0, 0, 0, '2026-11-25 21:31:14.263769+00', NULL, '2026-11-25 21:30:56.067502+00', '2026-11-25 21:30:56.160648+00', NULL),
	(152, 1827084599033907, 7, '01a2149e-6f91-7619-8000-000000000098', 'pending', 0, 0, 0, 0, '2026-11-25 21:31:57.299492+00', '3813eea4-62ce-4698-9420-e2e673d70c1f', '2026-11-25 21:30:57.296773+00', '2026-11-25 21:30:57.296773+00', NULL);
INSERT INTO public.events_20261124 VALUES
	(1826359596810240, 2, 'expense_created', '{"expense":{"id":209,"custom_id":null,"number":"N20231201","original_number":"AB14","variable_symbol":"98675423","supplier_name":"Apple Czech s.r.o.","supplier_street":"Klimentská 1216/46","supplier_city":"Praha","supplier_zip":"11000","supplier_country":"CZ","supplier_registration_no":"28897501","supplier_vat_no":"CZ28897501","supplier_local_vat_no":null,"subject_id":16,"status":"open","document_type":"invoice","issued_on":"2023-12-21","taxable_fulfillment_due":"2023-12-21","received_on":"2023-12-21","due_on":"2024-01-04","paid_on":null,"locked_at":null,"description":null,"private_note":null,"tags":[],"bank_account":"","iban":"","swift_bic":"","payment_method":"bank","custom_payment_method":null,"currency":"CZK","exchange_rate":"1.0","transferred_tax_liability":false,"vat_price_mode":"without_vat","supply_code":"","proportional_vat_deduction":100,"tax_deductible":true,"subtotal":"250.0","total":"302.5","native_subtotal":"250.0","native_total":"302.5","lines":[{"id":503,"name":"Disk 250\r\nSKU: DK250\r\nIAN: DSK123432/250","quantity":"1.0","unit_name":"pcs","unit_price":"125.0","vat_rate":21,"unit_price_without_vat":"125.0","unit_price_with_vat":"151.25","total_price_without_vat":"125.0","total_vat":"26.25","native_total_price_without_vat":"125.0","native_total_vat":"26.25","inventory":null},{"id":504,"name":"Disk\r\nSKU: DK123\r\nIAN: DSK123432","quantity":"1.0","unit_name":"pcs","unit_price":"125.0","vat_rate":21,"unit_price_without_vat":"125.0","unit_price_with_vat":"151.25","total_price_without_vat":"125.0","total_vat":"26.25","native_total_price_without_vat":"125.0","native_total_vat":"26.25","inventory":null}],"vat_rates_summary":[{"vat_rate":21,"base":"250.0","vat":"52.5","currency":"CZK","native_base":"250.0","native_vat":"52.5","native_currency":"CZK"}],"payments":[],"attachments":null,"html_url":"https://app.fakturoid.cz/applecorp/expenses/209","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/expenses/209.json","subject_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-12-21T15:09:56.642+01:00","updated_at":"2023-12-21T15:22:59.160+01:00"}}', NULL, '2026-11-24 21:30:29.939924+00'),
	(1826359663919105, 2, 'invoice_paid', '{"invoice":{"id":27,"custom_id":null,"document_type":"invoice","proforma_followup_document":null,"correction_id":null,"number":"2023-0021","number_format_id":31,"variable_symbol":"20230021","your_name":"Alexandr Hejsek","your_street":"Hopsinková 14","your_city":"Praha","your_zip":"10000","your_country":"CZ","your_registration_no":"87654321","your_vat_no":"CZ12121212","your_local_vat_no":null,"client_name":"Apple Czech s.r.o.","client_street":"Klimentská 1216/46","client_city":"Praha","client_zip":"11000","client_country":"CZ","client_registration_no":"28897501","client_vat_no":"CZ28897501","client_local_vat_no":null,"client_has_delivery_address":false,"client_delivery_name":null,"client_delivery_street":null,"client_delivery_city":null,"client_delivery_zip":null,"client_delivery_country":null,"subject_id":16,"subject_custom_id":null,"generator_id":null,"related_id":null,"paypal":false,"gopay":false,"token":"69UqMuxhiA","status":"sent","order_number":null,"issued_on":"2023-11-30","taxable_fulfillment_due":"2023-11-30","due":14,"due_on":"2023-12-14","sent_at":"2023-12-01T09:05:47.117+01:00","paid_on":null,"reminder_sent_at":null,"cancelled_at":null,"uncollectible_at":null,"locked_at":null,"webinvoice_seen_on":null,"note":"Fakturujeme Vám následující položky","footer_note":"","private_note":null,"tags":[],"bank_account":"1234/2010","iban":null,"swift_bic":null,"iban_visibility":"automatically","show_already_paid_note_in_pdf":false,"payment_method":"bank","custom_payment_method":null,"hide_bank_account":false,"currency":"CZK","exchange_rate":"1.0","language":"cz","transferred_tax_liability":false,"supply_code":null,"oss":"disabled","vat_price_mode":"with_vat","subtotal":"9133.6","total":"11000.0","native_subtotal":"9133.6","native_total":"11000.0","remaining_amount":"11000.0","remaining_native_amount":"11000.0","eet_records":[],"lines":[{"id":46,"name":"Grafická karta","quantity":"1.0","unit_name":"","unit_price":"8264.0","vat_rate":21,"unit_price_without_vat":"8264.0","unit_price_with_vat":"10000.0","total_price_without_vat":"8264.0","total_vat":"1736.0","native_total_price_without_vat":"8264.0","native_total_vat":"1736.0","inventory":{"item_id":26,"sku":"KU994RUR8465","article_number_type":null,"article_number":null,"move_id":56}},{"id":47,"name":"Jídlo","quantity":"5.0","unit_name":"","unit_price":"173.92","vat_rate":15,"unit_price_without_vat":"173.92","unit_price_with_vat":"200.0","total_price_without_vat":"869.6","total_vat":"130.4","native_total_price_without_vat":"869.6","native_total_vat":"130.4","inventory":null}],"vat_rates_summary":[{"vat_rate":21,"base":"8264.0","vat":"1736.0","currency":"CZK","native_base":"8264.0","native_vat":"1736.0","native_currency":"CZK"},{"vat_rate":15,"base":"869.6","vat":"130.4","currency":"CZK","native_base":"869.6","native_vat":"130.4","native_currency":"CZK"}],"paid_advances":[],"payments":[{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}],"attachments":null,"html_url":"https://app.fakturoid.cz/applecorp/invoices/27","public_html_url":"https://app.fakturoid.cz/applecorp/p/69UqMuxhiA/2023-0021","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27.json","pdf_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27/download.pdf","subject_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-11-30T13:50:45.848+01:00","updated_at":"2023-12-01T09:05:47.187+01:00"},"payment":{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}}', 'day-1-0', '2026-11-24 21:30:38.348605+00'),
	(1826359663919108, 2, 'subject_created', '{"subject":{"id":16,"custom_id":null,"user_id":null,"type":"customer","name":"Apple Czech s.r.o.","full_name":null,"email":"pokus@test.cz","email_copy":null,"phone":null,"web":"https://www.apple.cz","street":"Klimentská 1216/46","city":"Praha","zip":"11000","country":"CZ","has_delivery_address":false,"delivery_name":null,"delivery_street":null,"delivery_city":null,"delivery_zip":null,"delivery_country":null,"due":null,"currency":null,"language":null,"private_note":null,"registration_no":"28897501","vat_no":"CZ28897501","local_vat_no":null,"unreliable":null,"unreliable_checked_at":null,"legal_form":null,"vat_mode":null,"bank_account":null,"iban":null,"swift_bic":null,"variable_symbol":null,"setting_update_from_ares":"inherit","ares_update":false,"setting_invoice_pdf_attachments":"inherit","setting_estimate_pdf_attachments":"inherit","setting_invoice_send_reminders":"inherit","suggestion_enabled":true,"custom_email_text":null,"overdue_email_text":null,"invoice_from_proforma_email_text":null,"thank_you_email_text":null,"custom_estimate_email_text":null,"webinvoice_history":null,"html_url":"https://app.fakturoid.cz/applecorp/subjects/16","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-08-22T10:59:00.330+02:00","updated_at":"2023-08-22T10:59:00.330+02:00"}}', NULL, '2026-11-24 21:30:38.393257+00'),
	(1826359663919106, 2, 'invoice_paid', '{"invoice":{"id":27,"custom_id":null,"document_type":"invoice","proforma_followup_document":null,"correction_id":null,"number":"2023-0021","number_format_id":31,"variable_symbol":"20230021","your_name":"Alexandr Hejsek","your_street":"Hopsinková 14","your_city":"Praha","your_zip":"10000","your_country":"CZ","your_registration_no":"87654321","your_vat_no":"CZ12121212","your_local_vat_no":null,"client_name":"Apple Czech s.r.o.","client_street":"Klimentská 1216/46","client_city":"Praha","client_zip":"11000","client_country":"CZ","client_registration_no":"28897501","client_vat_no":"CZ28897501","client_local_vat_no":null,"client_has_delivery_address":false,"client_delivery_name":null,"client_delivery_street":null,"client_delivery_city":null,"client_delivery_zip":null,"client_delivery_country":null,"subject_id":16,"subject_custom_id":null,"generator_id":null,"related_id":null,"paypal":false,"gopay":false,"token":"69UqMuxhiA","status":"sent","order_number":null,"issued_on":"2023-11-30","taxable_fulfillment_due":"2023-11-30","due":14,"due_on":"2023-12-14","sent_at":"2023-12-01T09:05:47.117+01:00","paid_on":null,"reminder_sent_at":null,"cancelled_at":null,"uncollectible_at":null,"locked_at":null,"webinvoice_seen_on":null,"note":"Fakturujeme Vám následující položky","footer_note":"","private_note":null,"tags":[],"bank_account":"1234/2010","iban":null,"swift_bic":null,"iban_visibility":"automatically","show_already_paid_note_in_pdf":false,"payment_method":"bank","custom_payment_method":null,"hide_bank_account":false,"currency":"CZK","exchange_rate":"1.0","language":"cz","transferred_tax_liability":false,"supply_code":null,"oss":"disabled","vat_price_mode":"with_vat","subtotal":"9133.6","total":"11000.0","native_subtotal":"9133.6","native_total":"11000.0","remaining_amount":"11000.0","remaining_native_amount":"11000.0","eet_records":[],"lines":[{"id":46,"name":"Grafická karta","quantity":"1.0","unit_name":"","unit_price":"8264.0","vat_rate":21,"unit_price_without_vat":"8264.0","unit_price_with_vat":"10000.0","total_price_without_vat":"8264.0","total_vat":"1736.0","native_total_price_without_vat":"8264.0","native_total_vat":"1736.0","inventory":{"item_id":26,"sku":"KU994RUR8465","article_number_type":null,"article_number":null,"move_id":56}},{"id":47,"name":"Jídlo","quantity":"5.0","unit_name":"","unit_price":"173.92","vat_rate":15,"unit_price_without_vat":"173.92","unit_price_with_vat":"200.0","total_price_without_vat":"869.6","total_vat":"130.4","native_total_price_without_vat":"869.6","native_total_vat":"130.4","inventory":null}],"vat_rates_summary":[{"vat_rate":21,"base":"8264.0","vat":"1736.0","currency":"CZK","native_base":"8264.0","native_vat":"1736.0","native_currency":"CZK"},{"vat_rate":15,"base":"869.6","vat":"130.4","currency":"CZK","native_base":"869.6","native_vat":"130.4","native_currency":"CZK"}],"paid_advances":[],"payments":[{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}],"attachments":null,"html_url":"https://app.fakturoid.cz/applecorp/invoices/27","public_html_url":"https://app.fakturoid.cz/applecorp/p/69UqMuxhiA/2023-0021","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27.json","pdf_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27/download.pdf","subject_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-11-30T13:50:45.848+01:00","updated_at":"2023-12-01T09:05:47.187+01:00"},"payment":{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}}', 'day-1-1', '2026-11-24 21:30:38.377076+00'),
	(1826359663919107, 2, 'invoice_paid', '{"invoice":{"id":27,"custom_id":null,"document_type":"invoice","proforma_followup_document":null,"correction_id":null,"number":"2023-0021","number_format_id":31,"variable_symbol":"20230021","your_name":"Alexandr Hejsek","your_street":"Hopsinková 14","your_city":"Praha","your_zip":"10000","your_country":"CZ","your_registration_no":"87654321","your_vat_no":"CZ12121212","your_local_vat_no":null,"client_name":"Apple Czech s.r.o.","client_street":"Klimentská 1216/46","client_city":"Praha","client_zip":"11000","client_country":"CZ","client_registration_no":"28897501","client_vat_no":"CZ28897501","client_local_vat_no":null,"client_has_delivery_address":false,"client_delivery_name":null,"client_delivery_street":null,"client_delivery_city":null,"client_delivery_zip":null,"client_delivery_country":null,"subject_id":16,"subject_custom_id":null,"generator_id":null,"related_id":null,"paypal":false,"gopay":false,"token":"69UqMuxhiA","status":"sent","order_number":null,"issued_on":"2023-11-30","taxable_fulfillment_due":"2023-11-30","due":14,"due_on":"2023-12-14","sent_at":"2023-12-01T09:05:47.117+01:00","paid_on":null,"reminder_sent_at":null,"cancelled_at":null,"uncollectible_at":null,"locked_at":null,"webinvoice_seen_on":null,"note":"Fakturujeme Vám následující položky","footer_note":"","private_note":null,"tags":[],"bank_account":"1234/2010","iban":null,"swift_bic":null,"iban_visibility":"automatically","show_already_paid_note_in_pdf":false,"payment_method":"bank","custom_payment_method":null,"hide_bank_account":false,"currency":"CZK","exchange_rate":"1.0","language":"cz","transferred_tax_liability":false,"supply_code":null,"oss":"disabled","vat_price_mode":"with_vat","subtotal":"9133.6","total":"11000.0","native_subtotal":"9133.6","native_total":"11000.0","remaining_amount":"11000.0","remaining_native_amount":"11000.0","eet_records":[],"lines":[{"id":46,"name":"Grafická karta","quantity":"1.0","unit_name":"","unit_price":"8264.0","vat_rate":21,"unit_price_without_vat":"8264.0","unit_price_with_vat":"10000.0","total_price_without_vat":"8264.0","total_vat":"1736.0","native_total_price_without_vat":"8264.0","native_total_vat":"1736.0","inventory":{"item_id":26,"sku":"KU994RUR8465","article_number_type":null,"article_number":null,"move_id":56}},{"id":47,"name":"Jídlo","quantity":"5.0","unit_name":"","unit_price":"173.92","vat_rate":15,"unit_price_without_vat":"173.92","unit_price_with_vat":"200.0","total_price_without_vat":"869.6","total_vat":"130.4","native_total_price_without_vat":"869.6","native_total_vat":"130.4","inventory":null}],"vat_rates_summary":[{"vat_rate":21,"base":"8264.0","vat":"1736.0","currency":"CZK","native_base":"8264.0","native_vat":"1736.0","native_currency":"CZK"},{"vat_rate":15,"base":"869.6","vat":"130.4","currency":"CZK","native_base":"869.6","native_vat":"130.4","native_currency":"CZK"}],"paid_advances":[],"payments":[{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}],"attachments":null,"html_url":"https://app.fakturoid.cz/applecorp/invoices/27","public_html_url":"https://app.fakturoid.cz/applecorp/p/69UqMuxhiA/2023-0021","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27.json","pdf_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27/download.pdf","subject_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-11-30T13:50:45.848+01:00","updated_at":"2023-12-01T09:05:47.187+01:00"},"payment":{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}}', 'day-1-2', '2026-11-24 21:30:38.38468+00');
INSERT INTO public.events_20261125 VALUES
	(1827084540313650, 2, 'invoice_paid', '{"invoice":{"id":27,"custom_id":null,"document_type":"invoice","proforma_followup_document":null,"correction_id":null,"number":"2023-0021","number_format_id":31,"variable_symbol":"20230021","your_name":"Alexandr Hejsek","your_street":"Hopsinková 14","your_city":"Praha","your_zip":"10000","your_country":"CZ","your_registration_no":"87654321","your_vat_no":"CZ12121212","your_local_vat_no":null,"client_name":"Apple Czech s.r.o.","client_street":"Klimentská 1216/46","client_city":"Praha","client_zip":"11000","client_country":"CZ","client_registration_no":"28897501","client_vat_no":"CZ28897501","client_local_vat_no":null,"client_has_delivery_address":false,"client_delivery_name":null,"client_delivery_street":null,"client_delivery_city":null,"client_delivery_zip":null,"client_delivery_country":null,"subject_id":16,"subject_custom_id":null,"generator_id":null,"related_id":null,"paypal":false,"gopay":false,"token":"69UqMuxhiA","status":"sent","order_number":null,"issued_on":"2023-11-30","taxable_fulfillment_due":"2023-11-30","due":14,"due_on":"2023-12-14","sent_at":"2023-12-01T09:05:47.117+01:00","paid_on":null,"reminder_sent_at":null,"cancelled_at":null,"uncollectible_at":null,"locked_at":null,"webinvoice_seen_on":null,"note":"Fakturujeme Vám následující položky","footer_note":"","private_note":null,"tags":[],"bank_account":"1234/2010","iban":null,"swift_bic":null,"iban_visibility":"automatically","show_already_paid_note_in_pdf":false,"payment_method":"bank","custom_payment_method":null,"hide_bank_account":false,"currency":"CZK","exchange_rate":"1.0","language":"cz","transferred_tax_liability":false,"supply_code":null,"oss":"disabled","vat_price_mode":"with_vat","subtotal":"9133.6","total":"11000.0","native_subtotal":"9133.6","native_total":"11000.0","remaining_amount":"11000.0","remaining_native_amount":"11000.0","eet_records":[],"lines":[{"id":46,"name":"Grafická karta","quantity":"1.0","unit_name":"","unit_price":"8264.0","vat_rate":21,"unit_price_without_vat":"8264.0","unit_price_with_vat":"10000.0","total_price_without_vat":"8264.0","total_vat":"1736.0","native_total_price_without_vat":"8264.0","native_total_vat":"1736.0","inventory":{"item_id":26,"sku":"KU994RUR8465","article_number_type":null,"article_number":null,"move_id":56}},{"id":47,"name":"Jídlo","quantity":"5.0","unit_name":"","unit_price":"173.92","vat_rate":15,"unit_price_without_vat":"173.92","unit_price_with_vat":"200.0","total_price_without_vat":"869.6","total_vat":"130.4","native_total_price_without_vat":"869.6","native_total_vat":"130.4","inventory":null}],"vat_rates_summary":[{"vat_rate":21,"base":"8264.0","vat":"1736.0","currency":"CZK","native_base":"8264.0","native_vat":"1736.0","native_currency":"CZK"},{"vat_rate":15,"base":"869.6","vat":"130.4","currency":"CZK","native_base":"869.6","native_vat":"130.4","native_currency":"CZK"}],"paid_advances":[],"payments":[{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}],"attachments":null,"html_url":"https://app.fakturoid.cz/applecorp/invoices/27","public_html_url":"https://app.fakturoid.cz/applecorp/p/69UqMuxhiA/2023-0021","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27.json","pdf_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27/download.pdf","subject_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-11-30T13:50:45.848+01:00","updated_at":"2023-12-01T09:05:47.187+01:00"},"payment":{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}}', 'day-2', '2026-11-25 21:30:50.328479+00'),
	(1827084599033907, 2, 'subject_created', '{"subject":{"id":16,"custom_id":null,"user_id":null,"type":"customer","name":"Apple Czech s.r.o.","full_name":null,"email":"pokus@test.cz","email_copy":null,"phone":null,"web":"https://www.apple.cz","street":"Klimentská 1216/46","city":"Praha","zip":"11000","country":"CZ","has_delivery_address":false,"delivery_name":null,"delivery_street":null,"delivery_city":null,"delivery_zip":null,"delivery_country":null,"due":null,"currency":null,"language":null,"private_note":null,"registration_no":"28897501","vat_no":"CZ28897501","local_vat_no":null,"unreliable":null,"unreliable_checked_at":null,"legal_form":null,"vat_mode":null,"bank_account":null,"iban":null,"swift_bic":null,"variable_symbol":null,"setting_update_from_ares":"inherit","ares_update":false,"setting_invoice_pdf_attachments":"inherit","setting_estimate_pdf_attachments":"inherit","setting_invoice_send_reminders":"inherit","suggestion_enabled":true,"custom_email_text":null,"overdue_email_text":null,"invoice_from_proforma_email_text":null,"thank_you_email_text":null,"custom_estimate_email_text":null,"webinvoice_history":null,"html_url":"https://app.fakturoid.cz/applecorp/subjects/16","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-08-22T10:59:00.330+02:00","updated_at":"2023-08-22T10:59:00.330+02:00"}}', NULL, '2026-11-25 21:30:57.2815+00'),
	(1827084599033908, 2, 'invoice_paid', '{"invoice":{"id":27,"custom_id":null,"document_type":"invoice","proforma_followup_document":null,"correction_id":null,"number":"2023-0021","number_format_id":31,"variable_symbol":"20230021","your_name":"Alexandr Hejsek","your_street":"Hopsinková 14","your_city":"Praha","your_zip":"10000","your_country":"CZ","your_registration_no":"87654321","your_vat_no":"CZ12121212","your_local_vat_no":null,"client_name":"Apple Czech s.r.o.","client_street":"Klimentská 1216/46","client_city":"Praha","client_zip":"11000","client_country":"CZ","client_registration_no":"28897501","client_vat_no":"CZ28897501","client_local_vat_no":null,"client_has_delivery_address":false,"client_delivery_name":null,"client_delivery_street":null,"client_delivery_city":null,"client_delivery_zip":null,"client_delivery_country":null,"subject_id":16,"subject_custom_id":null,"generator_id":null,"related_id":null,"paypal":false,"gopay":false,"token":"69UqMuxhiA","status":"sent","order_number":null,"issued_on":"2023-11-30","taxable_fulfillment_due":"2023-11-30","due":14,"due_on":"2023-12-14","sent_at":"2023-12-01T09:05:47.117+01:00","paid_on":null,"reminder_sent_at":null,"cancelled_at":null,"uncollectible_at":null,"locked_at":null,"webinvoice_seen_on":null,"note":"Fakturujeme Vám následující položky","footer_note":"","private_note":null,"tags":[],"bank_account":"1234/2010","iban":null,"swift_bic":null,"iban_visibility":"automatically","show_already_paid_note_in_pdf":false,"payment_method":"bank","custom_payment_method":null,"hide_bank_account":false,"currency":"CZK","exchange_rate":"1.0","language":"cz","transferred_tax_liability":false,"supply_code":null,"oss":"disabled","vat_price_mode":"with_vat","subtotal":"9133.6","total":"11000.0","native_subtotal":"9133.6","native_total":"11000.0","remaining_amount":"11000.0","remaining_native_amount":"11000.0","eet_records":[],"lines":[{"id":46,"name":"Grafická karta","quantity":"1.0","unit_name":"","unit_price":"8264.0","vat_rate":21,"unit_price_without_vat":"8264.0","unit_price_with_vat":"10000.0","total_price_without_vat":"8264.0","total_vat":"1736.0","native_total_price_without_vat":"8264.0","native_total_vat":"1736.0","inventory":{"item_id":26,"sku":"KU994RUR8465","article_number_type":null,"article_number":null,"move_id":56}},{"id":47,"name":"Jídlo","quantity":"5.0","unit_name":"","unit_price":"173.92","vat_rate":15,"unit_price_without_vat":"173.92","unit_price_with_vat":"200.0","total_price_without_vat":"869.6","total_vat":"130.4","native_total_price_without_vat":"869.6","native_total_vat":"130.4","inventory":null}],"vat_rates_summary":[{"vat_rate":21,"base":"8264.0","vat":"1736.0","currency":"CZK","native_base":"8264.0","native_vat":"1736.0","native_currency":"CZK"},{"vat_rate":15,"base":"869.6","vat":"130.4","currency":"CZK","native_base":"869.6","native_vat":"130.4","native_currency":"CZK"}],"paid_advances":[],"payments":[{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}],"attachments":null,"html_url":"https://app.fakturoid.cz/applecorp/invoices/27","public_html_url":"https://app.fakturoid.cz/applecorp/p/69UqMuxhiA/2023-0021","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27.json","pdf_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/invoices/27/download.pdf","subject_url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-11-30T13:50:45.848+01:00","updated_at":"2023-12-01T09:05:47.187+01:00"},"payment":{"id":2,"paid_on":"2023-12-08","currency":"CZK","amount":"1210.0","native_amount":"1210.0","variable_symbol":"120230004","bank_account_id":11,"tax_document_id":null,"created_at":"2024-01-12T11:58:30.468+01:00","updated_at":"2024-01-15T16:32:08.890+01:00"}}', 'day-2-waits', '2026-11-25 21:30:57.416805+00'),
	(1827084599033909, 2, 'subject_created', '{"subject":{"id":16,"custom_id":null,"user_id":null,"type":"customer","name":"Apple Czech s.r.o.","full_name":null,"email":"pokus@test.cz","email_copy":null,"phone":null,"web":"https://www.apple.cz","street":"Klimentská 1216/46","city":"Praha","zip":"11000","country":"CZ","has_delivery_address":false,"delivery_name":null,"delivery_street":null,"delivery_city":null,"delivery_zip":null,"delivery_country":null,"due":null,"currency":null,"language":null,"private_note":null,"registration_no":"28897501","vat_no":"CZ28897501","local_vat_no":null,"unreliable":null,"unreliable_checked_at":null,"legal_form":null,"vat_mode":null,"bank_account":null,"iban":null,"swift_bic":null,"variable_symbol":null,"setting_update_from_ares":"inherit","ares_update":false,"setting_invoice_pdf_attachments":"inherit","setting_estimate_pdf_attachments":"inherit","setting_invoice_send_reminders":"inherit","suggestion_enabled":true,"custom_email_text":null,"overdue_email_text":null,"invoice_from_proforma_email_text":null,"thank_you_email_text":null,"custom_estimate_email_text":null,"webinvoice_history":null,"html_url":"https://app.fakturoid.cz/applecorp/subjects/16","url":"https://app.fakturoid.cz/api/v3/accounts/applecorp/subjects/16.json","created_at":"2023-08-22T10:59:00.330+02:00","updated_at":"2023-08-22T10:59:00.330+02:00"}}', NULL, '2026-11-25 21:30:57.426364+00');
INSERT INTO public.events_waiting VALUES
	(1827084599033908, 2, 'invoice_paid', '2026-11-25 21:30:57.419838+00'),
	(1827084599033909, 2, 'subject_created', '2026-11-25 21:30:57.427207+00');
INSERT INTO public.webhooks OVERRIDING SYSTEM VALUE VALUES
	(1, 2, 'a4b36c74-ec94-40d7-acb2-62b3a4737090', 'RECEIVER/paid', 'gAAAAABrBgH1VX-EL4Q9vwJV7rviJ1-QfF9D4qcn9UHT5i-EdRHN2a4vmATWCCdu16ah53lJyPgpPOIk57DdDnRZj2FFq_aE1g==', 'gAAAAABrBgH1wQzJmIdZ1598e9kLQS1qznsBDYuH7q-QPULEjo2B5oeqtbwZxv1yHHOzHvpr9aGt-7UhdiiCDDtUK4Ju7Z7Mn2bBfwGerIaoYKsAExsbbq5EEe5_e_Lc3n76eJFez0rtlOenktjVoB0KNAJM19GMJw==', NULL, NULL, true, '{invoice_paid,subject_created}', 'v3', '2026-11-24 21:30:29.782918+00', '2026-11-24 21:30:29.782918+00', NULL),
	(2, 2, 'a04d2b1c-c853-4727-b007-ad421044974c', 'RECEIVER/flaky', NULL, 'gAAAAABrBgH1U_R307vECePMCVcTvDmRylcr7-7iG76hp4iHrho5QqqnJl1rLV_lxwOxxTe-tkNCMwO3upuO2WbHuswyTKiYv5mlIgXwFzoLcltpt92o3KEAPla3RLGNWBl3H7oLPqqFCe0mM59soFM-AOieR2iMZg==', NULL, NULL, true, '{invoice_paid}', 'v3', '2026-11-24 21:30:29.788321+00', '2026-11-24 21:30:29.788321+00', NULL),
	(3, 2, '3d21fad0-9458-4e0b-b8cd-4e7ba0a0347b', 'RECEIVER/legacy?token=old', NULL, 'gAAAAABrBgH1qc7CLn1GLgDheGWUmMZAxKZlTzFWvv0azKAH4hp38e2tNIigZseCUPZE4zIZWO4Od5U9oZLBl62pk40u_HXXjGcW1QIV-ZWKkZH_4O-FEeCJ-EmBQPM67ryXq80aiNC4dRLLkqXZ2ef4K_JCuBCafQ==', NULL, NULL, true, '{invoice_paid}', 'legacy', '2026-11-24 21:30:29.79017+00', '2026-11-24 21:30:29.79017+00', NULL),
	(4, 2, '17c2ef6c-bc6b-4f8a-9f93-56d7045ca483', 'RECEIVER/dead', NULL, 'gAAAAABrBgH1xfi9OJKQ_2vjR0JcRs8Dft3BEq2NhfKLiEAlwjNLKJAteqOqEylPqZUT_6lcVQER2L8AyxNvwBXshJpLRYxQxyONR1OhdClSpui_RSQ0ZlMTCct27hM1FyJBu0BFtKc1VgCO4lFFXomV0V6yHzn_LQ==', NULL, NULL, true, '{expense_created}', 'v3', '2026-11-24 21:30:29.791762+00', '2026-11-24 21:30:29.791762+00', NULL),
	(5, 2, 'f4feb010-315c-4bd0-9a93-e09863ed134a', 'RECEIVER/off', NULL, 'gAAAAABrBgH-DSbOROl92j5eAhY9TRSEbAaFSoNlCCjB7Gbd9Dwm-Ii6e5hru0krKx2CryRoRX2g0zS_9VEhaVuqhgGyN8ZteJ-QhW9nKddyx4VsH7dnkt0KJts5wMRkKJQb8_zmiksDf2Dm8V0gYj7sKnn66RPuSQ==', NULL, NULL, false, '{subject_created}', 'v3', '2026-11-24 21:30:38.340997+00', '2026-11-24 21:30:42.13791+00', NULL),
	(6, 2, '6aeb22a4-a922-457f-b0e9-70af79abd069', 'RECEIVER/gone', NULL, 'gAAAAABrBgH-rZc3_K3xrEfM6ecFkuEMNKZ-H2bCgECPNBAPZXbSBXVk4XG_wtOuqZCdhJuzeJ8p-vWwYcBFoqNa05zGYtrn1cSJzdh4_E1mjs6zeL9whW_YUfUAt5ZAi7ZbEdvEdK08B_8MNA-T6MnhGMdjHyRsDw==', NULL, NULL, false, '{subject_created}', 'v3', '2026-11-24 21:30:38.343349+00', '2026-11-24 21:30:42.142955+00', '2026-11-24 21:30:42.142955+00'),
	(7, 2, 'abb8d176-d124-4e3d-916d-2e071bde6451', 'RECEIVER/slow', NULL, 'gAAAAABrB1OK6y16IfVmo5UjGaXfFj8TW0GnE99zDKLpyIVo9TOYTaFDFyyxpGNZ5gN_g4bdkLIVBRaqt4xAKwdJZq_21-lUKm_AtSyUrR_28BuPL5B7v_WN9K-e04fAxDpgU6heQEwlilWspxEUW4BYbJPZqMGPog==', NULL, NULL, true, '{subject_created}', 'v3', '2026-11-25 21:30:50.064417+00', '2026-11-25 21:30:50.064417+00', NULL);
SELECT pg_catalog.setval('public.accounts_id_seq', 2, true);
SELECT pg_catalog.setval('public.attempt_id', 300, true);
SELECT pg_catalog.setval('public.delivery_id', 200, true);
SELECT pg_catalog.setval('public.event_counter', 99, true);
SELECT pg_catalog.setval('public.webhooks_id_seq', 7, true);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_slug_is_unique UNIQUE (slug);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261124
    ADD CONSTRAINT events_20261124_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261125
    ADD CONSTRAINT events_20261125_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261126
    ADD CONSTRAINT events_20261126_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261127
    ADD CONSTRAINT events_20261127_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261128
    ADD CONSTRAINT events_20261128_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261129
    ADD CONSTRAINT events_20261129_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261130
    ADD CONSTRAINT events_20261130_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261201
    ADD CONSTRAINT events_20261201_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_20261202
    ADD CONSTRAINT events_20261202_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_default
    ADD CONSTRAINT events_default_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events_waiting
    ADD CONSTRAINT events_waiting_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_failed_deliveries_uuid_key UNIQUE (failed_deliveries_uuid);
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);
CREATE INDEX attempts_by_delivery ON ONLY public.attempts USING btree (delivery_id);
CREATE INDEX attempts_20261124_delivery_id_idx ON public.attempts_20261124 USING btree (delivery_id);
CREATE INDEX attempts_20261125_delivery_id_idx ON public.attempts_20261125 USING btree (delivery_id);
CREATE INDEX attempts_20261126_delivery_id_idx ON public.attempts_20261126 USING btree (delivery_id);
CREATE INDEX attempts_20261127_delivery_id_idx ON public.attempts_20261127 USING btree (delivery_id);
CREATE INDEX attempts_20261128_delivery_id_idx ON public.attempts_20261128 USING btree (delivery_id);
CREATE INDEX attempts_20261129_delivery_id_idx ON public.attempts_20261129 USING btree (delivery_id);
CREATE INDEX attempts_20261130_delivery_id_idx ON public.attempts_20261130 USING btree (delivery_id);
CREATE INDEX attempts_20261201_delivery_id_idx ON public.attempts_20261201 USING btree (delivery_id);
CREATE INDEX attempts_20261202_delivery_id_idx ON public.attempts_20261202 USING btree (delivery_id);
CREATE INDEX attempts_default_delivery_id_idx ON public.attempts_default USING btree (delivery_id);
CREATE INDEX deliveries_20261124_by_webhook ON public.deliveries_20261124 USING btree (webhook_id, id);
CREATE INDEX deliveries_by_id ON ONLY public.deliveries USING btree (id);
CREATE INDEX deliveries_20261124_id_idx ON public.deliveries_20261124 USING btree (id);
CREATE INDEX deliveries_20261125_by_webhook ON public.deliveries_20261125 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261125_id_idx ON public.deliveries_20261125 USING btree (id);
CREATE INDEX deliveries_20261126_by_webhook ON public.deliveries_20261126 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261126_id_idx ON public.deliveries_20261126 USING btree (id);
CREATE INDEX deliveries_20261127_by_webhook ON public.deliveries_20261127 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261127_id_idx ON public.deliveries_20261127 USING btree (id);
CREATE INDEX deliveries_20261128_by_webhook ON public.deliveries_20261128 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261128_id_idx ON public.deliveries_20261128 USING btree (id);
CREATE INDEX deliveries_20261129_by_webhook ON public.deliveries_20261129 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261129_id_idx ON public.deliveries_20261129 USING btree (id);
CREATE INDEX deliveries_20261130_by_webhook ON public.deliveries_20261130 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261130_id_idx ON public.deliveries_20261130 USING btree (id);
CREATE INDEX deliveries_20261201_by_webhook ON public.deliveries_20261201 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261201_id_idx ON public.deliveries_20261201 USING btree (id);
CREATE INDEX deliveries_20261202_by_webhook ON public.deliveries_20261202 USING btree (webhook_id, id);
CREATE INDEX deliveries_20261202_id_idx ON public.deliveries_20261202 USING btree (id);
CREATE UNIQUE INDEX deliveries_are_one_per_event_and_webhook ON public.deliveries_waiting USING btree (event_id, webhook_id);
CREATE INDEX deliveries_default_by_webhook ON public.deliveries_default USING btree (webhook_id, id);
CREATE INDEX deliveries_default_id_idx ON public.deliveries_default USING btree (id);
CREATE INDEX deliveries_due ON public.deliveries_waiting USING btree (webhook_id, next_attempt_at);
CREATE INDEX deliveries_waiting_id_idx ON public.deliveries_waiting USING btree (id);
CREATE INDEX events_by_key ON ONLY public.events USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261124_account_id_idempotency_key_idx ON public.events_20261124 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261124_key_is_unique ON public.events_20261124 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261125_account_id_idempotency_key_idx ON public.events_20261125 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261125_key_is_unique ON public.events_20261125 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261126_account_id_idempotency_key_idx ON public.events_20261126 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261126_key_is_unique ON public.events_20261126 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261127_account_id_idempotency_key_idx ON public.events_20261127 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261127_key_is_unique ON public.events_20261127 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261128_account_id_idempotency_key_idx ON public.events_20261128 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261128_key_is_unique ON public.events_20261128 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261129_account_id_idempotency_key_idx ON public.events_20261129 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261129_key_is_unique ON public.events_20261129 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261130_account_id_idempotency_key_idx ON public.events_20261130 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261130_key_is_unique ON public.events_20261130 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261201_account_id_idempotency_key_idx ON public.events_20261201 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261201_key_is_unique ON public.events_20261201 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_20261202_account_id_idempotency_key_idx ON public.events_20261202 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX events_20261202_key_is_unique ON public.events_20261202 USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX events_default_account_id_idempotency_key_idx ON public.events_default USING btree (account_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX webhooks_by_account ON public.webhooks USING btree (account_id) WHERE (deleted_at IS NULL);
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261124_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261125_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261126_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261127_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261128_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261129_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261130_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261201_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_20261202_delivery_id_idx;
ALTER INDEX public.attempts_by_delivery ATTACH PARTITION public.attempts_default_delivery_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261124_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261125_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261126_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261127_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261128_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261129_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261130_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261201_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_20261202_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_default_id_idx;
ALTER INDEX public.deliveries_by_id ATTACH PARTITION public.deliveries_waiting_id_idx;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261124_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261124_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261125_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261125_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261126_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261126_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261127_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261127_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261128_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261128_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261129_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261129_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261130_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261130_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261201_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261201_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_20261202_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_20261202_pkey;
ALTER INDEX public.events_by_key ATTACH PARTITION public.events_default_account_id_idempotency_key_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_default_pkey;
ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
