"""Strangers who sign in as fast as they are answered: `python -m tests.attacks.flood PORT CLIENTS [spread]`.

A process of its own, so that what it costs delays no measurement. Each client keeps a connection; with `spread` each
has an address of its own, as a proxy would tell. Prints a line once all of them are at it, goes on until its input
ends, and then prints how often each status came.
"""

import asyncio
import json
import sys
from collections import Counter
from urllib.parse import urlencode

TOKEN = "a" * 64


def _request(number: int, turn: int, spread: bool) -> bytes:
    form = urlencode({"csrf": TOKEN, "name": f"nobody{number}-{turn}@example.com", "password": "x"}).encode()
    whence = f"X-Forwarded-For: 10.9.{number // 250}.{number % 250 + 1}\r\n" if spread else ""
    head = (
        "POST /console/sign-in HTTP/1.1\r\nHost: localhost\r\nUser-Agent: flood\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nCookie: console_form={TOKEN}\r\n{whence}"
        f"Content-Length: {len(form)}\r\n\r\n"
    )
    return head.encode() + form


async def _client(
    port: int, number: int, spread: bool, counts: Counter[str], counted: asyncio.Semaphore, over: asyncio.Event
) -> None:
    turn = 0
    while not over.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while not over.is_set():
                turn += 1
                async with asyncio.timeout(60):
                    writer.write(_request(number, turn, spread))
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                    await reader.readexactly(length)
                counts[head[9:12].decode()] += 1
                counted.release()
            writer.close()
        except (OSError, EOFError, TimeoutError) as error:
            counts[type(error).__name__] += 1
            counted.release()


async def _flood(port: int, clients: int, spread: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    counted, over = asyncio.Semaphore(0), asyncio.Event()
    clients_at_work = asyncio.gather(
        *(_client(port, number, spread, counts, counted, over) for number in range(clients))
    )
    async with asyncio.timeout(120):  # twice what one request may take
        for _ in range(clients):
            await counted.acquire()
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    over.set()
    await clients_at_work  # each is answered: nothing is left that the server would be busy with
    return counts


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_flood(int(sys.argv[1]), int(sys.argv[2]), "spread" in sys.argv[3:]))))
