"""What channels are to be notified of: the difference between the state of things and `alerts_sent`.

Nothing is written when a webhook fails or recovers: `failing_since` and `deactivated_at` say so already. An alert is
written when its message was taken. A process that dies before loses nothing; one that dies in between leads to the same
message with the same id.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from dispatcher.errors import AlertChannelNotFound
from dispatcher.model.alert import Alert, AlertChannel, AlertKind
from dispatcher.storage.admin.alert_channels import COLUMNS, read_channel
from dispatcher.storage.engine import Connection, array, one, rows, scalar, scalars
from dispatcher.storage.secrets import SecretBox

QUOTA_ENDS = "interval '1 hour'"
"""A quota that was not reached for this long may be alerted again."""
MOST = 2_000
"""Alerts in one message; the rest comes with the next."""

# What is the case now. Index: webhooks_in_trouble. What operators alone can see comes as parameters.
_CASES = f"""
    select w.account_id, 'webhook:' || w.id as subject, coalesce(w.deactivated_at, w.failing_since) as since,
        case when w.deactivated_at is null then 'failing' else 'disabled' end as kind,
        w.id as webhook_id, w.webhook_url as label, w.deactivated_reason as detail
    from dispatcher.webhooks w
    where w.deleted_at is null and (w.failing_since is not null or w.deactivated_at is not null)
        and (w.active or w.deactivated_at is not null) {{of_account}}
    union all
    select coalesce(c.account_id, a.id), 'quota:' || q.owner_id || ':' || q.quota, q.since, 'quota_reached', null,
        coalesce('client ' || c.name, 'service token ' || t.name, 'all service tokens in the account'), q.quota
    from dispatcher.quotas_reached q
    left join dispatcher.clients c on q.quota <> 'account_emits' and c.id = q.owner_id
    left join dispatcher.service_tokens t on q.quota <> 'account_emits' and t.id = -q.owner_id
    left join dispatcher.accounts a on q.quota = 'account_emits' and a.id = q.owner_id
    where q.reached_at > dispatcher.now() - {QUOTA_ENDS} and coalesce(a.id, c.id, t.id) is not null
    union all
    select null, subject, since, kind, null, label, detail
    from unnest(%(subjects)s::text[], %(sinces)s::timestamptz[], %(kinds)s::text[], %(labels)s::text[],
        %(details)s::text[]) operators (subject, since, kind, label, detail)
"""

# Operators are notified of every account's: their channels have 0 in the place of an account.
_NEW = """
    select c.id as channel_id, x.*
    from ({cases}) x cross join lateral (values (x.account_id), (0)) whose (id)
    join channels c on coalesce(c.account_id, 0) = whose.id
    where x.kind = any (c.alerts)
        and (x.kind <> 'failing' or x.since <= dispatcher.now() - make_interval(mins => c.failing_after_minutes))
        and not exists (
            select from dispatcher.alerts_sent t
            where t.channel_id = c.id and t.subject = x.subject and t.kind = x.kind)
"""

# A webhook's owner who edits it ends `failing_since`, too: a delivery since then is what shows that it is well.
_RECOVERED = """
    w.active and w.deleted_at is null and w.failing_since is null and t.delivered < (
        select coalesce(sum(f.delivered), 0) from dispatcher.figures_by_hour f
        where f.webhook_id = t.webhook_id and f.hour >= date_trunc('hour', t.sent_at))
"""
_OPERATORS_OVER = "t.kind in ('backlog', 'outbox') and t.subject <> all (%(subjects)s::text[])"
_OVER = f"""
    select t.channel_id, w.account_id, t.subject, t.since, 'recovered' as kind, t.webhook_id,
        coalesce(w.webhook_url, split_part(t.subject, ':', 2)) as label, null as detail
    from dispatcher.alerts_sent t join channels c on c.id = t.channel_id
    left join dispatcher.webhooks w on w.id = t.webhook_id
    where 'recovered' = any (c.alerts) and (({_RECOVERED}) or ({_OPERATORS_OVER}))
"""


def _new(of_account: str = "") -> str:
    return _NEW.format(cases=_CASES.format(of_account=of_account))


_OF_ACCOUNT = "and (%(account_id)s::int is null or w.account_id = %(account_id)s)"

_FIND = f"""
with channels as materialized (
    select * from dispatcher.alert_channels where active and due_at <= dispatcher.now())
select distinct channel_id from (
    select channel_id from ({_new()}) n union all select channel_id from ({_OVER}) o) news
order by 1 limit %(limit)s
"""

_READ = f"""
with channels as materialized (select * from dispatcher.alert_channels where id = %(channel_id)s)
select n.subject, n.kind, n.since, a.slug, n.webhook_id, n.label, n.detail
from ({_new(_OF_ACCOUNT)} union all select * from ({_OVER}) o) n left join dispatcher.accounts a on a.id = n.account_id
order by n.kind, n.since, n.subject limit {MOST}
"""

# Ends without a message: webhooks deleted or paused by their owners, quotas of an hour ago, and recoveries of which
# the channel is not notified.
_FORGET = f"""
delete from dispatcher.alerts_sent t using dispatcher.alert_channels c
where c.id = t.channel_id and (
    t.kind = 'quota_reached' and not exists (
        select from dispatcher.quotas_reached q
        where t.subject = 'quota:' || q.owner_id || ':' || q.quota and q.reached_at > dispatcher.now() - {QUOTA_ENDS})
    or t.webhook_id is not null and not exists (
        select from dispatcher.webhooks w where w.id = t.webhook_id and w.deleted_at is null
            and (w.active or w.deactivated_at is not null))
    or 'recovered' <> all (c.alerts) and (({_OPERATORS_OVER}) or exists (
        select from dispatcher.webhooks w where w.id = t.webhook_id and {_RECOVERED})))
"""

_CLAIM = """
update dispatcher.alert_channels set due_at = dispatcher.now() + make_interval(secs => %(lease_s)s)
where id = any (%(ids)s::int[]) and active and due_at <= dispatcher.now()
returning id
"""
_CHANNEL = f"select {COLUMNS} from dispatcher.alert_channels c where c.id = %(id)s"

_ADD = """
insert into dispatcher.alerts_sent as t (channel_id, subject, kind, since, webhook_id, delivered)
select %(channel_id)s, subject, kind, since, webhook_id, coalesce((
    select delivered from dispatcher.figures_by_hour f
    where f.webhook_id = new.webhook_id and f.hour = date_trunc('hour', dispatcher.now())), 0)
from unnest(%(subjects)s::text[], %(kinds)s::text[], %(sinces)s::timestamptz[], %(webhook_ids)s::int[])
    new (subject, kind, since, webhook_id)
on conflict (channel_id, subject) do update
    set kind = excluded.kind, since = excluded.since, sent_at = excluded.sent_at, delivered = excluded.delivered
"""
_FORGET_RECOVERED = """
delete from dispatcher.alerts_sent where channel_id = %(channel_id)s and subject = any (%(subjects)s::text[])
"""
_SENT = """
update dispatcher.alert_channels set due_at = dispatcher.now() + make_interval(secs => %(pause_s)s), failures = 0,
    last_error = null, last_sent_at = dispatcher.now()
where id = %(channel_id)s
"""
_NOT_SENT = """
update dispatcher.alert_channels set due_at = dispatcher.now() + make_interval(secs => %(pause_s)s),
    failures = failures + 1, last_error = %(error)s
where id = %(channel_id)s
"""
_RELEASE = "update dispatcher.alert_channels set due_at = dispatcher.now() where id = any (%(ids)s::int[])"

_PRUNE = "delete from dispatcher.quotas_reached where reached_at < dispatcher.now() - interval '1 day'"

_REACH = f"""
insert into dispatcher.quotas_reached as q (owner_id, quota)
select * from unnest(%(owner_ids)s::int[], %(quotas)s::text[])
on conflict (quota, owner_id) do update set reached_at = excluded.reached_at,
    since = case when q.reached_at > dispatcher.now() - {QUOTA_ENDS} then q.since else excluded.since end
"""


def find(connection: Connection, of_operators: Sequence[Alert], limit: int) -> list[int]:
    """The ids of channels with news, that are due; what ended without a message is forgotten first."""
    parameters = _of_operators(of_operators)
    rows(connection, _FORGET, subjects=parameters["subjects"])
    return scalars(connection, _FIND, **parameters, limit=limit)


def wants_operators(connection: Connection) -> bool:
    """Whether a channel is for what only operators see, which costs more to read."""
    sql = """select exists (
        select from dispatcher.alert_channels where active and account_id is null and alerts && '{backlog,outbox}')"""
    return bool(scalar(connection, sql))


def claim(connection: Connection, ids: Iterable[int], lease_s: float) -> list[int]:
    """Those of the channels that nobody else sends to; nobody does for `lease_s` seconds."""
    return sorted(scalars(connection, _CLAIM, ids=array(ids), lease_s=lease_s))


def channel(connection: Connection, secrets: SecretBox, id_: int) -> AlertChannel:
    """A channel, whosever it is; raises AlertChannelNotFound, SecretDecryptionFailed."""
    return read_channel(one(connection, AlertChannelNotFound(id_), _CHANNEL, id=id_), secrets)


def read(connection: Connection, whose: AlertChannel, of_operators: Sequence[Alert]) -> list[Alert]:
    """The channel's news, MOST at most."""
    which = {"channel_id": whose.id, "account_id": whose.account_id}
    return [_alert(*row) for row in rows(connection, _READ, **which, **_of_operators(of_operators))]


def sent(connection: Connection, channel_id: int, alerts: Sequence[Alert], pause_s: float) -> None:
    """The channel was notified; the next message is at least `pause_s` seconds away."""
    over = [one.subject for one in alerts if one.kind is AlertKind.RECOVERED]
    new = [one for one in alerts if one.kind is not AlertKind.RECOVERED]
    rows(connection, _FORGET_RECOVERED, channel_id=channel_id, subjects=array(over))
    rows(
        connection,
        _ADD,
        channel_id=channel_id,
        subjects=array(one.subject for one in new),
        kinds=array(str(one.kind) for one in new),
        sinces=array(one.since for one in new),
        webhook_ids=array(one.webhook_id for one in new),
    )
    rows(connection, _SENT, channel_id=channel_id, pause_s=pause_s)


def not_sent(connection: Connection, channel_id: int, error: str, pause_s: float) -> None:
    """The message was not taken; the next attempt is `pause_s` seconds away."""
    rows(connection, _NOT_SENT, channel_id=channel_id, error=error, pause_s=pause_s)


def release(connection: Connection, ids: Iterable[int]) -> None:
    """Others may send to these at once."""
    rows(connection, _RELEASE, ids=array(ids))


def prune(connection: Connection) -> None:
    """Forgets quotas that were reached long ago."""
    rows(connection, _PRUNE)


def reach_quotas(connection: Connection, keys: Iterable[tuple[int, str]]) -> None:
    """These were reached just now: an owner (`access.rate_limit.Key`) and the quota's name."""
    keys = sorted(keys)
    rows(connection, _REACH, owner_ids=array(id_ for id_, _ in keys), quotas=array(quota for _, quota in keys))


def _of_operators(alerts: Sequence[Alert]) -> dict[str, object]:
    return {
        "subjects": array(one.subject for one in alerts),
        "sinces": array(one.since for one in alerts),
        "kinds": array(str(one.kind) for one in alerts),
        "labels": array(one.label for one in alerts),
        "details": array(one.detail for one in alerts),
    }


def _alert(
    subject: str, kind: str, since: datetime, slug: str | None, webhook_id: int | None, label: str, detail: str | None
) -> Alert:
    return Alert(
        subject=subject,
        kind=AlertKind(kind),
        since=since,
        account=slug,
        webhook_id=webhook_id,
        label=label if webhook_id is None else _host(label),
        detail=detail,
    )


def _host(url: str) -> str:
    """Of a webhook's URL, whose path may be secret; of a row that came another way, too, which keeps no alert back."""
    try:
        return urlsplit(url).hostname or "unknown host"
    except ValueError:
        return "unknown host"
