"""Two Postgres of the tests' own, of which one follows the other, commit by commit."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from dispatcher.local.folder import make_folder, write_private
from dispatcher.local.postgres import Postgres
from tests.support.servers import execute
from tests.support.waiting import eventually


class Standby(Postgres):
    """Follows `primary` until it is promoted."""

    def __init__(self, folder: Path, primary: Postgres) -> None:
        super().__init__(folder)
        self._primary = primary
        make_folder(self.folder)
        write_private(self.folder / "password", urlsplit(primary.url).password or "")

    def promote(self) -> None:
        """Makes it a primary; returns when it takes writes."""
        self._call(self._user, "pg_ctl", "promote", "-D", self.data)

    def _make_data(self, password: str) -> None:
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(draft, self._user.uid, self._user.gid)
        source = ("-d", self._primary.url, "--checkpoint=fast", "--no-sync")
        self._call(self._user, "pg_basebackup", "-D", draft, "-R", *source)
        draft.rename(self.data)


class Pair:
    """`url` names both servers, the standby first; a client finds the one that takes writes."""

    def __init__(self, folder: Path) -> None:
        self.primary = Postgres(folder / "primary")
        self.primary.start()
        self.standby = Standby(folder / "standby", self.primary)
        self.standby.start()
        # From here on a commit returns when both have it.
        execute(self.primary.url, "alter system set synchronous_standby_names = '*'")
        execute(self.primary.url, "select pg_reload_conf()")
        eventually(self._is_synchronous, 10, "the standby following")

    @property
    def url(self) -> str:
        parts = urlsplit(self.primary.url)
        hosts = f"127.0.0.1:{self.standby.port},127.0.0.1:{self.primary.port}"
        login = parts.netloc.rpartition("@")[0]
        return f"postgresql://{login}@{hosts}{parts.path}?target_session_attrs=read-write"

    def stop(self) -> None:
        for server in (self.standby, self.primary):
            server.stop()

    def _is_synchronous(self) -> bool:
        connection = psycopg2.connect(self.primary.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute("select sync_state from pg_stat_replication")
                return cursor.fetchall() == [("sync",)]
        finally:
            connection.close()
