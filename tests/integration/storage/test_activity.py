"""The activity log's query; what it shows is tested with the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.storage.engine import Storage
from dispatcher.storage.reads.activity import Activity, SubjectFilter, _statement, list_for_account
from tests.integration.storage.conftest import Steps
from tests.support.builders import a_draft, an_account

PATHS = {"invoice_paid": ("invoice", "subject_id"), "subject_updated": ("subject", "id")}


def listed(steps: Steps, **wanted: Any) -> list[Activity]:
    return steps.storage.transact(list_for_account, steps.account.id, **wanted)


def test_an_account_sees_its_own_newest_first(steps: Steps, storage: Storage) -> None:
    steps.emit(a_draft("invoice_paid", '{"invoice":{"id":1}}'), a_draft("invoice_sent"))
    other = an_account(storage, "pearcorp")

    assert [one.name for one in listed(steps)] == ["invoice_sent", "invoice_paid"]
    assert listed(steps)[1].body == {"invoice": {"id": 1}}
    assert steps.storage.transact(list_for_account, other.id) == []


def test_it_is_paged_and_narrowed_by_name(steps: Steps) -> None:
    steps.emit(a_draft("invoice_paid"), a_draft("invoice_sent"), a_draft("expense_paid"))

    assert [one.name for one in listed(steps, limit=2)] == ["expense_paid", "invoice_sent"]
    assert [one.name for one in listed(steps, limit=2, offset=2)] == ["invoice_paid"]
    assert [one.name for one in listed(steps, names=("invoice_paid", "expense_paid"))] == [
        "expense_paid",
        "invoice_paid",
    ]


def test_a_time_is_when_it_happened_not_when_it_was_recorded(steps: Steps) -> None:
    now = datetime.now(UTC)
    steps.emit(a_draft("invoice_paid", created_at=now - timedelta(days=2)))
    steps.emit(a_draft("invoice_sent", created_at=now + timedelta(hours=23)))

    assert [one.name for one in listed(steps, since=now - timedelta(days=1))] == ["invoice_sent"]
    assert [one.name for one in listed(steps, since=now + timedelta(hours=22))] == ["invoice_sent"]
    assert len(listed(steps, since=now - timedelta(days=3))) == 2


def test_a_subject_is_found_where_the_event_has_it(steps: Steps) -> None:
    steps.emit(
        a_draft("invoice_paid", '{"invoice":{"id":1,"subject_id":16}}'),
        a_draft("invoice_paid", '{"invoice":{"id":16,"subject_id":null}}'),
        a_draft("subject_updated", '{"subject":{"id":16}}'),
        a_draft("inbox_file_removed_all", '{"inbox_files":{"count":16}}'),
    )

    found = listed(steps, subject=SubjectFilter(subject_id=16, paths=PATHS))
    assert [one.name for one in found] == ["subject_updated", "invoice_paid"]


def test_a_page_is_read_by_its_index(steps: Steps) -> None:
    """Among the events of 100 accounts, of which ours has a hundredth."""
    steps.rows(
        "insert into dispatcher.events (account_id, name, body, created_at)"
        " select %(ours)s + mod(n, 100), 'invoice_paid', '{\"invoice\":{\"id\":1}}', now()"
        " from generate_series(1, 10000) n",
        ours=steps.account.id,
    )
    steps.analyze()
    lists: list[dict[str, Any]] = [
        {},
        {"names": ["invoice_paid"]},
        {"since": datetime.now(UTC)},
        {"subject": SubjectFilter(subject_id=1, paths=PATHS)},
    ]

    for wanted in lists:
        sql, parameters = _statement(steps.account.id, limit=40, **wanted)
        plan = "\n".join(line for (line,) in steps.rows("explain " + sql, **parameters))
        assert f"Seq Scan on events_{datetime.now(UTC):%Y%m%d}" not in plan, wanted
        assert "account_id_id_idx" in plan, wanted
