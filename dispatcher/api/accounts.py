"""The account and its people (API v3, Account, Users, Current user). Read-only: clients ask for the slug here."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from dispatcher.api.auth import Caller, authorized
from dispatcher.api.paging import PAGE_PARAMETER, PAGE_SIZE, page_offset
from dispatcher.api.parts import answer, container
from dispatcher.storage.admin import accounts, users
from dispatcher.storage.admin.accounts import Profile
from schemas.api.account import AccountSchema, CurrentUserSchema, UserSchema, account_attributes
from schemas.api.errors import ErrorSchema
from schemas.wire.fields import written_in

blueprint = Blueprint("accounts", __name__, description="The account of the access token, and its users.")

_account, _user, _current_user = AccountSchema(), UserSchema(), CurrentUserSchema()


@blueprint.route("/user.json")
@authorized()
@blueprint.response(200, CurrentUserSchema)
def current_user(caller: Caller) -> Response:
    """For whom the token was given, and the account that it is for."""
    account, user = caller.account, caller.user
    attributes = account_attributes(account.slug, _profile(caller).settings)
    entered = {
        "slug": account.slug,
        "logo": None,
        "name": attributes["name"],
        "registration_no": attributes["registration_no"],
        "permission": user.permission,
        "allowed_scope": list(user.allowed_scope),
    }
    shown = {
        "id": user.id,
        "full_name": user.full_name,
        "email": user.email,
        "avatar_url": None,
        "default_account": account.slug,
        "accounts": [entered],
    }
    return answer(_current_user.dump(shown))


@blueprint.route("/accounts/<slug>/account.json")
@authorized()
@blueprint.response(200, AccountSchema)
def account(caller: Caller) -> Response:
    """The account's data and settings."""
    profile = _profile(caller)
    attributes = account_attributes(caller.account.slug, profile.settings)
    with written_in(caller.account.time_zone):
        shown = _account.dump(attributes | {"created_at": profile.created_at, "updated_at": profile.updated_at})
    return answer(shown)


@blueprint.route("/accounts/<slug>/users.json")
@authorized()
@blueprint.doc(parameters=[PAGE_PARAMETER])
@blueprint.response(200, UserSchema(many=True))
@blueprint.alt_response(400, schema=ErrorSchema)
def list_users(caller: Caller) -> Response:
    """The account's people, its owner first; 40 a page."""
    offset = page_offset()
    if offset is None:
        return answer([])
    found = container().storage.read(users.list_for_account, caller.account.id, offset=offset, limit=PAGE_SIZE)
    return answer([_user.dump(_shown(one)) for one in found])


def _profile(caller: Caller) -> Profile:
    return container().storage.read(accounts.profile, caller.account.id)


def _shown(user: users.User) -> dict[str, Any]:
    return {
        "id": user.id,
        "full_name": user.full_name,
        "email": user.email,
        "avatar_url": None,
        "permission": user.permission,
        "allowed_scope": list(user.allowed_scope),
    }
