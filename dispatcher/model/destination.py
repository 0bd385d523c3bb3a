"""What a message to a broker, a queue or a bucket needs beside its URL, headers and body."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.schemas.api.destinations import PLACE


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Of one message. `settings` and `credentials` are the webhook's (`Options`), `values` those of PLACES."""

    webhook_id: int
    settings: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)
    values: Mapping[str, str] = field(repr=False)

    def fill(self, template: str) -> str:
        """The template with its places filled; none of them is filled twice."""
        return PLACE.sub(lambda place: self.values[place[1]], template)

    def setting(self, name: str, default: str = "") -> str:
        """A setting with its places filled."""
        return self.fill(self.settings.get(name, default))

    def has_same_settings(self, other: "Destination") -> bool:
        """Whether both go by the same settings and credentials."""
        return self.settings == other.settings and self.credentials == other.credentials
