"""How a receiver is shown who sends requests: an OAuth 2.0 client and a certificate, as they are written and shown."""

import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate

from dispatcher.schemas.api.urls import check_url
from dispatcher.schemas.errors import plain, texts
from dispatcher.schemas.wire.fields import DateTime, WireSchema

BASIC, POST = "basic", "post"
_TEXT = re.compile(r"[\x20-\x7e]{1,2000}\Z")  # RFC 6749, appendix A: VSCHAR
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}\Z")  # and its scope-token
_SCOPES = 50
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,50}\Z")
_VALUE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,500}\Z")
_PARAMETERS = 10
_OWN = frozenset({"grant_type", "client_id", "client_secret", "scope"})
_PEM_LIMIT = 16_384
"""Characters of a certificate and of its key, each."""

_IS_NO_OBJECT = "must be an object, or null"
_IS_MISSING = "is missing"
_IS_NO_URL = "must be an http or https URL without credentials"
_IS_NO_TEXT = "must have 1 to 2,000 printable ASCII characters"
_ARE_NO_SCOPES = f"must be an array of at most {_SCOPES} scopes, which have no blanks and no quotes"
_ARE_NO_PARAMETERS = (
    f"must be an object of at most {_PARAMETERS} names and texts of at most 500 characters, without"
    f" {', '.join(sorted(_OWN))}"
)
_IS_NO_PEM = f"must be a text in PEM of at most {_PEM_LIMIT:,} characters"


def _messages(text: str) -> dict[str, Any]:
    return {"required": _IS_MISSING, "null": _IS_MISSING, "invalid": text, "validator_failed": text}


def _check_token_url(url: str) -> None:
    try:
        check_url(url)
    except ValidationError:
        raise ValidationError(_IS_NO_URL) from None


def _text(**options: Any) -> fields.String:
    check = validate.Regexp(_TEXT, error=_IS_NO_TEXT)
    return fields.String(validate=check, error_messages=_messages(_IS_NO_TEXT), **options)


def _pem(**options: Any) -> fields.String:
    check = validate.Length(1, _PEM_LIMIT, error=_IS_NO_PEM)
    return fields.String(validate=check, error_messages=_messages(_IS_NO_PEM), **options)


class _Scopes(fields.List[Any]):
    def __init__(self) -> None:
        super().__init__(fields.String(), load_default=(), error_messages=_messages(_ARE_NO_SCOPES))

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        fine = isinstance(value, list | tuple) and all(isinstance(one, str) and _SCOPE.match(one) for one in value)
        if not fine or len(value) > _SCOPES:
            raise ValidationError(_ARE_NO_SCOPES)
        return tuple(dict.fromkeys(value))


class _Parameters(fields.Dict):
    def __init__(self) -> None:
        messages = _messages(_ARE_NO_PARAMETERS)
        super().__init__(fields.String(), fields.String(), load_default=(), error_messages=messages)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_: Any) -> dict[str, str]:
        return dict(value)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) > _PARAMETERS:
            raise ValidationError(_ARE_NO_PARAMETERS)
        for name, one in value.items():
            texts_fit = isinstance(name, str) and isinstance(one, str) and _NAME.match(name) and _VALUE.match(one)
            if not texts_fit or name in _OWN:
                raise ValidationError(_ARE_NO_PARAMETERS)
        return tuple(value.items())


class OAuth2Schema(WireSchema):
    """An OAuth 2.0 client. Its access token is got at `token_url` and sent as `Authorization: Bearer`.

    In a change, `client_secret` may be left out where `token_url` and `client_id` stay. `parameters` are sent with the
    request of a token, such as `audience`. `auth_method` is how that request is authorised: `basic`, or `post` with the
    secret in its body.
    """

    token_url = fields.String(required=True, validate=_check_token_url, error_messages=_messages(_IS_NO_URL))
    client_id = _text(required=True)
    client_secret = _text(load_only=True)
    scopes = _Scopes()
    parameters = _Parameters()
    auth_method = fields.String(
        validate=validate.OneOf((BASIC, POST), error=f"must be {BASIC} or {POST}"),
        load_default=BASIC,
        error_messages=_messages(f"must be {BASIC} or {POST}"),
    )


class ClientCertificateSchema(WireSchema):
    """A certificate in PEM, with those that lead to its authority, and its key. The key is never returned.

    In a change, `private_key` may be left out where `certificate` stays.
    """

    certificate = _pem(required=True)
    private_key = _pem(load_only=True)
    subject = fields.String(dump_only=True)
    expires_at = DateTime(dump_only=True)


class _Object(fields.Nested):
    """Of a nested schema. What was stored stays as it is; what is wrong is said with the name of the part."""

    def __init__(self, schema: type[WireSchema]) -> None:
        super().__init__(schema, allow_none=True)

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> Any:
        if is_dataclass(value):
            return value
        if not isinstance(value, Mapping):
            raise ValidationError(_IS_NO_OBJECT)
        try:
            return super()._deserialize(value, *args, **options)
        except ValidationError as error:
            problems = error.normalized_messages()
            raise ValidationError(
                [f"{plain(name)}: {text}" for name, messages in problems.items() for text in texts(messages)]
            ) from None


def oauth2() -> fields.Nested:
    """An object that `dispatcher.webhooks.credentials` makes an OAuth2, or null."""
    return _Object(OAuth2Schema)


def client_certificate() -> fields.Nested:
    """An object of two texts that `dispatcher.webhooks.credentials` reads, or null."""
    return _Object(ClientCertificateSchema)
