# Verifies a webhook with Python's standard library. Usage: python3 verify.py SECRET ID TIMESTAMP SIGNATURE < body

import base64
import hashlib
import hmac
import sys
import time

TOLERANCE_S = 300


# secret begins with whsec_; the others are the headers webhook-id, webhook-timestamp, webhook-signature.
def verify(secret: str, message_id: str, timestamp: str, signature: str, body: bytes) -> bool:
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    if not key:  # an empty secret is everybody's
        return False
    signed = message_id.encode() + b"." + timestamp.encode() + b"." + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in signature.split(" "))


if __name__ == "__main__":
    print("valid" if verify(*sys.argv[1:5], sys.stdin.buffer.read()) else "invalid")
