// What test_sdks.py does in Python too. It prints what it has seen, a line of JSON for each step; before the second step
// it reads a line, the request that the dispatcher sent.
import { ApiError, accountClient, all, numbered, ok, poll, serviceClient, VerificationFailed, verify } from 'webhook-dispatcher-sdk';

interface Given {
  url: string;
  token: string;
  receiver: string;
}

interface Delivered {
  headers: Record<string, string>;
  body: string;
}

interface Removed {
  event_name: 'inbox_file_removed_all';
  body: { inbox_files: { count: number } };
}

declare const process: { argv: string[]; stdin: object };
declare const console: { log(line: string): void };

// By a name that TypeScript does not look up: the SDK does without node's types.
const readline: string = 'node:readline';
const { createInterface } = (await import(readline)) as { createInterface: (options: object) => AsyncIterable<string> };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const given = JSON.parse(process.argv[2]!) as Given;
const say = (what: unknown): void => console.log(JSON.stringify(what));

const path = { external_id: 'ts_1' };
const company = serviceClient(`${given.url}/api/v1`, given.token);
const account = ok(await company.PUT('/accounts/{external_id}', { params: { path }, body: { time_zone: 'UTC' } }));
const body = {
  webhook_url: given.receiver,
  events: ['inbox_file_removed_all'],
  filter: { inbox_files: { count: [{ numeric: ['>=', 3] }] } },
};
const webhook = ok(await company.POST('/accounts/{external_id}/webhooks', { params: { path }, body }));
const polled = ok(
  await company.POST('/accounts/{external_id}/webhooks', { params: { path }, body: { delivery: 'poll', events: body.events } }),
);
const pollPath = { ...path, webhook_id: polled.id };
const events = [1, 3].map((count) => ({ name: 'inbox_file_removed_all', body: { inbox_files: { count } } }));
const emitted = ok(await company.POST('/accounts/{external_id}/events', { params: { path }, body: events }));
say({ account: account.slug, webhook: webhook.id, emitted: [emitted].flat().length });

const delivered = JSON.parse((await lines.next()).value as string) as Delivered;
const event = await verify<Removed>(delivered.body, delivered.headers, ['whsec_AAAA', webhook.signing_secret]);
const reason = async (text: string, headers: Record<string, string>, nowS: number, key = webhook.signing_secret): Promise<string> => {
  try {
    return String(await verify(text, headers, key, { nowS }));
  } catch (error) {
    if (error instanceof VerificationFailed) return error.reason;
    throw error;
  }
};
const sentS = Number(delivered.headers['webhook-timestamp']);
const vector = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature':
    'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==',
};
const publicKey = 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=';
const known = await verify<{ test: number }>('{"test": 2432232314}', vector, publicKey, { nowS: 1614265330 });
say({
  ed25519: known.test,
  count: event.body.inbox_files.count,
  reasons: [
    await reason('{}', { ...vector, 'webhook-timestamp': `${sentS}` }, sentS, publicKey),
    await reason(`${delivered.body} `, delivered.headers, sentS),
    await reason(delivered.body, delivered.headers, sentS + 301),
    await reason(delivered.body, delivered.headers, sentS - 301),
    await reason(delivered.body, { ...delivered.headers, 'webhook-timestamp': 'soon' }, sentS),
    await reason(delivered.body, {}, sentS),
    await reason(delivered.body, { ...delivered.headers, 'webhook-signature': 'constructor,AAAA' }, sentS),
  ],
});

const { poll_token: token } = ok(
  await company.POST('/accounts/{external_id}/poll/{webhook_id}/token/rotate', { params: { path: pollPath } }),
);
const counts: number[] = [];
const polling = () =>
  poll<Removed>(`${given.url}/api/v1`, token, path.external_id, polled.id, { secrets: polled.signing_secret, stopWhenEmpty: true, waitS: 0 });
for await (const one of polling()) if (counts.push(one.data.body.inbox_files.count) === 2) break; // the second is not handled
counts.push(...(await whole(polling())).map((one) => one.data.body.inbox_files.count));

const client = ok(await company.POST('/accounts/{external_id}/clients', { params: { path }, body: { name: 'shop' } }));
const shop = accountClient(`${given.url}/api/v3`, client.client_id, client.client_secret);
const slug = { slug: account.slug };
ok(await shop.POST('/accounts/{slug}/webhooks.json', { params: { path: slug }, body: { webhook_url: given.receiver, events: body.events } }));
const own = numbered((page) => shop.GET('/accounts/{slug}/webhooks.json', { params: { path: slug, query: { page } } }));
const everybody = all((next) => company.GET('/accounts/{external_id}/webhooks', { params: { path, query: { ...next, limit: 1 } } }));
const deliveries = all((next) => shop.GET('/accounts/{slug}/deliveries.json', { params: { path: slug, query: { ...next } } }));
const hidden = await shop.GET('/accounts/{slug}/webhooks/{webhook_id}.json', {
  params: { path: { ...slug, webhook_id: webhook.id } },
});
const refused = await company.POST('/accounts/{external_id}/webhooks', { params: { path }, body: { ...body, events: [] } });
say({
  polled: counts,
  own: (await whole(own)).length,
  everybody: (await whole(everybody)).length,
  deliveries: (await whole(deliveries)).length,
  hidden: hidden.response.status,
  refused: thrown(() => ok(refused)),
});

ok(await company.DELETE('/accounts/{external_id}/webhooks/{webhook_id}', { params: { path: { ...path, webhook_id: webhook.id } } }));
const erased = ok(await company.DELETE('/accounts/{external_id}', { params: { path } }));
const busy = serviceClient(`${new URL(given.receiver).origin}/busy`, 'whd_secret');
const scripted = accountClient(`${new URL(given.receiver).origin}/v3`, 'id', 'secret');
const pages = numbered((page) => scripted.GET('/accounts/{slug}/webhooks.json', { params: { path: { slug: 'shop' }, query: { page } } }));
const patient = await whole(all((next) => busy.GET('/accounts', { params: { query: { ...next } } })));
const key = await busy.POST('/accounts/{external_id}/users', { params: { path }, body: { email: 'a@example.com' } });
const once = await busy.POST('/accounts/{external_id}/webhooks/{webhook_id}/ping', {
  params: { path: { ...path, webhook_id: 1 } },
});
say({ webhooks: erased.deleted.webhooks, patient, numbered: (await whole(pages)).length, keyed: key.response.status, once: once.response.status });

async function whole<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const one of items) found.push(one);
  return found;
}

function thrown(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    if (error instanceof ApiError) return [error.status, error.code, error.message, error.fields];
    throw error;
  }
}
