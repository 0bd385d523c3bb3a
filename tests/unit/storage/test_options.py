"""Options as they are stored: what was set and nothing else, with secrets encrypted."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet

from dispatcher.errors import SecretDecryptionFailed
from dispatcher.model.credentials import ClientCertificate, OAuth2
from dispatcher.model.options import NO_OPTIONS, OPTION_DEFAULTS, Options
from dispatcher.storage.options import read_options, rotate_options, write_options
from dispatcher.storage.secrets import SecretBox
from tests.support.cases import each

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
BOX = SecretBox([OLD])


def written(**options: Any) -> str | None:
    return write_options({**OPTION_DEFAULTS, **options}, BOX)


def test_defaults_are_not_stored_and_all_webhooks_share_them() -> None:
    assert written() is None
    assert read_options(None, BOX) is NO_OPTIONS
    assert rotate_options(None, BOX) is None


def test_what_was_set_comes_back_and_its_secrets_are_not_to_be_read() -> None:
    stored = written(retry_schedule=[60, 300], secret_headers={"X-Key": "s3cret"})

    assert stored is not None
    assert json.loads(stored).keys() == {"retry_schedule", "secret_headers"}
    assert "s3cret" not in stored
    assert read_options(stored, BOX) == Options(retry_schedule=(60, 300), secret_headers={"X-Key": "s3cret"})
    assert "s3cret" not in repr(read_options(stored, BOX))


def test_a_rotation_leaves_nothing_that_the_old_key_opens() -> None:
    stored = written(timeout_s=5, secret_headers={"X-Key": "s3cret"})
    rotated = rotate_options(stored, SecretBox([NEW, OLD]))

    assert read_options(rotated, SecretBox([NEW])) == read_options(stored, BOX)
    with pytest.raises(SecretDecryptionFailed):
        read_options(rotated, BOX)


def test_clients_and_certificates_come_back_and_are_not_to_be_read() -> None:
    options: dict[str, Any] = {
        "oauth2": OAuth2(
            token_url="https://auth.test/",
            client_id="us",
            client_secret="s3cret",
            scopes=("a",),
            parameters=(("b", "c"),),
        ),
        "client_certificate": ClientCertificate(
            certificate="PEM", private_key="s3cret", subject="CN=us", expires_at=datetime(2030, 1, 1, tzinfo=UTC)
        ),
    }
    stored = written(**options)

    assert stored is not None
    assert "s3cret" not in stored
    assert read_options(stored, BOX) == Options(**options)
    assert read_options(rotate_options(stored, SecretBox([NEW, OLD])), SecretBox([NEW])) == Options(**options)


def test_nor_is_a_part_of_one() -> None:
    later = BOX.close('{"scopes": [], "parameters": [], "later": 1}')
    with pytest.raises(ValueError, match="unknown part"):
        read_options(json.dumps({"oauth2": later}), BOX)


def test_an_option_of_a_later_release_is_not_ignored() -> None:
    with pytest.raises(ValueError, match="unknown options: later"):
        read_options('{"timeout_s": 5, "later": 1}', BOX)


@each("stored", ['{"retry_schedule": "later"}', '{"signature_schemes": ["v1", "later"]}'])
def test_nor_are_a_schedule_and_a_signature_of_a_later_release(stored: str) -> None:
    """A drain that took them would fail at each result and send the same again, or without a signature."""
    with pytest.raises(ValueError, match="unknown retry schedule or signature scheme"):
        read_options(stored, BOX)
