"""A theme's colours are readable, whatever a company chooses."""

import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.console import theme
from dispatcher.schemas.api.portal import PortalSchema
from tests.support.cases import each

COLOURS = st.integers(0, 2**24 - 1).map(lambda number: f"#{number:06x}")
STYLES = Path(theme.__file__).parent / "static" / "console.css"


@given(COLOURS)
def test_text_in_the_accent_and_on_it_is_readable_on_every_ground(accent: str) -> None:
    for grounds, end in ((theme.LIGHT_GROUNDS, "#000000"), (theme.DARK_GROUNDS, "#ffffff")):
        colour = theme.readable(accent, grounds, towards=end)
        assert min(theme.contrast(colour, ground) for ground in grounds) >= 4.5
        text = re.findall("--accent-text: (#.{6})", theme.style_sheet({"accent": colour}))
        assert theme.contrast(text[0], theme.readable(colour, theme.LIGHT_GROUNDS, towards="#000000")) >= 4.5


def test_a_readable_accent_stays_and_each_scheme_may_have_its_own() -> None:
    assert theme.style_sheet({"accent": "#1f5f8b", "accent_dark": "#8cc4ea"}).splitlines() == [
        ":root { --accent: #1f5f8b; --accent-text: #ffffff; }",
        "@media (prefers-color-scheme: dark) { :root { --accent: #8cc4ea; --accent-text: #10202c; } }",
    ]
    assert theme.style_sheet({"company": "Shop"}) == ""
    assert "--accent: #000000" not in theme.style_sheet({"accent_dark": "#8cc4ea"})


def test_the_grounds_are_those_of_the_style_sheet() -> None:
    light, dark = STYLES.read_text().split("@media (prefers-color-scheme: dark)")[:2]
    names = ("ground", "card", "good-ground", "retry-ground", "bad-ground", "plain-ground")
    for text, grounds in ((light, theme.LIGHT_GROUNDS), (dark.partition("}")[0], theme.DARK_GROUNDS)):
        found = [re.findall(rf"--{name}: (#\w+)", text)[0] for name in names]
        assert [colour if len(colour) == 7 else f"#{colour[1:] * 2}" for colour in found] == list(grounds)


@each(
    "portal",
    [
        {"frame_ancestors": ["https://a.example; script-src *"]},
        {"frame_ancestors": ["*"]},
        {"frame_ancestors": ["https://*"]},
        {"frame_ancestors": ["https://*.com"]},
        {"frame_ancestors": ["https:"]},
        {"frame_ancestors": ["'self'"]},
        {"frame_ancestors": ["http://a.example"]},
        {"frame_ancestors": ["https://a.example/"]},
        {"frame_ancestors": ["https://a.example\n"]},
        {"frame_ancestors": [f"https://a{number}.example" for number in range(21)]},
        {"theme": {"accent": "red"}},
        {"theme": {"accent": "#1f5f8b;"}},
        {"theme": {"accent": "#1f5f8b\n"}},
        {"theme": {"logo_url": "https://a.example;script-src *"}},
        {"theme": {"logo_url": "https://user@a.example/x.png"}},
        {"theme": {"logo_url": 'https://a.example/"onerror='}},
        {"theme": {"logo_url": "data:image/svg+xml,x"}},
        {"theme": {"company": "x" * 61}},
        {"theme": {"css": "body{}"}},
    ],
)
def test_what_would_reach_beyond_its_place_is_refused(portal: Any) -> None:
    assert PortalSchema().validate(portal)


def test_origins_for_production_and_development_are_taken() -> None:
    origins = ["https://a.example", "https://*.shop.example:8443", "http://localhost:3000", "http://[::1]:80"]
    theme_ = {"company": "Søn & Co", "logo_url": "https://cdn.example:444/a/b.png?c=1", "accent": "#1f5f8b"}
    assert PortalSchema().validate({"frame_ancestors": origins, "theme": theme_}) == {}
