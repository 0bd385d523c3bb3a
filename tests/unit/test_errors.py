import inspect

from dispatcher import errors
from dispatcher.log import line
from tests.support.cases import each

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.DispatcherError)]


@each("kind", ALL)
def test_every_error_of_ours_says_in_a_sentence_what_it_is(kind: type[errors.DispatcherError]) -> None:
    assert (kind.__doc__ or "").strip().endswith((".", "migrate.", "texts."))


def test_an_error_without_facts_says_its_docstring() -> None:
    assert str(errors.PendingMigrations()) == "The database has pending migrations; run: dispatcher migrate."


def test_an_error_with_facts_says_these() -> None:
    assert str(
        errors.InvalidWebhook({"webhook_url": ["can't be blank", "is invalid"], "events": ["is too short"]})
    ) == ("webhook_url can't be blank, is invalid; events is too short")
    assert "dispatcher account create acme" in str(errors.AccountNotFound("acme"))


def test_the_tree_in_the_module_names_every_error() -> None:
    tree = [row.lstrip("│ ") for row in errors.__doc__.splitlines()]  # some have a kind of their own below them

    assert {kind.__name__ for kind in ALL} == {row.split()[1] for row in tree if row.startswith(("├", "└"))} | {
        "DispatcherError"
    }


def test_a_log_line_leaves_out_what_is_none() -> None:
    assert line("delivery.attempted", delivery_id=7, retry_in_s=None, result="503") == (
        "delivery.attempted delivery_id=7 result=503"
    )
