"""What the token endpoints take and give (API v3, Authorization). For the documentation: Authlib reads the requests."""

from dispatcher.schemas.wire.fields import Integer, String, WireSchema


class TokenRequestSchema(WireSchema):
    """A request for a token. The client's id and secret may come by HTTP Basic instead."""

    grant_type = String(required=True, choices=("client_credentials", "authorization_code", "refresh_token"))
    code = String()
    redirect_uri = String()
    code_verifier = String()
    refresh_token = String()
    scope = String()
    client_id = String()
    client_secret = String()


class TokenSchema(WireSchema):
    """An access token; with a refresh token only where it was given for a code."""

    access_token = String(required=True)
    token_type = String(required=True, choices=("Bearer",))
    expires_in = Integer(required=True)
    refresh_token = String()


class RevocationSchema(WireSchema):
    """A token to end: a refresh token ends its access tokens too."""

    token = String(required=True)
    client_id = String()
    client_secret = String()
