import os
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from dispatcher.errors import InvalidSetting
from dispatcher.setting_fields import describe
from dispatcher.settings import RemoteSettings, Settings, read_broker_settings, read_proxy, read_settings
from tests.support.builders import SECRET_KEY
from tests.support.cases import each

KEY = SECRET_KEY  # the same in every process of a run
NEEDED = {
    "DATABASE_URL": "postgresql://me:hunter2@db/main",
    "REDIS_URL": "redis://:hunter3@cache:6379/0",
    "SECRET_KEYS": KEY,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith("DISPATCHER_") or name in (*NEEDED, "BROKER_URL", "PORT"):
            monkeypatch.delenv(name)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refused(environment: pytest.MonkeyPatch, **values: Any) -> InvalidSetting:
    for name, value in values.items():
        environment.setenv(name, value)
    with pytest.raises(InvalidSetting) as caught:
        read_settings()
    return caught.value


@each("name", NEEDED)
@each("value", [None, "", "  "])
def test_what_is_required_and_missing_is_named(environment: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    with environment.context() as changed:
        changed.delenv(name) if value is None else changed.setenv(name, value)

        with pytest.raises(InvalidSetting, match=f"^{name}: required: ") as caught:
            read_settings()
        assert caught.value.variable == name


@each(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://hunter2@db"),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "postgresql://[hunter2/db"),
        ("REDIS_URL", "http://hunter2"),
        ("BROKER_URL", "hunter2"),
        ("SECRET_KEYS", "hunter2"),
        ("SECRET_KEYS", f"{KEY},hunter2"),
        ("SECRET_KEYS", "žluťoučký"),
        ("DISPATCHER_SENDER", "telnet"),
        ("DISPATCHER_ALLOWED_NETWORKS", "10.0.0.0/8,everywhere"),
        ("DISPATCHER_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("DISPATCHER_REFUSED_NETWORKS", "203.0.113.0/24,ours"),
        ("DISPATCHER_OIDC_ISSUER", "http://id.example.com"),
        ("DISPATCHER_OIDC_OPERATORS", "ann"),
        ("DISPATCHER_OIDC_READ_ONLY", "=support"),
        ("DISPATCHER_TIMEOUT_S", "quick"),
        ("DISPATCHER_TIMEOUT_S", "0"),
        ("DISPATCHER_TIMEOUT_S", "-30"),
        ("DISPATCHER_TIMEOUT_S", "nan"),
        ("DISPATCHER_TIMEOUT_S", "inf"),
        ("DISPATCHER_BODY_LIMIT", "1.5"),
        ("DISPATCHER_BODY_LIMIT", "-1"),
        ("DISPATCHER_LEASE_S", "9999999"),
        ("DISPATCHER_REDELIVERY_LIMIT", "0"),
        ("DISPATCHER_RETRY_LIMIT", "-1"),
        ("DISPATCHER_RETRY_BASE_S", "0"),
        ("DISPATCHER_RETRY_FACTOR", "0.5"),
        ("DISPATCHER_RETRY_JITTER", "1"),
        ("DISPATCHER_RETRY_AFTER_MAX_S", "-1"),
        ("DISPATCHER_WINDOW_START", "0"),
        ("DISPATCHER_WINDOW_MAX", "many"),
        ("DISPATCHER_DRAIN_CHUNK", "0"),
        ("DISPATCHER_RECONCILE_S", "0"),
        ("DISPATCHER_HOLD_S", "0"),
        ("DISPATCHER_RETENTION_DAYS", "0"),
        ("DISPATCHER_AUDIT_DAYS", "0"),
        ("DISPATCHER_POOL_SIZE", "0"),
        ("DISPATCHER_SCHEMA", "Hooks"),
        ("DISPATCHER_SCHEMA", "pg_hooks"),
        ("DISPATCHER_SCHEMA", "hooks; drop table orders"),
        ("DISPATCHER_SCHEMA", "h" * 64),
        ("DISPATCHER_TIME_ZONE", "Europe/Brigadoon"),
        ("DISPATCHER_TIME_ZONE", "../../etc/passwd"),
        ("DISPATCHER_USER_AGENT", "good\r\nX-Evil: hunter2"),
        ("DISPATCHER_LOG_LEVEL", "loud"),
        ("DISPATCHER_HOST", "not a host"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("DISPATCHER_WEB_WORKERS", "-1"),
        ("DISPATCHER_WEB_THREADS", "0"),
        ("DISPATCHER_QUOTA", "0"),
        ("DISPATCHER_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DISPATCHER_TRUSTED_PROXIES", "*"),
        ("DISPATCHER_SESSION_IDLE_S", "119"),
        ("DISPATCHER_SESSION_IDLE_S", "1 day"),
        ("DISPATCHER_PASSWORD_MEMORY_KIB", "31"),
        ("DISPATCHER_EMIT_QUOTA", "0"),
        ("DISPATCHER_WEB_CONNECTIONS", "9"),
        ("DISPATCHER_PUBLIC_URL", "hooks.example.com"),
        ("DISPATCHER_HOSTS", "https://hooks.internal"),
        ("DISPATCHER_HOSTS", "hooks.internal:8000"),
        ("DISPATCHER_SMTP_TLS", "maybe"),
        ("DISPATCHER_SMTP_FROM", "Ops <ops@example.com>, other@example.com"),
        ("DISPATCHER_ALERT_INTERVAL_S", "0"),
        ("DISPATCHER_TESTING", "perhaps"),
        ("DISPATCHER_OUTBOXES", "postgresql://hunter2@db"),
        ("DISPATCHER_OUTBOXES", "Orders=postgresql://hunter2@db"),
        ("DISPATCHER_OUTBOXES", "orders=mysql://hunter2@db"),
        ("DISPATCHER_OUTBOXES", "orders=postgresql://hunter2@db orders=postgresql://hunter3@db"),
        ("DISPATCHER_OUTBOX", "orders"),
        ("DISPATCHER_EGRESS_PROXY", "proxy.internal:3128"),
        ("DISPATCHER_EGRESS_PROXY", "https://me:hunter2@proxy.internal:3128"),
        ("DISPATCHER_EGRESS_PROXY", "http://proxy.internal"),
        ("DISPATCHER_EGRESS_PROXY", "http://proxy.internal:99999"),
        ("DISPATCHER_EGRESS_PROXY", "http://proxy.internal:3128/path"),
        ("DISPATCHER_EGRESS_PROXY", "http://proxy internal:3128"),
        ("DISPATCHER_EGRESS_LOOKUP", "nowhere"),
        ("DISPATCHER_EGRESS_ADDRESSES", "eth0"),
        ("DISPATCHER_EGRESS_ADDRESSES", "10.0.0.1,10.0.0.2"),
    ],
)
def test_a_bad_value_stops_the_start_and_only_its_variable_is_named(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with environment.context() as changed:
        error = refused(changed, **{name: value})

    assert error.variable == name
    assert str(error).startswith(f"{name}: ")
    for part in value.split(","):
        if len(part) > 3 and part != KEY:  # a number such as 0 may be part of the bounds
            assert part not in str(error).removeprefix(name)
    assert error.__cause__ is None


def test_the_lease_must_be_twice_the_timeout(environment: pytest.MonkeyPatch) -> None:
    assert refused(environment, DISPATCHER_TIMEOUT_S="31").variable == "DISPATCHER_LEASE_S"

    environment.setenv("DISPATCHER_LEASE_S", "62")
    assert read_settings().lease_s == 62


def test_the_window_must_not_start_above_its_maximum(environment: pytest.MonkeyPatch) -> None:
    assert refused(environment, DISPATCHER_WINDOW_MAX="5").variable == "DISPATCHER_WINDOW_START"


def test_mail_needs_a_sender_and_a_password_needs_tls(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DISPATCHER_SMTP_HOST", "mail.example.com")
    with pytest.raises(InvalidSetting, match="DISPATCHER_SMTP_FROM"):
        read_settings()

    environment.setenv("DISPATCHER_SMTP_FROM", "alerts@example.com")
    assert read_settings().smtp_port == 587
    environment.setenv("DISPATCHER_SMTP_USER", "alerts")
    environment.setenv("DISPATCHER_SMTP_TLS", "none")
    with pytest.raises(InvalidSetting, match="DISPATCHER_SMTP_TLS"):
        read_settings()


def test_an_identity_provider_needs_a_client_and_operators(environment: pytest.MonkeyPatch) -> None:
    assert refused(environment, DISPATCHER_OIDC_ISSUER="https://id.example").variable == "DISPATCHER_OIDC_CLIENT_ID"
    assert refused(environment, DISPATCHER_OIDC_CLIENT_ID="console").variable == "DISPATCHER_OIDC_OPERATORS"
    environment.setenv("DISPATCHER_OIDC_OPERATORS", "ann@example.com,realm.roles=admin")
    settings = read_settings()
    assert [(rule.claim, rule.value) for rule in settings.oidc_operators] == [
        ("email", "ann@example.com"),
        ("realm.roles", "admin"),
    ]
    assert "s3cret" not in repr(replace(settings, oidc_client_secret="s3cret"))


def test_crash_points_are_refused_unless_testing(environment: pytest.MonkeyPatch) -> None:
    assert refused(environment, DISPATCHER_FAILPOINT="after_claim").variable == "DISPATCHER_FAILPOINT"

    environment.setenv("DISPATCHER_TESTING", "1")
    assert read_settings().failpoint == "after_claim"


def test_the_defaults_hold_together(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings()

    assert (settings.timeout_s, settings.lease_s, settings.retry_limit) == (30, 60, 5)
    assert settings.broker_url == settings.redis_url
    assert settings.allowed_networks == ()


def test_outboxes_are_read_and_their_urls_not_shown(environment: pytest.MonkeyPatch) -> None:
    urls = "postgresql://me:hunter2@one:5432,two:5432/orders", "postgresql://me:hunter2@db/stock"
    environment.setenv("DISPATCHER_OUTBOXES", f"orders={urls[0]}\n  stock={urls[1]}\n")
    settings = read_settings()

    assert [(one.name, one.url) for one in settings.outboxes] == [("orders", urls[0]), ("stock", urls[1])]
    assert "hunter2" not in repr(settings) + repr(settings.outboxes)


def test_an_empty_variable_means_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DISPATCHER_TIMEOUT_S", "")
    environment.setenv("DISPATCHER_ALLOWED_NETWORKS", " ")

    assert read_settings().timeout_s == 30


def test_lists_and_booleans_are_read(environment: pytest.MonkeyPatch) -> None:
    second = Fernet.generate_key().decode()
    environment.setenv("SECRET_KEYS", f"{KEY}, {second}")
    environment.setenv("DISPATCHER_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8")
    environment.setenv("DISPATCHER_REFUSED_NETWORKS", "10.0.0.1/32")
    environment.setenv("DISPATCHER_TESTING", "1")
    settings = read_settings()

    assert settings.secret_keys == (KEY, second)
    assert [str(network) for network in settings.allowed_networks] == ["10.0.0.0/8", "fd00::/8"]
    assert [str(network) for network in settings.refused_networks] == ["10.0.0.1/32"]
    assert settings.testing is True


def test_a_proxy_is_read_and_its_password_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DISPATCHER_EGRESS_PROXY", "http://us%40corp:hunter2%3A@[::1]:3128/")
    environment.setenv("DISPATCHER_EGRESS_ADDRESSES", "203.0.113.7, 2001:db8::7")
    settings = read_settings()
    proxy = read_proxy(settings.egress_proxy)

    assert (proxy.host, proxy.port, proxy.username, proxy.password) == ("::1", 3128, "us@corp", "hunter2:")
    assert "hunter2" not in repr(settings) + repr(proxy)
    assert [str(address) for address in settings.egress_addresses] == ["203.0.113.7", "2001:db8::7"]


def test_no_secret_is_in_the_repr(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BROKER_URL", "amqp://me:hunter4@mq//")
    text = repr(read_settings())

    assert "hunter" not in text
    assert KEY not in text


def test_every_variable_is_described_by_a_sentence() -> None:
    rows = {row.name: row for row in describe(Settings, RemoteSettings)}

    assert len(rows) == len(Settings.__dataclass_fields__) + len(RemoteSettings.__dataclass_fields__)
    assert rows["DATABASE_URL"].default == "required"
    assert rows["DISPATCHER_TIMEOUT_S"].default == "30"
    assert rows["DISPATCHER_RETRY_AFTER_MAX_S"].default == "86400"
    assert rows["DISPATCHER_ALLOWED_NETWORKS"].default == "empty"
    assert all(len(row.sentence) > 10 for row in rows.values())


def test_flower_needs_the_broker_and_neither_database_nor_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "SECRET_KEYS", "REDIS_URL", "BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidSetting, match="REDIS_URL: required"):
        read_broker_settings()

    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@host/0")
    found = read_broker_settings()
    assert (found.broker_url, found.log_level, found.log_format) == ("redis://:hunter2@host/0", "info", "text")
    assert "hunter2" not in repr(found)

    monkeypatch.setenv("BROKER_URL", "amqp://host")
    monkeypatch.delenv("REDIS_URL")
    assert read_broker_settings().broker_url == "amqp://host"
