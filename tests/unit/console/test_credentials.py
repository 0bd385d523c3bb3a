"""What the console says of a client certificate, and takes from a form."""

from datetime import UTC, datetime, timedelta

from dispatcher.console.credentials import days_left, read_credentials
from dispatcher.model.credentials import ClientCertificate
from tests.support.cases import each

NOW = datetime(2026, 11, 29, tzinfo=UTC)


@each(("days", "said"), [(31, None), (30, None), (29.5, 29), (0.5, 0), (-0.5, -1)])
def test_a_certificate_that_ends_soon_is_mentioned(days: float, said: int | None) -> None:
    ends = NOW + timedelta(days=days)
    assert days_left(ClientCertificate(certificate="", private_key="", subject="", expires_at=ends), NOW) == said
    assert days_left(None, NOW) is None


def test_an_empty_form_asks_for_neither() -> None:
    assert read_credentials({"oauth2_auth_method": "basic"}) == {"oauth2": None, "client_certificate": None}
    certificate = {"certificate": "PEM", "private_key": None}
    assert read_credentials({"certificate": " PEM\n"})["client_certificate"] == certificate
