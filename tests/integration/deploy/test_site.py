"""The documentation as a site: it is built without a warning, and asks nobody else for anything when it is read."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dispatcher.setting_fields import describe
from dispatcher.settings import RemoteSettings, Settings
from tests.support.places import ROOT, a_folder

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
EXAMPLES = sorted((ROOT / "docs" / "examples").iterdir())


class Page(HTMLParser):
    """The addresses that a browser loads by itself, and the words that are shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "link" and found.get("rel") in ("canonical", "next", "prev"):
            return
        if tag in LOADED and (address := found.get(LOADED[tag])):
            self.loaded.append(address)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    with a_folder() as folder:
        command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder / "site")]
        built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
        yield folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """By the page's path, such as `guides/emit`."""
    found = {path.relative_to(site).with_suffix("").as_posix(): path for path in site.rglob("*.html")}
    return {name: Page(path.read_text(encoding="utf-8")) for name, path in found.items()}


def test_every_page_loads_only_what_lies_beside_it(site: Path, pages: dict[str, Page]) -> None:
    loaded = {address for page in pages.values() for address in page.loaded}

    assert {address for address in loaded if re.match(r"(\w+:)?//", address)} == set()
    files = {
        (site / name).parent / address.partition("?")[0]
        for name, page in pages.items() if name != "404" for address in page.loaded
    }  # fmt: skip
    assert [file for file in files if not file.is_file()] == []
    assert not any('class="mermaid"' in path.read_text() for path in site.rglob("*.html"))  # it would be fetched


def test_no_style_fetches_anything(site: Path) -> None:
    fetched = [
        found
        for path in site.rglob("*.css")
        for found in re.findall(r"(?:url\(|@import)\s*['\"]?(?:\w+:)?//[^)'\"]*", path.read_text())
    ]

    assert fetched == []


def test_every_page_of_ours_is_there(pages: dict[str, Page]) -> None:
    docs = ROOT / "docs"

    assert set(pages) - {"404"} == {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.md")}


def test_every_setting_is_on_its_page(pages: dict[str, Page]) -> None:
    assert [
        one.name for one in describe(Settings, RemoteSettings) if one.name not in pages["reference/settings"].words
    ] == []


def test_the_examples_are_shown_as_they_are_tested(pages: dict[str, Page]) -> None:
    for example in EXAMPLES:
        guide = {"emit": "emit", "receive_typed": "typed-models"}.get(example.stem, "receive")

        assert example.read_text(encoding="utf-8").strip() in pages[f"guides/{guide}"].words, example.name


def test_no_include_mark_is_left(pages: dict[str, Page]) -> None:
    assert not any("--8<--" in page.words for page in pages.values())
