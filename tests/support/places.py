"""Where the checkout is, and folders for what a test starts."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "tests" / "examples"


@contextmanager
def a_folder() -> Iterator[Path]:
    """One that everyone may pass through, as Postgres must, which refuses root; pytest's own lets only its owner in.

    In memory where there is room: a fresh database is 460 files, which a busy disk takes half a second to make.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    with tempfile.TemporaryDirectory(
        prefix="dispatcher-tests-", dir=memory if roomy else None, ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
