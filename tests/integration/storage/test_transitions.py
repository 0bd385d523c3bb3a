"""The table of legal moves is what the statements go by."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import dispatcher.storage
from dispatcher.model.delivery import TRANSITIONS, State
from dispatcher.model.webhook import Webhook
from dispatcher.storage.pipeline.transitions import legal
from tests.integration.storage.conftest import Steps

PAIRS = [(state, wanted) for state in State for wanted in State]


def test_postgres_knows_the_moves_of_the_table_and_no_others(steps: Steps) -> None:
    shapes: list[Callable[[str], str]] = [lambda wanted: wanted, lambda wanted: f"'{wanted}'"]  # a State, and SQL
    for shape in shapes:
        cases = ", ".join(legal(f"'{state}'", shape(wanted)) for state, wanted in PAIRS)

        (answers,) = steps.rows(f"select {cases}")

        assert list(answers) == [wanted in TRANSITIONS[state] for state, wanted in PAIRS]


def test_every_statement_that_moves_a_delivery_asks_for_a_legal_move() -> None:
    names = [module.name for module in walk_packages(dispatcher.storage.__path__, "dispatcher.storage.")]
    texts = [
        text
        for name in names
        if ".migrations" not in name
        for text in vars(import_module(name)).values()
        if isinstance(text, str)
    ]
    moving = [
        update for text in texts for update in re.findall(r"update dispatcher\.deliveries\b[^;]*? state = [^;]*", text)
    ]

    assert len(moving) >= 8
    assert [one for one in moving if "state in ('pending'" not in one] == []


def test_no_other_file_moves_deliveries() -> None:
    root = Path(dispatcher.__path__[0])
    found = [path for path in root.rglob("*.py") if re.search(r"update dispatcher\.deliveries\b", path.read_text())]
    assert {path.relative_to(root).parts[0] for path in found} == {"storage"}


def test_a_late_success_counts_whatever_became_of_the_delivery(steps: Steps, webhook: Webhook) -> None:
    for state in (State.FAILED, State.CANCELLED, State.SUPERSEDED, State.DELIVERED):
        steps.emit()
        steps.fan_out()
        claimed = steps.claim_one(webhook.id)
        steps.rows(
            "update dispatcher.deliveries set state = %(state)s, finished_on = current_date, lease_token = null"
            " where id = %(id)s",
            state=state,
            id=claimed.id,
        )

        assert steps.record(claimed) == 1, state

        assert steps.delivery(claimed.id)["state"] == "delivered", state
        assert len(steps.attempts(claimed.id)) == 1, state
