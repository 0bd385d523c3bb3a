"""Secrets at rest: encrypted with the first of SECRET_KEYS, readable with any of them; tokens as hashes only."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatcher.errors import SecretDecryptionFailed
from dispatcher.model.webhook import SigningKeys

SECRET_PREFIX = "whsec_"  # noqa: S105 - the standard's own prefix, no secret
_PRIVATE_PREFIX, PUBLIC_PREFIX = "whsk_", "whpk_"
_TEXT_PREFIX = "text_"


def new_signing_secret() -> str:
    """A new secret as Standard Webhooks writes it: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(32)).decode()


def signing_key(secret: str) -> bytes:
    """The raw HMAC key of a `whsec_...` secret."""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


def is_private_key(secret: object) -> bool:
    """Whether it is a key pair as Svix writes it, `whsk_...`."""
    return isinstance(secret, str) and secret.startswith(_PRIVATE_PREFIX)


def foreign_secret(secret: str) -> str:
    """A signing secret or a key pair from elsewhere as it is stored; raises ValueError for what is neither."""
    pair = is_private_key(secret)
    try:
        raw = base64.b64decode(secret.removeprefix(_PRIVATE_PREFIX if pair else SECRET_PREFIX), validate=True)
    except ValueError:
        raw = b""
    if (
        pair
        and len(raw) == 64
        and Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key().public_bytes_raw() == raw[32:]
    ):
        return f"{new_signing_secret()}\n{secret}"
    if pair or not secret.startswith(SECRET_PREFIX) or not 24 <= len(raw) <= 75:
        raise ValueError("must be whsec_ and 24 to 75 bytes in Base64, or whsk_ and a key pair")
    return secret


def foreign_text(secret: object) -> str:
    """A secret of any form, with a new one of Standard Webhooks beside it, as it is stored; raises ValueError."""
    if not isinstance(secret, str) or not 8 <= len(secret) <= 500 or not secret.isprintable() or not secret.isascii():
        raise ValueError("must have 8 to 500 printable characters of ASCII")
    return f"{new_signing_secret()}\n{_TEXT_PREFIX}{secret}"


def with_key_pair(secret: str) -> str:
    """A signing secret with a new ed25519 pair, as it is stored: `whsk_`, both keys in base64, in a second line."""
    key = Ed25519PrivateKey.generate()
    pair = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return f"{secret}\n{_PRIVATE_PREFIX}{base64.b64encode(pair).decode()}"


def _signing_keys(stored: str) -> SigningKeys:
    """Of a stored signing secret, below which a key pair or a text of elsewhere may stand."""
    secret, *others = stored.split("\n")
    keys = SigningKeys(secret=secret, hmac=signing_key(secret))
    for other in others:
        if other.startswith(_TEXT_PREFIX):
            keys = replace(keys, text=other.removeprefix(_TEXT_PREFIX))
            continue
        pair = base64.b64decode(other.removeprefix(_PRIVATE_PREFIX))
        keys = replace(
            keys,
            ed25519=Ed25519PrivateKey.from_private_bytes(pair[:32]).sign,
            public_key=PUBLIC_PREFIX + base64.b64encode(pair[32:]).decode(),
        )
    return keys


def new_secret(length: int) -> str:
    """`length` random hexadecimal characters: a client's id or secret, a code, a token."""
    return os.urandom(length // 2).hex()


def hash_of(token: str) -> bytes:
    """What is stored of a token. SHA-256 is enough: at 160 random bits and more nothing can be guessed."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


class SecretBox:
    """Encrypts and decrypts texts. Keeps what it opened lately, because a drain opens the same ones all the time.

    A migration needs none of it, and so no `keys`.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._of_settings = keys
        self._opened = lru_cache(maxsize=20_000)(self._open)
        self._keys = lru_cache(maxsize=20_000)(lambda encrypted: _signing_keys(self._open(encrypted)))

    @cached_property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self._of_settings])

    def close(self, text: str) -> str:
        """`text`, encrypted."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, encrypted: str) -> str:
        """The text; raises SecretDecryptionFailed where no key fits."""
        return self._opened(encrypted)

    def signing_keys(self, encrypted: str) -> SigningKeys:
        """The keys of an encrypted signing secret; raises as `open` does, and ValueError for what is no base64."""
        return self._keys(encrypted)

    def rotate(self, encrypted: str) -> str:
        """The same secret under the newest key; raises SecretDecryptionFailed."""
        try:
            return self._fernet.rotate(encrypted.encode()).decode()
        except InvalidToken:
            raise SecretDecryptionFailed from None

    def _open(self, encrypted: str) -> str:
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise SecretDecryptionFailed from None
