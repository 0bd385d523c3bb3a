"""Which of the people that an identity provider vouches for are operators, and which of these only read. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

_EMAIL_LENGTH = 320


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorRule:
    """Who has a role: those with `value` in the claim `claim`, or by their verified e-mail (claim `email`)."""

    claim: str
    value: str

    def fits(self, claims: Mapping[str, Any]) -> bool:
        """Whether the person of a verified ID token has it."""
        if self.claim == "email":
            return verified_email(claims) == self.value.lower()
        value = _claim(claims, self.claim)
        return self.value in value if isinstance(value, list) else value == self.value


def read_rule(text: str) -> OperatorRule:
    """`ann@example.com`, or `groups=webhook-admins`; raises a ValidationError."""
    claim, is_claim, value = text.partition("=")
    if is_claim and claim and value:
        if claim == "email":
            raise ValidationError("an e-mail is written without `email=`")
        return OperatorRule(claim=claim, value=value)
    if is_claim or "@" not in text:
        raise ValidationError("each must be an e-mail, or claim=value such as groups=webhook-admins")
    return OperatorRule(claim="email", value=text)


def permission_of(
    claims: Mapping[str, Any], operators: Sequence[OperatorRule], read_only: Sequence[OperatorRule]
) -> str | None:
    """`operator`, `operator_read`, or None for somebody who is neither."""
    for rules, permission in ((operators, "operator"), (read_only, "operator_read")):
        if any(rule.fits(claims) for rule in rules):
            return permission
    return None


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """The e-mail in lower case, if the provider says that it is theirs."""
    email = claims.get("email")
    return email.lower() if claims.get("email_verified") is True and isinstance(email, str) and email else None


def name_of(claims: Mapping[str, Any], issuer_host: str) -> str:
    """By what the audit log knows the person: a verified e-mail, else the provider's own id of them.

    Nobody can take another operator's name by an e-mail that they entered themselves.
    """
    return verified_email(claims) or f"{claims['sub']}@{issuer_host}"[:_EMAIL_LENGTH]


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or inside others: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    claim: Any = claims
    for part in name.split("."):
        claim = claim.get(part) if isinstance(claim, dict) else None
    return claim
