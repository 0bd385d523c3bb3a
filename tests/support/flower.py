"""A real Flower, asked as a browser or a program asks it: by its pages and its API, with a password or without."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

PASSWORD = "me:word"
# What the table of Flower's page on tasks asks for.
_TABLE = "/tasks/datatable?draw=1&start=0&length=10&search[value]={}&order[0][column]=0&columns[0][data]=name"


class Flower:
    """The one that listens, or will listen, at `port` of this machine; `password` is `user:password`, or empty."""

    def __init__(self, port: int, password: str = PASSWORD) -> None:
        self.env = {"FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": password}
        """For `dispatcher flower`."""
        self._url = f"http://127.0.0.1:{port}"
        self._password = password

    def status(self, path: str = "/", *, method: str = "GET", password: str | None = None) -> int:
        """The HTTP status; 0 while nobody listens. `password` is another than its own."""
        return self._ask(path, method, self._password if password is None else password)[0]

    def page(self, path: str) -> str:
        """The text of a page or of the API's answer; empty while nobody listens, or where it is refused."""
        status, text = self._ask(path, "GET", self._password)
        return text if status == 200 else ""

    def task(self, id_: str) -> dict[str, Any]:
        """What the API tells of a task; empty while Flower does not know it."""
        return dict(json.loads(self.page(f"/api/task/info/{id_}") or "{}"))

    def tasks(self, query: str = "") -> dict[str, Any]:
        """Id → what the API's list tells of the task; `query` narrows it: `limit=5`."""
        return dict(json.loads(self.page(f"/api/tasks?{query}") or "{}"))

    def found(self, search: str = "") -> set[tuple[str, str]]:
        """Name and state of the tasks that the page of tasks finds for `search`."""
        table = json.loads(self.page(_TABLE.format(search)) or '{"data": []}')
        return {(task["name"], task["state"]) for task in table["data"]}

    def sees(self, worker: str) -> bool:
        """Whether it has heard of a worker whose name begins so."""
        return f'"{worker}@' in self.page("/workers?json=1")

    def _ask(self, path: str, method: str, password: str) -> tuple[int, str]:
        request = urllib.request.Request(self._url + path, method=method)
        if password:
            request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""
        except OSError:
            return 0, ""
