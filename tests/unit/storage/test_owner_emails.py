from email_validator import validate_email
from hypothesis import given
from hypothesis.strategies import from_regex

from dispatcher.storage.admin.accounts import placeholder_email


@given(from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True))
def test_the_e_mail_of_an_owner_who_gave_none_is_taken_by_strict_clients(slug: str) -> None:
    taken = validate_email(placeholder_email(slug), check_deliverability=False)

    assert taken.normalized == placeholder_email(slug)
