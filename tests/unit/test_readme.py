from pathlib import Path

from dispatcher.settings import describe
from dispatcher.storage.reads.delivery_pages import LOOKS

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_setting_with_its_default_and_sentence():
    rows = [f"| `{variable.name}` | {variable.default} | {variable.what} |" for variable in describe()]

    assert [row for row in rows if row not in README] == []


def test_the_readme_lists_no_setting_that_does_not_exist():
    names = {variable.name for variable in describe()} | {"DISPATCHER_PROCESS"}
    mentioned = {word.strip("`|,.()=;:") for word in README.split() if word.strip("`|(").startswith("DISPATCHER_")}

    assert {name.partition("=")[0] for name in mentioned} <= names


def test_the_readme_says_how_many_deliveries_a_page_of_one_event_looks_at():
    assert f"By `event_name` a page looks at {sum(LOOKS):,} at most" in README
