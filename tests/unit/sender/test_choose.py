"""Which sender a setting makes, and what is said where it cannot be made."""

import sys

import pytest

from dispatcher.errors import InvalidSetting
from dispatcher.sender.choose import make_sender
from dispatcher.sender.contract import Limits
from tests.support.cases import each


@each(("name", "made"), [("curl", "CurlSender"), ("requests", "RequestsSender")])
def test_the_setting_names_the_sender(name: str, made: str) -> None:
    sender = make_sender(name, Limits())
    sender.close()

    assert type(sender).__name__ == made


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="curl, requests"):
        make_sender("carrier-pigeon", Limits())


def test_without_pycurl_only_requests_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycurl", None)
    monkeypatch.delitem(sys.modules, "dispatcher.sender.curl", raising=False)

    with pytest.raises(InvalidSetting, match="needs pycurl"):
        make_sender("curl", Limits())
    make_sender("requests", Limits()).close()
