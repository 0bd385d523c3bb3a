"""URLs of payloads that are too large: which are ours, for what, and until when."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import Fernet

from dispatcher.claim_check import ClaimChecks, claim_checks
from dispatcher.errors import PublicUrlMissing
from dispatcher.model.options import Options
from dispatcher.model.webhook import PayloadVersion
from dispatcher.payload import payload, render
from tests.support.builders import a_claimed, a_target

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
CHECKS = claim_checks("https://hooks.example.com/", [NEW, OLD])
NOON = int(datetime(2026, 6, 13, 12, tzinfo=UTC).timestamp())
DAY_S = 86_400


def claimed(checks: ClaimChecks = CHECKS, sent_at: int = NOON) -> dict[str, Any]:
    body = checks.body(7, about='{"order":{"id":"é-1"}}', size=99, sent_at=sent_at)
    found: dict[str, Any] = json.loads(body)["claim_check"]
    return found


def signed(url: str) -> tuple[int, str]:
    query = parse_qs(urlsplit(url).query)
    return int(query["expires"][0]), query["signature"][0]


def test_it_names_the_resource_the_url_its_end_and_the_size() -> None:
    body = json.loads(CHECKS.body(7, about='{"order":{"id":"é-1"}}', size=99, sent_at=NOON))

    url = body["claim_check"].pop("url")
    assert url.startswith("https://hooks.example.com/payloads/7?expires=")
    assert body == {"order": {"id": "é-1"}, "claim_check": {"expires_at": "2026-06-21T00:00:00Z", "size": 99}}


def test_attempts_of_a_day_have_the_same_url_and_seven_days_at_least() -> None:
    midnight = NOON // DAY_S * DAY_S
    assert claimed(sent_at=midnight) == claimed(sent_at=midnight + DAY_S - 1) != claimed(sent_at=midnight + DAY_S)
    assert signed(claimed(sent_at=midnight + DAY_S - 1)["url"])[0] > midnight + 8 * DAY_S - 1


def test_a_url_opens_its_payload_until_it_expires_and_nothing_else() -> None:
    expires, signature = signed(claimed()["url"])

    assert CHECKS.is_valid(7, expires, signature, expires - 1)
    assert not CHECKS.is_valid(7, expires, signature, expires)
    assert not CHECKS.is_valid(8, expires, signature, NOON)
    assert not CHECKS.is_valid(7, expires + 1, signature, NOON)
    for other in ("", signature[:-1], signature.upper(), "é", "\ud800"):
        assert not CHECKS.is_valid(7, expires, other, NOON)


def test_urls_outlive_a_rotation_of_keys_and_not_their_removal() -> None:
    before = claim_checks("https://hooks.example.com", [OLD])
    expires, signature = signed(claimed(before)["url"])

    assert CHECKS.is_valid(7, expires, signature, NOON)
    assert not claim_checks("", [NEW]).is_valid(7, expires, signature, NOON)


def test_without_a_public_url_there_is_none() -> None:
    with pytest.raises(PublicUrlMissing, match="DISPATCHER_PUBLIC_URL"):
        claimed(claim_checks("", [NEW]))


def test_only_what_is_larger_than_the_limit_is_claimed() -> None:
    delivery = a_claimed(body_json=json.dumps({"invoice": {"id": 93, "note": "x" * 3_000}}))
    size = len(render(delivery, a_target()))

    def sent(**target: Any) -> bytes:
        return payload(delivery, a_target(**target), CHECKS, NOON)

    assert sent() == sent(options=Options(payload_limit=size)) == render(delivery, a_target())
    small = json.loads(sent(options=Options(payload_limit=size - 1)))
    assert list(small) == ["webhook_id", "event_name", "created_at", "body"]
    assert (list(small["body"]), small["body"]["invoice"]) == (["invoice", "claim_check"], {"id": 93})
    assert small["body"]["claim_check"]["size"] == size
    excluded = Options(payload_limit=size - 1, excluded_fields=("invoice.note",))
    assert json.loads(sent(options=excluded))["body"] == {"invoice": {"id": 93}}
    flat = a_target(options=Options(payload_limit=1), payload_version=PayloadVersion.LEGACY)
    assert payload(delivery, flat, CHECKS, NOON) == render(delivery, flat)
