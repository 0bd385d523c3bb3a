"""What the figures were measured on."""

import os
import platform
from pathlib import Path

from bench.rig import THREADS, WORKER_COUNT, Rig


def describe(rig: Rig, receiver: str) -> dict[str, str]:
    """The machine and the versions, for people."""
    settings = {name: rig.sql(f"show {name}")[0][0] for name in ("fsync", "synchronous_commit", "server_version")}
    server = rig.redis.info("server")
    return {
        "CPU": _cpu(),
        "cores": str(_cores()),
        "load before": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "Postgres": f"{settings['server_version']}, fsync {settings['fsync']},"
        f" synchronous_commit {settings['synchronous_commit']}",
        "Valkey": str(server.get("valkey_version") or server["redis_version"]),
        "receiver": receiver,
        "workers": f"{WORKER_COUNT} processes with {THREADS} threads each; all of this on the same cores",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
