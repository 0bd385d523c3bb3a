"""What may go on the wire: URLs and headers, without a socket."""

import re

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sender.wire import Unsendable, check_headers, parse_target
from tests.support.cases import each

header_text = st.text(st.characters(min_codepoint=0, max_codepoint=0x17F), max_size=20)


@each(
    ("url", "ready", "host", "port"),
    [
        ("https://Example.test", "https://example.test/", "example.test", 443),
        ("http://example.test/a?b=c#d", "http://example.test/a?b=c", "example.test", 80),
        ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/", "2001:db8::1", 8080),
        ("https://příklad.test/ž", "https://xn--pklad-zsa96e.test/%C5%BE", "xn--pklad-zsa96e.test", 443),
        ("http://１２７.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://a_b.test./", "http://a_b.test./", "a_b.test.", 80),
    ],
)
def test_a_url_is_made_ready(url: str, ready: str, host: str, port: int) -> None:
    made = parse_target(url)

    assert (made.url, made.host, made.port) == (ready, host, port)


@given(st.text(max_size=40))
def test_any_text_is_ascii_or_unsendable(text: str) -> None:
    for url in (text, f"http://{text}", f"http://example.test/{text}"):
        try:
            ready = parse_target(url).url
        except Unsendable:
            continue
        assert re.fullmatch(r"https?://[!-~]+", ready)


@given(st.lists(st.tuples(header_text, header_text), max_size=3))
def test_headers_that_pass_make_one_line_each(headers: list[tuple[str, str]]) -> None:
    try:
        check_headers(headers)
    except Unsendable:
        return
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    assert lines.isascii()
    assert re.split("[\r\n\0]+", lines)[:-1] == [f"{name}: {value}" for name, value in headers]
