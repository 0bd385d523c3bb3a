"""Libraries that stand between a worker and the system's own: for names that lead elsewhere and clocks that jump."""

import os
from itertools import count
from pathlib import Path

_moments = count(2_000_000_000)


def library(path: str) -> str:
    """For LD_PRELOAD: the one of that path below /usr/lib/<machine>."""
    found = [str(one) for one in Path("/usr/lib").glob(f"*/{path}")]
    assert found, f"{path} is missing: .ci/install-debian-packages"
    return found[0]


class Names:
    """What the names in `file` lead to, for a process that has `env`; an answer may be changed while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._addresses: dict[str, str] = {}
        self.env = {"LD_PRELOAD": library("libnss_wrapper.so"), "NSS_WRAPPER_HOSTS": str(file)}

    def lead(self, name: str, address: str) -> None:
        """From now on `name` leads to `address`."""
        self._addresses[name] = address
        self._file.write_text("".join(f"{address} {name}\n" for name, address in self._addresses.items()))
        moment = next(_moments)
        os.utime(self._file, (moment, moment))  # it is read again when its time changes, of which only seconds count


class Clock:
    """The time of day in a process that has `env`; it may jump while the process runs. Spans stay what they are."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(0)
        self.env = {
            "LD_PRELOAD": library("faketime/libfaketimeMT.so.1"),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, hours: int) -> None:
        """From now on it is so many hours fast."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{hours:+d}h\n")
        new.replace(self._file)  # it is read at every look at the clock
