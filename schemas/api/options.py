"""What the sender goes by for one webhook (`dispatcher.model.options`): one field for each option."""

from collections.abc import Mapping
from typing import Any

from marshmallow import validates_schema

from dispatcher.schemas.api.field_paths import FieldPaths
from dispatcher.schemas.api.headers import Headers, SecretHeaders, check_headers
from dispatcher.schemas.wire.fields import WireSchema


class OptionsSchema(WireSchema):
    """`headers` are sent with each request; so are `secret_headers`, whose values are never returned.

    In a change, a secret header whose value is null keeps the one it has. `only_fields` and `excluded_fields` are paths
    such as `invoice.lines.name`: of the body only these attributes are sent, and never those.
    """

    headers = Headers()
    secret_headers = SecretHeaders()
    only_fields = FieldPaths()
    excluded_fields = FieldPaths()

    @validates_schema
    def _check_headers(self, data: Mapping[str, Any], **_: Any) -> None:
        check_headers(data.get("headers", {}), data.get("secret_headers", {}), data.get("auth_header"))
