"""The console in Debian's Chromium, against a real `dispatcher serve`: one server and one browser for all tests.

server       `dispatcher serve`; its database and Valkey are of this folder's tests alone
container    one on the same database: a test emits, fans out and drains with it, when it wants to
receiver     answers webhooks by script
account      a new account of this test, with people (`person`)
browser      Chromium; `window(...)` is a page of somebody signed in, which tests have one after the other
site         plain HTTP: a session of requests that can sign in and send forms
"""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from html import unescape
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Frame, Page, expect, sync_playwright

from dispatcher.container import Container
from dispatcher.local.valkey import Valkey
from dispatcher.model.account import Account
from dispatcher.pipeline.fan_out import take_batch
from dispatcher.settings import Settings
from dispatcher.storage.admin import sessions, users
from dispatcher.storage.engine import rows
from dispatcher.storage.stats import rollups
from tests.support import npm
from tests.support.api import Server, running
from tests.support.builders import PASSWORDS, SECRET_KEY, a_webhook, an_account, an_event
from tests.support.fakes import FakeQueue
from tests.support.places import a_folder
from tests.support.receiver import Answer, Receiver
from tests.support.servers import a_database, a_valkey

PASSWORD = "correct horse battery staple"
HASH = PASSWORDS.hash(PASSWORD)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def console_valkey() -> Iterator[Valkey]:
    yield from a_valkey()


@pytest.fixture(scope="session")
def console_database_url(migrated_server: str) -> Iterator[str]:
    yield from a_database(migrated_server)


@pytest.fixture(scope="session")
def _container(console_database_url: str, console_valkey: Valkey) -> Iterator[Container]:
    made = Container(
        Settings(
            database_url=console_database_url,
            redis_url=console_valkey.url,
            broker_url=console_valkey.url,
            secret_keys=(SECRET_KEY,),
            allowed_networks=(ip_network("127.0.0.0/8"),),
            flower_deliveries="none",
            pool_size=10,
        )
    )
    made.queue = FakeQueue()  # type: ignore[assignment]
    yield made
    made.close()


@pytest.fixture
def container(_container: Container) -> Container:
    return _container


@pytest.fixture(scope="session")
def server(_container: Container, forking: None) -> Iterator[Server]:
    with a_folder() as folder, running(_container, folder, DISPATCHER_WEB_WORKERS="1") as made:
        yield made


@pytest.fixture
def account(container: Container) -> Account:
    return an_account(container.storage, f"acme{next(_numbers)}")


@pytest.fixture
def person(container: Container, account: Account) -> Callable[..., str]:
    """`person("read")` is the e-mail of somebody new who may do that; an operator has no account."""

    def make(permission: str = "write", of: Account = account) -> str:
        email = f"ann{next(_numbers)}@example.com"
        account_id = None if permission == "operator" else of.id
        container.storage.transact(
            users.create, account_id, email=email, full_name="Ann", permission=permission, password_hash=HASH
        )
        return email

    return make


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def an_address() -> str:
    """One that no other test has."""
    return str(ip_address("10.0.0.0") + next(_numbers))


# -- Plain HTTP --------------------------------------------------------------------------------------------------------


class Site:
    """A browser without a browser: keeps cookies, reads forms; follows no redirect."""

    def __init__(self, server: Server) -> None:
        self.url = f"{server.url}/console"
        self.session = requests.Session()
        # From an address of its own, as wrong passwords count for an address too.
        self.session.headers["X-Forwarded-For"] = an_address()

    def get(self, path: str = "/", **given: Any) -> Any:
        return self.session.get(self.url + path, allow_redirects=False, timeout=30, **given)

    def post(self, path: str, data: Any = None, **given: Any) -> Any:
        return self.session.post(self.url + path, data=data, allow_redirects=False, timeout=30, **given)

    def token(self, path: str = "/replays") -> str:
        """The token of this session's forms."""
        return self.token_of(self.session.get(self.url + path, timeout=30))

    def token_of(self, page: Any) -> str:
        return unescape(re.findall(r'name="csrf" value="([^"]+)"', page.text)[0])

    def sign_in(
        self, name: str, password: str = PASSWORD, headers: Mapping[str, str] | None = None, **given: str
    ) -> Any:
        form = {"csrf": self.token_of(self.get("/sign-in")), "name": name, "password": password}
        return self.post("/sign-in", form | given, headers=headers)

    def send(self, path: str, **form: Any) -> Any:
        """A form of ours."""
        return self.post(path, {"csrf": self.token("/"), **form})


@pytest.fixture
def site(server: Server) -> Site:
    return Site(server)


@pytest.fixture
def signed_in(site: Site, container: Container, person: Callable[..., str]) -> Site:
    """As somebody of the account who may change it."""
    site.session.cookies.set("console", a_session(container, person()))
    return site


def a_session(container: Container, email: str) -> Any:
    """What the cookie of somebody signed in holds; without the form, whose password takes its time."""
    candidate: Any = container.storage.transact(sessions.candidate, email)
    return container.storage.transact(sessions.start, candidate, container.access.session_idle, agent="Browser/1")


# -- Data --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def traffic(container: Container, account: Account, receiver: Receiver) -> "Traffic":
    return Traffic(container, account, receiver)


class Traffic:
    """What happens in an account, step by step."""

    def __init__(self, container: Container, account: Account, receiver: Receiver) -> None:
        self.container, self.account, self.receiver = container, account, receiver

    def webhook(self, *answers: Answer, **given: Any) -> int:
        """The id of a webhook whose receiver answers so, and then 200."""
        path = f"/hook{next(_numbers)}"
        if answers:
            self.receiver.script(path, *answers, Answer())
        return a_webhook(self.container.storage, self.account, self.receiver.url(path), **given).id

    def emit(self, name: str = "invoice_paid", count: int = 1, **given: Any) -> list[int]:
        """Events that are fanned out; their ids."""
        events = self.container.emitter.emit(self.account, [an_event(name, **given) for _ in range(count)])
        take_batch(self.container.storage, 500)  # the runner would send some itself
        return [one.id for one in events]

    def drain(self, *webhook_ids: int) -> None:
        """Sends what is due."""
        self.container.schedule.hand_out(webhook_ids, 1_000)
        self.container.drain_runner.run(list(webhook_ids))
        self.container.storage.transact(rollups.count, lag_s=0.0)

    def fail(self, webhook_id: int) -> None:
        """What waits for it has failed."""
        self.sql(
            "update dispatcher.deliveries set state = 'failed', finished_on = current_date, lease_token = null,"
            " updated_at = dispatcher.now() where webhook_id = %(id)s and finished_on is null",
            id=webhook_id,
        )

    def deliveries(self, webhook_id: int) -> list[int]:
        found = self.sql("select id from dispatcher.deliveries where webhook_id = %(id)s order by id", id=webhook_id)
        return [id_ for (id_,) in found]

    def state(self, delivery_id: int) -> str:
        state: str = self.sql("select state from dispatcher.deliveries where id = %(id)s", id=delivery_id)[0][0]
        return state

    def sql(self, text: str, **parameters: Any) -> list[Any]:
        return self.container.storage.transact(rows, text, **parameters)


CHANNEL = {"name": "On call", "type": "slack", "target": "https://hooks.slack.com/services/T0/B0/x"}


REPLAY = """
insert into dispatcher.replays (account_id, states, since, until, new_key, missed, state, matched, sent, paced_at,
    created_at,
    finished_at)
values (%(id)s, '{failed}', now() - interval '1 day', now(), false, false, 'stopped', 50, 20, now(), now(), now())
returning id
"""


# -- Chromium ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")  # while it is there an event loop runs in this thread, where the next file may want one
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)  # pages ask again each 5 s, and this machine may have other things to do
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path="/usr/bin/chromium-headless-shell",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield made
        made.close()


@pytest.fixture(scope="session")
def axe() -> Iterator[str]:
    """axe-core's source, exactly as the lock names it."""
    with a_folder() as folder:
        shutil.copytree(Path(__file__).parent / "axe", folder, dirs_exist_ok=True)
        npm.install(folder)
        yield (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Page:
    """The page that this file's tests have one after the other: its process and its compiled scripts stay."""
    # Without transitions: axe would see the colours on their way.
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    return context.new_page()


@pytest.fixture
def window(tab: Page, server: Server, container: Container) -> Iterator[Callable[..., "Window"]]:
    """`window(email)` is the page of somebody signed in, `window()` of nobody."""
    with ExitStack() as stack:

        def open_(email: str | None = None) -> Window:
            made = Window(tab, server, container)
            stack.callback(made.leave)
            if email is not None:
                made.sign_in(email)
            return made

        yield open_


class Window:
    """A page, and what its scripts complained of."""

    def __init__(self, page: Page, server: Server, container: Container) -> None:
        self.page = page
        self.url = f"{server.url}/console"
        self._container = container
        self._browser = page.context.new_cdp_session(page)
        self._shapes: dict[str, set[int]] = {"light": set(), "dark": set()}
        self.complaints: list[str] = []
        page.on("pageerror", self._failed)
        page.on("console", self._said)

    def _failed(self, error: Any) -> None:
        self.complaints.append(str(error))

    def _said(self, said: Any) -> None:
        if said.type == "error":
            self.complaints.append(said.text)

    def leave(self) -> None:
        """As if nobody had been here. The icon asks for nothing by itself, and keeps the process."""
        self._browser.detach()
        self.page.remove_listener("pageerror", self._failed)
        self.page.remove_listener("console", self._said)
        self.open("/static/icon.svg")
        self.page.context.clear_cookies()
        self.page.context.clear_permissions()
        look_at(self.page)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, email: str) -> None:
        """Without the form, whose password takes its time."""
        session = a_session(self._container, email)
        self.page.context.add_cookies([{"name": "console", "value": session, "url": self.url}])

    def without_scripts(self) -> None:
        """From the next page on."""
        self._browser.send("Emulation.setScriptExecutionDisabled", {"value": True})

    def in_time_zone(self, name: str) -> None:
        """That of the browser's machine."""
        self._browser.send("Emulation.setTimezoneOverride", {"timezoneId": name})

    def faults(self, axe: str, *, by_axe_in_the_dark: bool = True) -> list[str]:
        """What is wrong with the page, wide and light, then narrow and dark: it does not fit, or axe says so."""
        found = []
        for width, scheme in ((1280, "light"), (390, "dark")):
            look_at(self.page, width, scheme)
            if not self.page.evaluate(FITS):
                found.append(f"wider than {width}")
            if scheme == "light" or by_axe_in_the_dark:
                found += violations(self.page.main_frame, axe, self._shapes[scheme])
        return found


FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def look_at(page: Page, width: int = 1280, scheme: Any = "light") -> None:
    """In another way, without loading it again."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)


def violations(frame: Frame, axe: str, known: set[int] | None = None) -> list[str]:
    """What axe finds wrong, in words; `known`: shapes it need not see, to which those of this page are added."""
    known = set() if known is None else known
    if not frame.evaluate("typeof axe !== 'undefined'"):
        frame.evaluate(axe)
    found = frame.evaluate(_AXE, list(known))
    known.update(found["shapes"])
    return [
        f"{one['id']}: {node['html'][:160]} ({node['failureSummary'][:300]})"
        for one in found["violations"]
        for node in one["nodes"]
    ]


# Of elements at one place that differ in their texts and values alone axe sees two, and what was on an earlier page, as
# the layout was, not again: what is wrong with the third is wrong with the second.
_AXE = """async (before) => {
  const known = new Set(before), counts = new Map(), shapes = new Map();
  const hash = (words) => {
    let sum = 0;
    for (const one of words.join(" ")) sum = (Math.imul(sum, 31) + one.charCodeAt(0)) | 0;
    return sum;
  };
  const look = (one) => {
    const inner = [...one.children].map(look);
    shapes.set(one, hash([one.localName, one.getAttribute("class"), ...one.getAttributeNames(), ...inner]));
    return shapes.get(one);
  };
  const mark = (one, place) => {
    const here = hash([place, one.localName, one.getAttribute("class")]), key = hash([here, shapes.get(one)]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    one.toggleAttribute("data-seen", known.has(key) || counts.get(key) > 2);
    for (const child of one.children) mark(child, here);
  };
  for (const one of document.querySelectorAll("[data-seen]")) one.removeAttribute("data-seen");
  look(document.body);
  for (const child of document.body.children) mark(child, 0);
  const { violations } = await axe.run({ exclude: ["[data-seen]"] }, { resultTypes: ["violations"] });
  return { violations, shapes: [...counts.keys()] };
}"""
