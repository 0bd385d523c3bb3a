"""The programs as a person runs them: the Procfile under another manager, `demo`, and `up`."""

import json
import re
import signal
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet

from dispatcher import event_types
from dispatcher.access import service_tokens
from tests.support.builders import a_body
from tests.support.cluster import SHORT, SLUG, Cluster
from tests.support.event_types import BODY, ID, TYPE, schema_with
from tests.support.flower import Flower
from tests.support.places import ROOT
from tests.support.ports import free_port, status
from tests.support.processes import Program, processes_with, run
from tests.support.receiver import Answer, Receiver
from tests.support.waiting import eventually


def test_the_procfile_runs_under_honcho_and_ends_at_term(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.url("/hook"))
    procfile = cluster.folder / "Procfile"
    procfile.write_text((ROOT / "Procfile").read_text())
    mark = f"MARK={cluster.folder}"
    flower = Flower(free_port())
    honcho = cluster.start(
        "honcho", "start", "-f", procfile, "web", "worker", "flower",
        PORT=str(port := free_port(1)), MARK=str(cluster.folder), **flower.env,
    )  # fmt: skip
    eventually(lambda: len(cluster.container.schedule.workers.names()) == 1 and flower.status() == 200, 60)
    eventually(lambda: status(f"http://127.0.0.1:{port}/api/v3/user.json") == 401, 60, "the API answering")

    cluster.emit(10)
    cluster.wait_until_delivered(10)
    check_that_processes_know_new_event_types(cluster, receiver, f"http://127.0.0.1:{port}/api/v1")
    honcho.send(signal.SIGTERM)

    honcho.wait(30)
    eventually(lambda: not processes_with(mark), 20)
    assert "Traceback" not in honcho.output
    assert set(cluster.attempts()) == {("200", None)}


def check_that_processes_know_new_event_types(cluster: Cluster, receiver: Receiver, api: str) -> None:
    """They run, and have looked for event types before these were stored."""
    storage = cluster.container.storage
    _, token = service_tokens.create(storage, "a deployment", ["catalogue", "webhooks", "events:write"], None)
    headers = {"Authorization": f"Bearer {token}"}

    def call(method: str, path: str, body: object) -> int:
        return requests.request(method, api + path, headers=headers, json=body, timeout=30).status_code

    event = {"name": "order.shipped", "body": BODY}
    assert call("PUT", "/event_types/order.shipped", TYPE) == 201
    hook = {"webhook_url": receiver.url("/orders"), "events": ["order.shipped"]}
    assert call("POST", f"/accounts/{SLUG}/webhooks", hook) == 201
    assert call("POST", f"/accounts/{SLUG}/events", event) == 202  # the worker has never heard of it
    (request,) = eventually(lambda: [one for one in receiver.requests if one.path == "/orders"], 10)
    sent = json.loads(request.body)
    assert (list(sent), sent["type"], sent["data"]) == (["type", "timestamp", "data"], "order.shipped", BODY)

    stricter = schema_with(total={"type": "number", "minimum": 0, "maximum": 10})
    event_types.put(storage, "order.shipped", {"schema": stricter, "example": {"order": {"id": ID, "total": 1}}})
    eventually(lambda: call("POST", f"/accounts/{SLUG}/events", event) == 422, 1.0, "the API knowing the change")


def test_a_worker_with_the_wrong_keys_says_so_and_does_not_start(cluster: Cluster, receiver: Receiver) -> None:
    cluster.webhook(receiver.url("/hook"))

    worker = cluster.start_worker(ready=False, SECRET_KEYS=Fernet.generate_key().decode())
    assert worker.wait(30) == 1
    assert "worker.refused reason=No key in SECRET_KEYS decrypts a stored secret" in worker.output
    assert "Traceback" not in worker.output


def test_the_demo_shows_what_it_promises_and_leaves_nothing(folder: Path, programs: list[Program]) -> None:
    demo = run(programs, folder, "demo", "--once", MARK=str(folder), DISPATCHER_RETRY_BASE_S="0.2")

    assert demo.wait(120) == 0, demo.output
    assert "NOT" not in demo.output
    assert "ok " in demo.output
    assert processes_with(f"MARK={folder}") == []


def test_ctrl_c_ends_the_demo_at_once_and_leaves_nothing(cluster: Cluster, programs: list[Program]) -> None:
    """With servers of its user, where none of what it has made may stay; and with the workers alone."""
    folder = cluster.folder
    lines = (ROOT / "Procfile").read_text().splitlines(keepends=True)
    (folder / "Procfile").write_text("".join(line for line in lines if line.startswith("worker")))
    slowly = {"MARK": str(folder), "DISPATCHER_RETRY_BASE_S": "10"}
    demo = run(programs, folder, "demo", **cluster.env | slowly)
    eventually(lambda: "Emitted by signals" in demo.output, 60, "the demo being in the middle of it")
    assert cluster.rows("select count(*) from dispatcher.webhooks where deleted_at is null") == [(4,)]

    demo.send(signal.SIGINT)

    eventually(lambda: "Stopping ..." in demo.output, 20, "an answer to Ctrl-C")
    assert demo.wait(60) == 0, demo.output
    assert processes_with(f"MARK={folder}") == []
    assert "Traceback" not in demo.output
    assert cluster.rows("select count(*) from dispatcher.webhooks where deleted_at is null") == [(0,)]


@pytest.mark.usefixtures("mortal_servers")  # with which come forks, for the commands
def test_up_delivers_shows_it_in_flower_and_ends_by_ctrl_c(
    folder: Path, programs: list[Program], receiver: Receiver
) -> None:
    port, mark = free_port(), f"MARK={folder}"
    (folder / "body.json").write_text(json.dumps(a_body()))
    container = SHORT | {"FLOWER_PORT": str(port), "PORT": str(free_port(1)), "MARK": str(folder)}
    api = f"http://127.0.0.1:{container['PORT']}/api/v3"
    receiver.script("/hook", Answer(status=503), Answer())  # the second try is a `deliver` for sure
    up = run(programs, folder, "up", **container)
    sign_in = re.compile(rf"Flower    http://127\.0\.0\.1:{port}   \(user (\w+), password: cat (\S+)\)\n")
    ((user, kept),) = eventually(lambda: sign_in.findall(up.output), 60, "how to sign in to Flower")
    password = (folder / kept).read_text()
    flower = Flower(port, f"{user}:{password}")
    eventually(lambda: flower.sees("worker1"), 60, "Flower seeing the worker")
    assert flower.status(password="") == flower.status("/api/tasks", password="") == 401
    assert flower.status("/api/tasks") == 200
    eventually(lambda: status(f"{api}/user.json") == 401, 60, "the API answering")
    assert f"API       {api}\n" in up.output
    assert f"Console   {api.removesuffix('/api/v3')}/console " in up.output

    for command in (
        ("account", "create", SLUG),
        ("webhook", "create", "--account", SLUG, "--url", receiver.url("/hook"), "--event", "invoice_paid"),
        ("emit", "invoice_paid", "--account", SLUG, "--body", "body.json"),
    ):
        done = run(programs, folder, *command)
        assert done.wait(60) == 0, done.output
    first, second = receiver.wait_for(2)
    assert json.loads(first.body)["event_name"] == "invoice_paid"
    assert first.header("Idempotency-Key") == second.header("Idempotency-Key")
    both = {("tasks.fan_out", "SUCCESS"), ("tasks.deliver", "SUCCESS")}
    eventually(lambda: both <= flower.found(), 30, "Flower showing both tasks")
    key = str(first.header("Idempotency-Key"))
    eventually(lambda: ("delivery:invoice_paid", "SUCCESS") in flower.found(key), 30, "Flower showing the retry")
    pinged = run(programs, folder, "webhook", "ping", "--account", SLUG, "1")
    assert pinged.wait(60) == 0, pinged.output  # it knows that `up` allows this machine
    up.send(signal.SIGINT)
    assert up.wait(60) == 0, up.output
    assert "Inspect method" not in up.output  # Flower's, while the workers start with it
    assert processes_with(mark) == []
    assert password not in up.output
