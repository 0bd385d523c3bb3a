// Verifies a webhook with Node's own modules. Usage: node verify.mjs SECRET ID TIMESTAMP SIGNATURE < body
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const TOLERANCE_S = 300;

// secret begins with whsec_; the others are the headers webhook-id, webhook-timestamp, webhook-signature; body is a Buffer.
export function verify(secret, id, timestamp, signature, body) {
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length === 0) return false; // an empty secret is everybody's
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${mac}`);
  return signature.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const [secret, id, timestamp, signature] = process.argv.slice(2);
console.log(verify(secret, id, timestamp, signature, readFileSync(0)) ? "valid" : "invalid");
