"""SQS and S3 as moto has them, which checks signatures as AWS does; Pub/Sub as a receiver that checks tokens, by both
senders of HTTP."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network
from typing import Any

import pytest
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from dispatcher.model.attempt import Result
from dispatcher.model.destination import Destination
from dispatcher.sender.brokers import Brokers
from dispatcher.sender.contract import Limits, Request
from dispatcher.sender.mixed import MixedSender
from tests.support.cases import each
from tests.support.posting import LOOPBACK, MakeSender, collect
from tests.support.receiver import Answer, Receiver

REGION = "eu-central-1"
QUEUE = f"sqs://{REGION}/123456789012/orders"
HEADERS = [
    ("Content-Type", "application/json"),
    ("User-Agent", "webhook-dispatcher"),
    ("webhook-id", "msg_1"),
    ("webhook-signature", "v1,a+/= v1,b"),
]
BODY = '{"order":{"city":"Łódź"}}'
LIMITS = Limits(allowed_networks=tuple(map(ip_network, LOOPBACK)))


@dataclass(frozen=True)
class Aws:
    """A server, and the keys of somebody who may do everything on it."""

    endpoint: str
    access_key_id: str = "first"
    secret_access_key: str = "s3cret"

    @cache  # noqa: B019 - it reads hundreds of kilobytes of JSON
    def client(self, service: str) -> Any:
        return Session().create_client(
            service, region_name=REGION, endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key_id, aws_secret_access_key=self.secret_access_key,
        )  # fmt: skip

    @property
    def credentials(self) -> dict[str, str]:
        return {"access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key}


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "3")  # then it checks signatures
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - it reads that once

        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        aws = Aws(f"http://{host}:{port}")
        allowed = {"Effect": "Allow", "Action": ["sqs:*", "s3:*"], "Resource": "*"}
        iam = aws.client("iam")
        iam.create_user(UserName="shop")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="shop", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="shop")["AccessKey"]
        aws = Aws(aws.endpoint, key["AccessKeyId"], key["SecretAccessKey"])
        sqs = aws.client("sqs")
        sqs.create_queue(QueueName="orders")
        sqs.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"})
        aws.client("s3").create_bucket(Bucket="events", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield aws
        server.stop()


@pytest.fixture
def sender(make_sender: MakeSender) -> MixedSender:
    return MixedSender(make_sender(), Brokers(LIMITS), LIMITS)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def sent(
    sender: MixedSender, url: str, settings: dict[str, str], credentials: dict[str, str], *, id_: str = "key-1"
) -> Result:
    values = {"event": "order.shipped", "id": id_, "resource": "order:9 3", "webhook": "5", "date": "2026-11-29"}
    where = Destination(webhook_id=5, settings=settings, credentials=credentials, values=values)
    sender.start(Request(tag=1, url=url, headers=HEADERS, body=BODY.encode(), destination=where))
    (result,) = collect(sender, 1)
    assert sender.in_flight == 0
    return result


def test_a_message_is_in_the_queue_with_its_headers_as_attributes(sender: MixedSender, aws: Aws) -> None:
    assert sent(sender, QUEUE, {"endpoint": aws.endpoint}, aws.credentials).status == "200"

    sqs, url = aws.client("sqs"), f"{aws.endpoint}/123456789012/orders"
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert message["Body"] == BODY
    assert {name: one["StringValue"] for name, one in message["MessageAttributes"].items()} == dict(HEADERS[2:])


def test_a_fifo_queue_takes_a_delivery_once_and_orders_by_resource(sender: MixedSender, aws: Aws) -> None:
    settings = {"endpoint": aws.endpoint, "message_group_id": "{event}"}
    for _ in range(2):
        assert sent(sender, f"{QUEUE}.fifo", settings, aws.credentials, id_=type(sender).__name__).status == "200"

    sqs, url = aws.client("sqs"), f"{aws.endpoint}/123456789012/orders.fifo"
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages", [])
    assert {one["Attributes"]["MessageGroupId"] for one in messages} <= {"order.shipped"}
    assert len(messages) <= 1  # one of both senders


@each(
    ("url", "key"),
    [
        ("s3://events", "order.shipped/2026-11-29/key-1.json"),
        ("s3://events/in/{webhook}/{resource}/+%41.json", "in/5/order:9 3/+%41.json"),
    ],
)
def test_an_object_has_the_key_that_the_url_says(sender: MixedSender, aws: Aws, url: str, key: str) -> None:
    settings = {"endpoint": aws.endpoint, "region": REGION}
    for _ in range(2):  # a delivery that is sent again is the same object
        assert sent(sender, url, settings, aws.credentials).status == "200"

    stored = aws.client("s3").get_object(Bucket="events", Key=key)
    assert stored["Body"].read().decode() == BODY
    assert stored["ContentType"] == "application/json"
    assert stored["Metadata"] == dict(HEADERS[2:])


def test_what_is_signed_wrongly_or_goes_nowhere_has_the_status_of_aws(sender: MixedSender, aws: Aws) -> None:
    wrong = {**aws.credentials, "secret_access_key": "s3cret"}
    endpoint = {"endpoint": aws.endpoint}

    refused = sent(sender, QUEUE, endpoint, wrong)
    assert (refused.status, b"SignatureDoesNotMatch" in refused.body) == ("403", True)
    assert sent(sender, "s3://events", {**endpoint, "region": REGION}, wrong).status == "403"
    assert sent(sender, QUEUE.replace("orders", "nope"), endpoint, aws.credentials).status == "400"
    assert sent(sender, "s3://no-bucket", {**endpoint, "region": REGION}, aws.credentials).status == "404"
    assert sent(sender, QUEUE, {"endpoint": "http://10.0.0.1"}, aws.credentials).status == "blocked_address"


def test_a_message_is_published_with_a_token_that_the_key_has_signed(
    sender: MixedSender, receiver: Receiver, key: rsa.RSAPrivateKey
) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    account = {
        "client_email": "shop@project.iam.gserviceaccount.com",
        "private_key": private.decode(),
        "private_key_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    url = receiver.script("/v1/projects/my-project/topics/orders:publish", Answer(body=b'{"messageIds":["1"]}'))
    settings = {"endpoint": url.partition("/v1")[0]}

    result = sent(sender, "pubsub://my-project/orders", settings, {"service_account": json.dumps(account)})

    assert (result.status, result.body) == ("200", b'{"messageIds":["1"]}')
    (request,) = receiver.requests
    claims = jwt.decode(dict(request.headers)["Authorization"].removeprefix("Bearer "), certs=public)
    assert claims["iss"] == claims["sub"] == account["client_email"]
    assert claims["aud"] == "https://pubsub.googleapis.com/google.pubsub.v1.Publisher"
    (message,) = json.loads(request.body)["messages"]
    assert base64.b64decode(message["data"]).decode() == BODY
    assert message["attributes"] == dict([HEADERS[0], *HEADERS[2:]])
    assert message["orderingKey"] == "order:9 3"
    long = json.dumps({**account, "private_key": private.decode() + 2_000 * " "})  # as one that takes 20 s to read
    for service_account in ('{"private_key": "s3cret"}', long):
        useless = sent(sender, "pubsub://my-project/orders", settings, {"service_account": service_account})
        assert (useless.status, "cannot be read" in (useless.reason or "")) == ("unknown_error", True)
