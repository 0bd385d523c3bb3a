"""The account and its people (API v3, Account, Users, Current user). Read-only: clients ask for the slug here."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.http import container, json_response
from dispatcher.api.query import PAGE_PARAMETER, page_bounds
from dispatcher.schemas.api.account import AccountSchema, CurrentUserSchema, UserSchema, account_attributes
from dispatcher.schemas.wire.fields import written_in
from dispatcher.storage.admin import accounts, users
from dispatcher.storage.admin.accounts import Profile

blueprint = Blueprint("accounts", __name__, description="The account of the access token, and its users.")

_account, _user, _current_user = AccountSchema(), UserSchema(), CurrentUserSchema()


@blueprint.route("/user.json")
@authorized()
@blueprint.response(200, CurrentUserSchema)
def current_user(caller: Caller) -> Response:
    """The user who granted the token, and the account that it is for."""
    slug, user = caller.account.slug, _attributes(caller.user)
    settings = account_attributes(slug, _profile(caller).settings)
    summary = {
        "slug": slug,
        "logo": None,
        "name": settings["name"],
        "registration_no": settings["registration_no"],
        "permission": user["permission"],
        "allowed_scope": user["allowed_scope"],
    }
    return json_response(_current_user.dump(user | {"default_account": slug, "accounts": [summary]}))


@blueprint.route("/accounts/<slug>/account.json")
@authorized()
@blueprint.response(200, AccountSchema)
def account(caller: Caller) -> Response:
    """The account's data and settings."""
    profile = _profile(caller)
    attributes = account_attributes(caller.account.slug, profile.settings)
    with written_in(caller.account.time_zone):
        return json_response(
            _account.dump(attributes | {"created_at": profile.created_at, "updated_at": profile.updated_at})
        )


@blueprint.route("/accounts/<slug>/users.json")
@authorized()
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, UserSchema(many=True))
def list_users(caller: Caller) -> Response:
    """The account's people, its owner first; 40 a page."""
    page = container().storage.read(users.list_for_account, caller.account.id, **page_bounds())
    return json_response([_user.dump(_attributes(user)) for user in page])


def _profile(caller: Caller) -> Profile:
    return container().storage.read(accounts.profile, caller.account.id)


def _attributes(user: users.User) -> dict[str, Any]:
    return {
        "id": user.id,
        "full_name": user.full_name,
        "email": user.email,
        "avatar_url": None,
        "permission": user.permission,
        "allowed_scope": list(user.allowed_scope),
    }
