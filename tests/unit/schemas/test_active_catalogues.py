"""Which catalogues are active, and what they have together."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from dispatcher import signals
from dispatcher.errors import InvalidSetting
from dispatcher.schemas import InvalidCatalogue, InvalidEvent, active, api_v3
from dispatcher.schemas.active_catalogues import Catalogues, use
from dispatcher.schemas.api.webhook import check_events
from dispatcher.schemas.from_json import render_events
from tests.support import shop
from tests.support.cases import each


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    use(None)


def named(text: str, monkeypatch: pytest.MonkeyPatch) -> Catalogues:
    monkeypatch.setenv("DISPATCHER_CATALOGUE", text)
    use(None)
    return active()


def test_api_v3_is_active_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert active().catalogues == (api_v3.catalogue,)
    assert named("tests.support.shop:catalogue", monkeypatch).catalogues == (shop.catalogue,)
    assert named("tests.support.shop:catalogue, api_v3", monkeypatch).catalogues == (shop.catalogue, api_v3.catalogue)


def test_an_installed_catalogue_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("shop", "tests.support.shop:catalogue", "dispatcher.catalogues")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **chosen: EntryPoints([entry]).select(**chosen))

    assert named("shop", monkeypatch).catalogues == (shop.catalogue,)


@each(
    ("text", "reason"),
    [
        ("nothing", "there is no catalogue 'nothing'; installed: api_v3"),
        ("no.such:catalogue", "no.such:catalogue cannot be loaded"),
        ("tests.support.shop:nothing", "cannot be loaded"),
        ("tests.support.shop:OrderSchema", "is not a Catalogue"),
    ],
)
def test_what_cannot_be_found_is_named(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match=reason) as caught:
        named(text, monkeypatch)

    assert "DISPATCHER_CATALOGUE" in str(caught.value)


def test_two_catalogues_may_not_have_the_same_event() -> None:
    with pytest.raises(InvalidCatalogue, match=r"the catalogues shop and other both have an event order.created"):
        Catalogues(shop.catalogue, shop.a_catalogue(name="other"))


def test_several_are_one() -> None:
    both = Catalogues(shop.catalogue, api_v3.catalogue)

    assert list(both.events) == [*shop.catalogue.events, *api_v3.EVENT_TYPES]
    assert both.resource_ids["customer_removed"] == ("customer", "login")
    assert both.resource_ids["invoice_paid"] == ("invoice", "id")
    assert "inbox_file_removed_all" not in both.resource_ids
    assert set(both.superseding) - {"order.updated"} == {
        name for name in api_v3.EVENT_TYPES if name.endswith("_updated")
    }
    assert both.time_zone == "UTC"


def test_webhooks_subscribe_to_the_active_events_and_the_dispatchers_own() -> None:
    use(Catalogues(shop.catalogue))

    check_events(["order.shipped", "delivery_failed"])
    with pytest.raises(Exception, match="is not included in the list"):
        check_events(["invoice_paid"])
    with pytest.raises(InvalidEvent, match=r"did you mean order.shipped"):
        active().event("order.shiped")


def test_a_signal_is_found_by_any_name() -> None:
    use(Catalogues(shop.catalogue))

    assert signals["order.shipped"] is signals["order.shipped"]  # type: ignore[index]
    assert signals.customer_removed is signals["customer_removed"]  # type: ignore[index]
    with pytest.raises(KeyError, match="no event 'invoice_paid' in the catalogue"):
        signals["invoice_paid"]  # type: ignore[index]
    with pytest.raises(AttributeError, match="no event 'invoice_paid' in the catalogue"):
        _ = signals.invoice_paid


def test_the_fast_way_leaves_other_bodies_to_marshmallow() -> None:
    order = b'{"name":"order.created","body":{"order":{"id":"0190163d-8694-739b-aea5-966c26f8ad91","number":"1"}}}'
    subject = b'{"name":"subject_created","body":{"subject":{"id":1}}}'
    use(Catalogues(shop.catalogue, api_v3.catalogue))

    assert render_events(order, "UTC") is None
    assert render_events(b"[%b,%b]" % (subject, order), "UTC") is None
    events, _ = render_events(subject, "UTC") or ([], False)
    assert [event.resource for event in events] == ["subject:1"]
    use(Catalogues(shop.catalogue))
    assert render_events(order, "UTC") is None


def test_nothing_is_loaded_at_import(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.environ['DISPATCHER_CATALOGUE'] = 'catalogue_of_ours:catalogue'\n"
        "import dispatcher.signals, dispatcher.api.openapi, dispatcher.cli.replays, dispatcher.console.filters\n"
        "import dispatcher.web.app\n"
        "assert 'catalogue_of_ours' not in sys.modules and 'dispatcher.schemas.api_v3' not in sys.modules\n"
        "from dispatcher.schemas import active\n"
        "print(list(active().events), 'dispatcher.schemas.api_v3' in sys.modules)"
    )
    (tmp_path / "catalogue_of_ours.py").write_text(
        "from marshmallow import Schema, fields\n"
        "from dispatcher.schemas import Catalogue\n"
        "catalogue = Catalogue('ours')\n"
        "thing = catalogue.resource('thing', Schema.from_dict({'id': fields.Integer(required=True)}))\n"
        "catalogue.event('thing.made', thing)\n"
    )

    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.stdout, ran.stderr) == ("['thing.made'] False\n", "")
