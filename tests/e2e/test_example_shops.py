"""The example shops, each started by its one command: what it commits arrives, and what it rolls back does not."""

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.processes import PROGRAMS, Program
from tests.support.waiting import eventually


def post(url: str, body: object = None) -> tuple[int, bytes]:
    """Status and body; 0 while nobody listens."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except urllib.error.URLError:
        return 0, b""


@pytest.mark.parametrize("example", ["fastapi_shop", "django_shop"])
def test_what_the_shop_commits_arrives_and_what_it_rolls_back_does_not(
    example: str, folder: Path, programs: list[Program]
) -> None:
    port = free_port()
    shop = f"http://127.0.0.1:{port}"
    up = Program(
        [PROGRAMS / "dispatcher", "up", "--folder", folder / "data"],
        cwd=ROOT / "examples" / example,
        env={"SHOP_PORT": str(port), "RECEIVER_PORT": str(free_port(1)), "PYTHONDONTWRITEBYTECODE": "1"},
        log=folder / "up.log",
    )
    programs.append(up)

    def is_open() -> bool:
        assert not up.ended, up.output
        return post(f"{shop}/nothing")[0] == 404

    eventually(is_open, 120, "the shop answering")
    large, small = ({"number": number, "total": total} for number, total in [("A", "2000000"), ("B", "1089.00")])
    assert [post(f"{shop}/invoices", new)[0] for new in (large, small)] == [201, 201]
    assert post(f"{shop}/invoices/1/payment")[0] in (400, 422)
    assert post(f"{shop}/invoices/2/payment")[0] == 201

    eventually(lambda: up.output.count("signature valid") == 3, 30, "three webhooks arriving")
    assert up.output.count("invoice_created /hook") == 2
    assert up.output.count("invoice_paid /hook") == 1
    assert '"number": "B",\n' in up.output.partition("invoice_paid /hook")[2]
    up.send(signal.SIGINT)
    assert up.wait(60) == 0, up.output
