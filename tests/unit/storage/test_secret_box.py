import base64

import pytest
from cryptography.fernet import Fernet

from dispatcher.errors import SecretDecryptionFailed
from dispatcher.storage.secrets import SecretBox, new_signing_secret, signing_key
from tests.support.cases import each

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_a_secret_comes_back_and_is_not_stored_in_plain() -> None:
    box = SecretBox([NEW])
    closed = box.close("Bearer abc")

    assert "abc" not in closed
    assert box.open(closed) == "Bearer abc"


def test_an_old_key_still_opens_what_it_closed() -> None:
    assert SecretBox([NEW, OLD]).open(SecretBox([OLD]).close("x")) == "x"


@each("method", ["open", "signing_keys", "rotate"])
def test_what_no_key_opens_is_said_and_not_shown(method: str) -> None:
    closed = SecretBox([OLD]).close("x")

    with pytest.raises(SecretDecryptionFailed) as caught:
        getattr(SecretBox([NEW]), method)(closed)
    assert closed not in str(caught.value)


def test_after_a_rotation_the_old_key_may_go() -> None:
    closed = SecretBox([OLD]).close("x")

    assert SecretBox([NEW]).open(SecretBox([NEW, OLD]).rotate(closed)) == "x"


def test_signing_secrets_are_as_standard_webhooks_writes_them() -> None:
    secret = new_signing_secret()

    assert secret.startswith("whsec_")
    assert signing_key(secret) == base64.b64decode(secret[6:])
    assert len(signing_key(secret)) == 32
    assert secret != new_signing_secret()
