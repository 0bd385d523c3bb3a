// Events of a polled webhook, for those who cannot receive requests: fetched in order, acknowledged when handled.
import { type Options, serviceClient } from './client.js';
import { ok } from './results.js';
import { verify } from './verify.js';

/** An event as it would have been sent. `id` is the same whenever it is fetched: it tells what was handled already. */
export interface PolledEvent<Data = unknown> {
  id: string;
  eventName: string;
  data: Data;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface PollOptions extends Options {
  /** With secrets, each event is verified (`verify`). */
  secrets?: string | readonly string[];
  /** Events of a page. */
  limit?: number;
  /** Seconds, up to 30, for which a request waits for the first event. Default: 20. */
  waitS?: number;
  stopWhenEmpty?: boolean;
}

const PAUSE_MS = 1_000;

/**
 * Events, in order, without end, or until there are none; with a poll token. `api`: `https://hooks.example.com/api/v1`.
 *
 * An event is handled when the next one is asked for. What was handled is acknowledged with the end of its page, and when
 * the loop is left, also by an exception: then the event that threw it comes again. So may others, after a crash: handle
 * an `id` once.
 */
export async function* poll<Data = unknown>(
  api: string,
  token: string,
  externalId: string,
  webhookId: number,
  options: PollOptions = {},
): AsyncGenerator<PolledEvent<Data>, void> {
  const client = serviceClient(api, token, options);
  const path = { external_id: externalId, webhook_id: webhookId };
  const query = { wait: options.waitS ?? 20, ...(options.limit === undefined ? {} : { limit: options.limit }) };
  for (;;) {
    const asked = Date.now();
    const page = ok(await client.GET('/accounts/{external_id}/poll/{webhook_id}', { params: { path, query } }));
    let handled = page.data.length === 0 && page.has_more ? page.cursor : null;
    try {
      for (const { id, event_name: eventName, headers, body, cursor } of page.data) {
        const data = options.secrets === undefined ? (JSON.parse(body) as Data) : await verify<Data>(body, headers, options.secrets);
        yield { id, eventName, data, headers, body };
        handled = cursor;
      }
    } finally {
      if (handled !== null)
        ok(await client.POST('/accounts/{external_id}/poll/{webhook_id}/ack', { params: { path }, body: { cursor: handled } }));
    }
    if (page.data.length > 0 || page.has_more) continue;
    if (options.stopWhenEmpty) return;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, asked + PAUSE_MS - Date.now())));
  }
}
