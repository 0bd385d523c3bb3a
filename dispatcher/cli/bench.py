"""`dispatcher bench`: measures this checkout on servers of its own."""

import subprocess
import sys
from pathlib import Path

import click


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the load: a look, not a figure to quote.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("bench-results"),
    show_default=True,
    help="Where results are written.",
)
def bench(quick: bool, folder: Path) -> None:
    """Measure throughput, latency and idle cost here, beside two yardsticks. Takes about 4 minutes.

    Starts its own Postgres, Valkey, receiver and workers, and ends them; yours are not touched.
    """
    if not Path("bench/__main__.py").is_file():
        raise click.ClickException("there is no folder bench here; run it in a checkout")
    command = [sys.executable, "-m", "bench", "--folder", str(folder)]
    sys.exit(subprocess.run([*command, "--quick"] if quick else command, check=False).returncode)
