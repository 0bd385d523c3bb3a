// Emits over HTTP: a token by client credentials, and an idempotency key with which a request may be sent again.

import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const API = `http://127.0.0.1:${process.env.PORT ?? 8000}/api/v3`;
const RETRIES_AFTER_MS = [100, 500, 2_000, 5_000];

let token = { value: "", expiresAt: 0 };

async function accessToken() {
  if (Date.now() > token.expiresAt) {
    const client = JSON.parse(readFileSync(".dispatcher-client.json", "utf8"));
    const response = await fetch(`${API}/oauth/token`, {
      method: "POST",
      headers: { Authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}` },
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    });
    if (!response.ok) throw new Error(`No token: ${response.status} ${await response.text()}`);
    const { access_token, expires_in } = await response.json();
    token = { value: access_token, expiresAt: Date.now() + (expires_in - 60) * 1_000 };
  }
  return token.value;
}

// The stored event: {id, new}. It is committed then. Nobody knows what became of a request without a response, so it
// is sent again with its key, which makes one event of all of them.
export async function emit(account, name, body, key) {
  for (const pause of [...RETRIES_AFTER_MS, null]) {
    const response = await post(account, JSON.stringify({ name, body }), key).catch((error) => error);
    if (response.status === 202) return response.json();
    if (response.status === 401) token.expiresAt = 0;
    else if (response.status < 500 && response.status !== 429) throw new Error(await response.text());
    if (pause === null) throw new Error(`Not emitted: ${response.status ?? response}`);
    await setTimeout(pause);
  }
}

async function post(account, body, key) {
  return fetch(`${API}/accounts/${account}/events.json`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${await accessToken()}`,
      "Content-Type": "application/json",
      "Idempotency-Key": key,
    },
    body,
    signal: AbortSignal.timeout(10_000),
  });
}
