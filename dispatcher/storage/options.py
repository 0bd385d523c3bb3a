"""The options of a webhook as they are stored: a JSON object of those that were set, each secret encrypted in it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from dispatcher.model.credentials import ClientCertificate, OAuth2
from dispatcher.model.options import NO_OPTIONS, OPTION_DEFAULTS, SECRET_OPTIONS, Options
from dispatcher.schemas.api.options import RETRY_SCHEDULES
from dispatcher.schemas.api.signatures import SCHEMES
from dispatcher.storage.secrets import SecretBox


def write_options(attributes: Mapping[str, Any], secrets: SecretBox) -> str | None:
    """Of a webhook's attributes those options that are not the default; None where there is no such."""
    values = {
        name: attributes[name] for name, default in OPTION_DEFAULTS.items() if _value(attributes[name]) != default
    }
    stored = _with_secrets(values, lambda value: secrets.close(json.dumps(value, default=_as_json)))
    return json.dumps(stored) if stored else None


def read_options(stored: str | None, secrets: SecretBox) -> Options:
    """Raises SecretDecryptionFailed, and ValueError for what only a later release knows, as an option or in one."""
    return NO_OPTIONS if stored is None else _read(stored, secrets)


def rotate_options(stored: str | None, secrets: SecretBox) -> str | None:
    """The same with its secrets under the newest key; raises SecretDecryptionFailed."""
    return None if stored is None else json.dumps(_with_secrets(json.loads(stored), secrets.rotate))


@lru_cache(maxsize=5_000)
def _read(stored: str, secrets: SecretBox) -> Options:
    """Kept, because a drain reads the same ones all the time."""
    values = _with_secrets(json.loads(stored), lambda value: json.loads(secrets.open(value)))
    if unknown := values.keys() - OPTION_DEFAULTS.keys():
        raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
    schedule = values.get("retry_schedule")
    later = {*values.get("signature_schemes", ())} - {*SCHEMES}
    if later or (isinstance(schedule, str) and schedule not in RETRY_SCHEDULES):
        raise ValueError("an unknown retry schedule or signature scheme")
    try:
        return Options(**{name: _OBJECTS.get(name, _value)(value) for name, value in values.items()})
    except TypeError:
        raise ValueError("an unknown part of an option") from None


def _with_secrets(values: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: change(value) if name in SECRET_OPTIONS else value for name, value in values.items()}


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)


def _oauth2(stored: Mapping[str, Any]) -> OAuth2:
    scopes, parameters = tuple(stored["scopes"]), tuple(map(tuple, stored["parameters"]))
    return OAuth2(**{**stored, "scopes": scopes, "parameters": parameters})


def _client_certificate(stored: Mapping[str, Any]) -> ClientCertificate:
    return ClientCertificate(**{**stored, "expires_at": datetime.fromisoformat(stored["expires_at"])})


_OBJECTS: Mapping[str, Callable[[Any], Any]] = {"oauth2": _oauth2, "client_certificate": _client_certificate}
"""Option → the value that its JSON object stands for."""
