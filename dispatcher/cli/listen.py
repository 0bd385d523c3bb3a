"""`dispatcher listen`: a receiver that prints what arrives and checks the signatures."""

import json
import threading

import click

from dispatcher.current import current_container
from dispatcher.errors import DispatcherError
from dispatcher.local.receiver import Arrival, Receiver
from dispatcher.storage.secrets import signing_key
from dispatcher.webhooks.secrets import verification_keys


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0 chooses a free port.")
@click.option("--secret", "secrets", multiple=True, help="A signing secret, whsec_... Default: those of the webhooks.")
@click.option(
    "--status", type=click.IntRange(200, 599), default=200, show_default=True, help="Status code of the responses."
)
def listen(port: int, secrets: tuple[str, ...], status: int) -> None:
    """Receive webhooks on loopback, print them, and verify their signatures. Press Ctrl-C to stop."""
    printing = threading.Lock()

    def answer(arrival: Arrival) -> int:
        with printing:
            _print(arrival, _keys(arrival, secrets), status)
        return status

    try:
        with Receiver(answer, port) as receiver:
            print(
                f"listening on {receiver.url}/ (needs DISPATCHER_ALLOWED_NETWORKS=127.0.0.0/8); press Ctrl-C to stop",
                flush=True,
            )
            threading.Event().wait()
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}") from None
    except KeyboardInterrupt:
        print()


def _print(arrival: Arrival, keys: list[bytes], status: int) -> None:
    verdict = "signature not checked (no secret known)"
    schemes = {one.partition(",")[0] for one in arrival.headers.get("webhook-signature", "").split()}
    if schemes and "v1" not in schemes:
        verdict = f"signature not checked ({', '.join(schemes)})"
    elif keys:
        verdict = "signature valid" if arrival.is_signed(keys) else "signature INVALID"
    payload = arrival.json()
    name = payload.get("event_name") or payload.get("type") or "?"  # in any of the envelopes
    print(f"{name} {arrival.path} key {arrival.key}: {verdict}, responded {status}")
    body = json.dumps(payload, indent=2, ensure_ascii=False) if payload else f"({len(arrival.body)} bytes, not JSON)"
    print(body, flush=True)


def _keys(arrival: Arrival, secrets: tuple[str, ...]) -> list[bytes]:
    if secrets:
        return [signing_key(secret) for secret in secrets]
    webhook_id = arrival.json().get("webhook_id")
    try:
        return verification_keys(current_container().storage, webhook_id if isinstance(webhook_id, int) else None)
    except DispatcherError:
        return []  # print it without a database too
