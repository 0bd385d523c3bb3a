"""What may be written of a webhook whose events go into a queue."""

from typing import Any

import pytest
from marshmallow import ValidationError

from dispatcher.model.destination import Destination
from dispatcher.schemas.api.webhook import ClientWebhookSchema, FilteredWebhookSchema
from dispatcher.schemas.errors import texts_by_field
from tests.support.cases import each

CREDENTIALS = {"username": "events", "password": "s3cret"}
RABBITMQ = {"webhook_url": "amqps://mq.example.com/shop", "credentials": CREDENTIALS}


def outcome(**attributes: Any) -> Any:
    """What is loaded, or the fields that are refused with their messages."""
    try:
        return FilteredWebhookSchema().load({"events": ["invoice_paid"]} | attributes)
    except ValidationError as error:
        return texts_by_field(error)


@each("url", ["amqps://mq.example.com", "amqp://mq.example.com:5673/", "AMQPS://10.0.0.1/a%2Fb"])
def test_a_queue_is_named_by_its_url(url: str) -> None:
    loaded = outcome(webhook_url=url, credentials=CREDENTIALS)

    assert loaded["webhook_url"] == url
    assert loaded["destination"] == {}  # not null: that is HTTP's
    assert outcome(**RABBITMQ, destination={"exchange": "shop", "routing_key": "{event}.{webhook}"})["destination"] == {
        "exchange": "shop",
        "routing_key": "{event}.{webhook}",
    }


@each(
    ("url", "destination", "credentials"),
    [
        ("kafkas://a.example.com:9093,b.example.com/orders", {"sasl_mechanism": "SCRAM-SHA-512"}, CREDENTIALS),
        ("kafka://127.0.0.1/orders.shipped_1", {"key": "{resource}"}, None),
    ],
)
def test_topics_of_kafka_are_named_with_some_brokers(url: str, destination: Any, credentials: Any) -> None:
    loaded = outcome(webhook_url=url, destination=destination, credentials=credentials)

    assert (loaded["webhook_url"], loaded["destination"]) == (url, destination)
    for wrong in ("kafka://a", "kafka://a/", "kafka://a,/x", "kafka://a:b/x", "kafka://a:70000,b/x", "kafka://a/x/y"):
        assert "webhook_url" in outcome(webhook_url=wrong)
    assert "destination" in outcome(webhook_url=url, destination={"sasl_mechanism": "GSSAPI"})


AWS = {"access_key_id": "AKIA", "secret_access_key": "s3cret"}


@each(
    ("url", "destination", "credentials"),
    [
        ("sqs://eu-central-1/123456789012/orders", {}, AWS),
        ("sqs://eu-central-1/123456789012/orders.fifo", {"message_group_id": "{resource}"}, AWS),
        ("s3://my.bucket-1", {"region": "eu-central-1"}, AWS),
        ("s3://events/{event}/{date}/{id}.json", {"region": "x", "endpoint": "https://minio.example.com:9000"}, AWS),
        ("pubsub://my-project/orders", {}, {"service_account": '{"private_key": "-----BEGIN\\n"}'}),
        ("pubsub://example.com:project/orders", {"endpoint": "http://127.0.0.1:8085"}, None),
    ],
)
def test_clouds_are_named_by_their_schemes(url: str, destination: Any, credentials: Any) -> None:
    loaded = outcome(webhook_url=url, destination=destination, credentials=credentials)

    assert (loaded["webhook_url"], loaded["destination"]) == (url, destination)
    assert "webhook_url" in outcome(webhook_url=f"{url}?x=1", destination=destination, credentials=credentials)
    assert "destination" in outcome(
        webhook_url=url, destination={**destination, "endpoint": "https://x/y"}, credentials=credentials
    )
    assert "credentials" in outcome(webhook_url=url, destination=destination, credentials={"username": "x"})


@each(
    "url",
    [
        *("sqs://eu-central-1/orders", "sqs://sqs.eu-central-1.amazonaws.com/1/orders", "s3://Bucket", "s3://"),
        *("s3://events/{body}", "s3://events/%7Bbody%7D", "pubsub://my-project", "pubsub://my-project/a/b"),
        *("sqs://a.b@evil/1/orders", "s3://bucket/é", "s3://bucket\\x"),
    ],
)
def test_what_names_nothing_there_is_refused(url: str) -> None:
    assert "webhook_url" in outcome(webhook_url=url, destination={"region": "x"}, credentials=AWS)


@each(
    "url",
    [
        *("amqps://user:secret@mq.example.com/", "amqps:///", "amqps://mq/a/b", "amqps://mq/?x=1", "amqps://mq:0"),
        *("amqps://mq:99999", "amqps://[::1", "amqps://mq/\n", "amqps://a,b/", "amqps:mq", "ftp://mq", "sqs2://q", ""),
    ],
)
def test_what_names_none_is_refused(url: str) -> None:
    assert [*outcome(webhook_url=url)] == ["webhook_url"]


@each(
    ("attributes", "field"),
    [
        ({"destination": {"queue": "x"}}, "destination"),
        ({"destination": {"routing_key": "{body}"}}, "destination"),
        ({"destination": {"routing_key": "{event"}}, "destination"),
        ({"destination": {"routing_key": "x" * 256}}, "destination"),
        ({"destination": {"routing_key": "{event.__class__}"}}, "destination"),
        ({"destination": {"exchange": "a\nb"}}, "destination"),
        ({"destination": {"exchange": 5}}, "destination"),
        ({"destination": []}, "destination"),
        ({"credentials": {"username": "x"}}, "credentials"),
        ({"credentials": {"username": "x", "password": None}}, "credentials"),
        ({"credentials": None}, "credentials"),
        ({"auth_header": "Bearer x"}, "auth_header"),
        ({"oauth2": {"token_url": "https://example.com", "client_id": "a", "client_secret": "b"}}, "oauth2"),
    ],
)
def test_what_does_not_fit_it_is_refused(attributes: dict[str, Any], field: str) -> None:
    assert [*outcome(**{**RABBITMQ, **attributes})] == [field]


def test_http_has_neither_and_api_v3_has_nothing_else() -> None:
    https = {"webhook_url": "https://example.com/hook"}

    assert "destination" not in outcome(**https)
    assert [*outcome(**https, destination={}, credentials=CREDENTIALS)] == ["destination", "credentials"]
    with pytest.raises(ValidationError, match="is invalid"):
        ClientWebhookSchema().load({"events": ["invoice_paid"], **RABBITMQ})


def test_places_are_filled_once_and_by_values_only() -> None:
    values = {"event": "{id}", "id": "7", "resource": "", "webhook": "1", "date": "2026-11-29"}
    destination = Destination(webhook_id=1, settings={"key": "{event}/{date}"}, credentials=CREDENTIALS, values=values)

    assert destination.setting("key") == "{id}/2026-11-29"
    assert destination.setting("other", "{id}") == "7"
    assert "s3cret" not in repr(destination)
