"""A small identity provider, which speaks OpenID Connect over HTTP: discovery, keys, codes with PKCE, ID tokens."""

import threading
import time
from collections.abc import Callable
from typing import Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "console", "s3cret"


class IdentityProvider:
    """Signs everybody in as the person of `claims`. `forge` writes other ID tokens than `encode`."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.forge: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.requests: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        app = Flask("identity")
        for path, view in (
            ("/.well-known/openid-configuration", self._discovery),
            ("/jwks", lambda: jsonify(keys=[self.key.as_dict(private=False)])),
            ("/authorize", self._authorize),
            ("/token", self._token),
        ):
            app.add_url_rule(path, path, view, methods=["GET", "POST"])
        app.before_request(lambda: self.requests.append(request.path))
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "IdentityProvider":
        threading.Thread(target=self._server.serve_forever, name="identity", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def encode(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Signed as it should be."""
        return jwt.encode(header, claims, self.key)

    def _discovery(self) -> Response:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return jsonify(
            issuer=self.issuer,
            end_session_endpoint=f"{self.issuer}/end",
            **{name: f"{self.issuer}/{path}" for name, path in names.items()},
        )

    def _authorize(self) -> Any:
        given = request.args
        assert (given["client_id"], given["response_type"], given["code_challenge_method"]) == (
            CLIENT_ID,
            "code",
            "S256",
        )
        code = f"code{len(self._codes)}"
        self._codes[code] = given.to_dict()
        return redirect(f"{given['redirect_uri']}?code={code}&state={given['state']}&iss={self.issuer}")

    def _token(self) -> Any:
        form, client = request.form, request.authorization
        begun = self._codes.pop(form["code"], None)
        if client is None or (client.username, client.password) != (CLIENT_ID, CLIENT_SECRET):
            return jsonify(error="invalid_client"), 401
        if (
            begun is None
            or form["redirect_uri"] != begun["redirect_uri"]
            or create_s256_code_challenge(form["code_verifier"]) != begun["code_challenge"]
        ):
            return jsonify(error="invalid_grant"), 400
        now_s = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now_s, "exp": now_s + 300, "nonce": begun["nonce"]}
        header = {"alg": "RS256", "kid": self.key.kid}
        id_token = (self.forge or self.encode)(header, claims | self.claims)
        return jsonify(access_token="x", token_type="Bearer", id_token=id_token)
