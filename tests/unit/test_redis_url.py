"""`sentinel://` URLs: what the clock and the broker read out of one."""

import pytest
from celery import Celery

from dispatcher.broker.config import configure
from dispatcher.errors import InvalidSetting
from dispatcher.redis_url import Sentinels, sentinels_of
from dispatcher.settings import read_settings
from tests.support.builders import SECRET_KEY
from tests.support.cases import each

URL = "sentinel://:hunter%402@one:26380;two;[::1]:26381/3?master=clock&sentinel_password=se%3Bcret"


def test_every_part_is_read() -> None:
    assert sentinels_of(URL) == Sentinels(
        addresses=(("one", 26380), ("two", 26379), ("::1", 26381)),
        master="clock",
        database=3,
        username=None,
        password="hunter@2",
        sentinel_password="se;cret",
    )
    named, bare = sentinels_of("sentinel://dave:hunter2@one/"), sentinels_of("sentinel://one")
    assert (named and named.username, bare and bare.master) == ("dave", "mymaster")
    assert sentinels_of("redis://one/0") is None


def test_no_password_shows() -> None:
    assert not any(word in repr(sentinels_of(URL)) for word in ("hunter", "cret"))


def test_celery_gets_a_whole_url_for_each_and_the_rest_as_options() -> None:
    app = Celery(set_as_current=False)

    configure(app, URL)

    assert app.conf.broker_url == ";".join(
        f"sentinel://:hunter%402@{place}/3" for place in ("one:26380", "two:26379", "[::1]:26381")
    )
    options = app.conf.broker_transport_options
    assert options["master_name"] == "clock"
    assert options["sentinel_kwargs"]["password"] == "se;cret"
    assert options["sentinel_kwargs"]["socket_timeout"] == options["socket_timeout"] == 5


@each("variable", ["REDIS_URL", "BROKER_URL"])
@each("bad", ["sentinel://:hunter2@/0", "sentinel://:hunter2@a;:1/0", "sentinel://:hunter2@a/x"])
def test_a_bad_one_stops_the_start(monkeypatch: pytest.MonkeyPatch, variable: str, bad: str) -> None:
    good = {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "SECRET_KEYS": SECRET_KEY}
    with monkeypatch.context() as environment:
        for name, value in (good | {variable: bad}).items():
            environment.setenv(name, value)

        with pytest.raises(InvalidSetting) as caught:
            read_settings()

    assert variable in str(caught.value)
    assert "hunter2" not in str(caught.value)
