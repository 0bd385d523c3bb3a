"""The pages say what the code does: settings, events, commands, and links that mkdocs does not check."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from dispatcher.cli.root import main
from dispatcher.schemas import EventType
from dispatcher.schemas.api.webhook import FilteredWebhookSchema
from dispatcher.schemas.api_v3 import EVENT_TYPES
from dispatcher.schemas.catalogue import OPERATIONAL_EVENTS
from dispatcher.setting_fields import Variable, describe
from dispatcher.settings import RemoteSettings, Settings
from dispatcher.storage.admin.webhooks import WRITABLE
from dispatcher.storage.reads.delivery_pages import SCANS
from tests.support.cases import each

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
FRONT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]}
DECISIONS = sorted((DOCS / "explanation" / "adr").glob("0*.md"))


def rows_of(page: str, pattern: str) -> list[str]:
    return [row for row in PAGES[page].splitlines() if re.match(pattern, row)]


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 150


@each("name", FRONT)
def test_every_link_of_a_front_page_leads_to_a_file(name: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / name).read_text("utf-8"))

    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_recipes_name_files_that_exist() -> None:
    named = re.findall(
        r"`((?:dispatcher|schemas|tasks|tests|docs)/[\w./]*)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    )

    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_settings_page_lists_every_setting_with_its_default_and_sentence() -> None:
    page = "docs/reference/settings.md"
    written = [settings_row(variable) for variable in describe(Settings, RemoteSettings)]
    advanced = [settings_row(variable) for variable in describe(Settings) if variable.is_advanced]

    assert rows_of(page, r"\| `(?!FLOWER_[ABPW])") == written
    assert "\n".join(advanced) in PAGES[page].partition("## Advanced")[2].partition("\n## ")[0]


def settings_row(variable: Variable) -> str:
    return f"| `{variable.name}` | {variable.default} | {variable.sentence} |"


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {variable.name for variable in describe(Settings, RemoteSettings)} | {"DISPATCHER_PROCESS"}
    named = {(page, name) for page, text in PAGES.items() for name in re.findall(r"\bDISPATCHER_[A-Z_]+\b", text)}

    assert sorted((page, name) for page, name in named if name not in known) == []


def test_the_events_page_lists_the_catalogue() -> None:
    assert rows_of("docs/reference/events.md", r"\| `\w+` \| `") == list(map(event_row, EVENT_TYPES.values()))
    assert f"these {len(EVENT_TYPES)} events" in PAGES["docs/reference/events.md"]
    assert {row.split("`")[1] for row in rows_of("docs/reference/events.md", r"\| `\w+` \| a ")} == OPERATIONAL_EVENTS


def event_row(event: EventType) -> str:
    keys = (
        f"`{key}`: {shape.inner.type_name}{'[]' if shape.many else ''}{'' if shape.required else ' (optional)'}"
        for key, shape in event.keys.items()
    )
    return f"| `{event.name}` | {', '.join(keys)} |"


def test_the_webhooks_page_lists_every_attribute_that_may_be_written() -> None:
    names = [row.split("`")[1] for row in rows_of("docs/reference/webhooks.md", r"\| `\w+` \|")]
    fields = FilteredWebhookSchema().fields.items()

    assert sorted(names) == sorted(name for name, field in fields if not field.dump_only)
    assert set(names) == set(WRITABLE)


def test_the_commands_page_lists_every_command_and_no_other() -> None:
    listed = set()
    for row in rows_of("docs/reference/commands.md", r"\| `dispatcher "):
        first, *others = re.findall(r"`([^`]+)`", row.split(" | ")[0])
        listed |= {first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)}

    assert listed == set(commands(main, "dispatcher"))


def commands(command: click.Command, name: str) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command)
    for one in command.list_commands(context):
        yield from commands(command.get_command(context, one) or command, f"{name} {one}")


def test_the_api_page_says_how_many_deliveries_a_page_of_one_event_looks_at() -> None:
    assert f"By `event_name` a page looks at {sum(SCANS):,} at most" in PAGES["docs/reference/api.md"]


def test_every_decision_is_in_the_index_and_has_its_parts() -> None:
    index = PAGES["docs/explanation/adr/index.md"]

    assert [path.name for path in DECISIONS] == re.findall(r"\((0[^)]+)\)", index)
    for path in DECISIONS:
        assert re.search(r"- Status: .+\n- Date: \d{4}-\d\d-\d\d", text := path.read_text("utf-8"))
        assert all(
            part in text for part in ("## Context\n", "## Decision\n", "## Alternatives, and what was given up\n")
        )


def test_every_feature_of_the_comparison_names_a_test_that_exists() -> None:
    features, proofs = PAGES["docs/comparison.md"].split("## Features")[1].split("### What proves it")
    compared = {*re.findall(r"^\| ([^|]+) \|", features, re.MULTILINE)}
    proved = dict(re.findall(r"^\| ([^|]+) \| (`.*) \|$", proofs, re.MULTILINE))

    facts = {"language", "licence", "needs", "offered as a hosted service", "also receives and forwards webhooks"}
    assert compared - facts == proved.keys()
    for named in proved.values():
        path = Path()
        for file, test in re.findall(r"`([\w/]+\.py)?(?:::)?(test_\w+)?`", named):
            path = Path(file) if "/" in file else path.with_name(file) if file else path
            assert f"def {test or 'test_'}" in (ROOT / "tests" / path).read_text("utf-8")
