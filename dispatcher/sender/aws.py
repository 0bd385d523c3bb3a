"""Messages for SQS and objects for S3 as requests of AWS's HTTP APIs, signed by botocore.

A sender of HTTP sends them: so they are guarded, timed out and kept apart as any other request is, and an attempt's
status is AWS's own code.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dispatcher.model.destination import Destination
from dispatcher.sender.contract import Request

DEFAULT_KEY = "{event}/{date}/{id}.json"
_NO_ATTRIBUTE = frozenset({"Content-Type", "User-Agent"})
"""Headers that are an object's own, or mean nothing there."""
_NO_HOST = re.compile(r"\.|_")
"""In a bucket's name: no certificate of S3 is for such a host."""


def as_http(request: Request, destination: Destination) -> Request:
    """The request that puts a message into the queue, or an object into the bucket, that the URL names."""
    return _sqs(request, destination) if request.url.lower().startswith("sqs:") else _s3(request, destination)


def _sqs(request: Request, destination: Destination) -> Request:
    parts = urlsplit(request.url)
    region, endpoint = parts.netloc, destination.settings.get("endpoint", "").rstrip("/")
    endpoint = endpoint or f"https://sqs.{region}.{_domain(region)}"
    message = {
        "QueueUrl": endpoint + parts.path,
        "MessageBody": request.body.decode(),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in _attributes(request).items() if value
        },
    }
    if parts.path.endswith(".fifo"):  # SQS itself lets a message in once, however often it is sent within 5 minutes
        message["MessageDeduplicationId"] = destination.values["id"]
        message["MessageGroupId"] = destination.setting("message_group_id", "{resource}") or str(destination.webhook_id)
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
    body = json.dumps(message, ensure_ascii=False).encode()
    return _signed(SigV4Auth, ("sqs", region), destination, replace(request, url=f"{endpoint}/", body=body), headers)


def _s3(request: Request, destination: Destination) -> Request:
    parts = urlsplit(request.url)
    bucket, region = parts.netloc, destination.settings["region"]
    key = quote(destination.fill(parts.path.lstrip("/") or DEFAULT_KEY), safe="/~")
    endpoint = destination.settings.get("endpoint", "").rstrip("/") or f"https://s3.{region}.{_domain(region)}"
    url = f"{endpoint}/{bucket}/{key}"
    if "endpoint" not in destination.settings and not _NO_HOST.search(bucket):
        url = f"https://{bucket}.s3.{region}.{_domain(region)}/{key}"
    headers = {f"x-amz-meta-{name.lower()}": value for name, value in _attributes(request).items()}
    headers["Content-Type"] = dict(request.headers).get("Content-Type", "application/json")
    return _signed(S3SigV4Auth, ("s3", region), destination, replace(request, url=url, method="PUT"), headers)


def _signed(
    auth: type[SigV4Auth],
    scope: tuple[str, str],
    destination: Destination,
    request: Request,
    headers: Mapping[str, str],
) -> Request:
    """`scope`: service and region."""
    credentials = destination.credentials
    signed = AWSRequest(method=request.method, url=request.url, data=request.body, headers=headers)
    keys = Credentials(credentials["access_key_id"], credentials["secret_access_key"])
    auth(keys, *scope).add_auth(signed)
    return replace(request, headers=[*signed.headers.items()], destination=None)


def _attributes(request: Request) -> Mapping[str, str]:
    return {name: value for name, value in request.headers if name not in _NO_ATTRIBUTE}


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
