"""`dispatcher bench`: measures this checkout on servers of its own."""

import subprocess
import sys
from pathlib import Path

import click


@click.command()
@click.option("--quick", is_flag=True, help="Run a tenth of the load, for a rough result.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("bench-results"),
    show_default=True,
    help="Folder for the results.",
)
def bench(quick: bool, folder: Path) -> None:
    """Measure throughput, latency and idle cost on this machine, with two baselines. Takes about 4 minutes.

    Starts and stops its own Postgres, Valkey, receiver and workers; yours are not touched.
    """
    if not Path("bench/__main__.py").is_file():
        raise click.ClickException("the folder `bench` does not exist here; run this command in a checkout")
    command = [sys.executable, "-m", "bench", "--folder", str(folder)]
    sys.exit(subprocess.run([*command, "--quick"] if quick else command, check=False).returncode)
