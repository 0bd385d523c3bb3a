// The two clients, by openapi-fetch: a company's, for all accounts, and that of one account.
import createClient, { type Client } from 'openapi-fetch';

import { keyed as accountKeyed, type paths as AccountPaths } from './account.js';
import { apiError } from './results.js';
import { keyed as serviceKeyed, type paths as ServicePaths } from './service.js';

export type ServiceClient = Client<ServicePaths>;
export type AccountClient = Client<AccountPaths>;

export interface Options {
  /** How often a call is retried after 429, 503 or no response, where that does no harm. Default: 2. */
  retries?: number;
  /** Of each attempt, in milliseconds. Default: 60,000, which is more than the receiver of a ping may take. */
  timeoutMs?: number;
  userAgent?: string;
  fetch?: typeof fetch;
}

/** A `Retry-After` beyond this is not waited for: the error is returned. */
const LONGEST_WAIT_MS = 60_000;
const BACKOFF_MS = 100;
const AGENT = 'webhook-dispatcher-sdk/0.1.0 (TypeScript)';

/** Acts for all accounts, with a service token. `api`: `https://hooks.example.com/api/v1`. */
export function serviceClient(api: string, token: string, options: Options = {}): ServiceClient {
  return client<ServicePaths>(api, { token: async () => token, renew: () => false }, serviceKeyed, options);
}

/**
 * Acts for one account, with the id and the secret of its client. `api`: `https://hooks.example.com/api/v3`.
 * The token is got with the first call, and again when it has expired.
 */
export function accountClient(
  api: string,
  clientId: string,
  clientSecret: string,
  options: Options = {},
): AccountClient {
  let known: Promise<string> | undefined;
  const get = async (): Promise<string> => {
    const response = await (options.fetch ?? fetch)(`${api.replace(/\/$/, '')}/oauth/token`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
        'Content-Type': 'application/json',
        'User-Agent': options.userAgent ?? AGENT,
      },
      body: '{"grant_type": "client_credentials"}',
      signal: AbortSignal.timeout(options.timeoutMs ?? 60_000),
    });
    const body: unknown = await response.json();
    if (!response.ok) throw apiError(response.status, body);
    return (body as { access_token: string }).access_token;
  };
  const token = (): Promise<string> =>
    (known ??= get().catch((error: unknown) => {
      known = undefined;
      throw error;
    }));
  const renew = (): boolean => {
    known = undefined;
    return true;
  };
  return client<AccountPaths>(api, { token, renew }, accountKeyed, options);
}

interface Authorizer {
  token: () => Promise<string>;
  /** After a 401: whether the same request will get a new token. */
  renew: () => boolean;
}

function client<Paths extends {}>(
  api: string,
  authorizer: Authorizer,
  keyed: ReadonlySet<string>,
  options: Options,
): Client<Paths> {
  const repeatable = new WeakSet<Request>();
  const made = createClient<Paths>({
    baseUrl: api,
    headers: { 'User-Agent': options.userAgent ?? AGENT },
    fetch: (request) => send(request, authorizer, repeatable.has(request) || request.method !== 'POST', options),
  });
  made.use({
    async onRequest({ request, schemaPath }) {
      const withKey = request.method === 'POST' && keyed.has(schemaPath) ? await withKeys(request, schemaPath) : request;
      if (withKey !== request || request.headers.has('Idempotency-Key')) repeatable.add(withKey);
      return withKey;
    },
  });
  return made;
}

/** The same request with an idempotency key. An event has its own, in its body: an array has one for each. */
async function withKeys(request: Request, path: string): Promise<Request> {
  if (request.headers.has('Idempotency-Key')) return request;
  if (/\/events(\.json)?$/.test(path)) {
    const body: unknown = await request.clone().json();
    const one = (event: { idempotency_key?: string | null }) => ({
      ...event,
      idempotency_key: event.idempotency_key ?? crypto.randomUUID(),
    });
    return new Request(request, { body: JSON.stringify(Array.isArray(body) ? body.map(one) : one(body as object)) });
  }
  const headers = new Headers(request.headers);
  headers.set('Idempotency-Key', crypto.randomUUID());
  return new Request(request, { headers });
}

/**
 * The last response. What was answered 429 was not carried out, and is retried. What was answered 503, or not at all,
 * may have been, and is retried only where that does no harm. So is 409 with a `Retry-After`: an earlier attempt, whose
 * response was lost, is still being processed.
 */
async function send(request: Request, authorizer: Authorizer, isRepeatable: boolean, options: Options): Promise<Response> {
  const retries = options.retries ?? 2;
  for (let attempt = 0; ; attempt += 1) {
    const isLast = attempt >= retries;
    let waitMs = BACKOFF_MS * 2 ** attempt;
    try {
      const response = await once(request, authorizer, options);
      const after = response.headers.get('Retry-After') ?? '';
      if (/^\d+$/.test(after)) waitMs = Number(after) * 1000;
      const isBusy = response.status === 503 || (response.status === 409 && after !== '');
      const isTemporary = response.status === 429 || (isBusy && isRepeatable);
      if (isLast || !isTemporary || waitMs > LONGEST_WAIT_MS) return response;
    } catch (error) {
      if (isLast || !isRepeatable || error instanceof Error && error.name === 'ApiError') throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** Sent once; twice where a token has expired. */
async function once(request: Request, authorizer: Authorizer, options: Options): Promise<Response> {
  const attempt = async (): Promise<Response> => {
    const copy = request.clone();
    copy.headers.set('Authorization', `Bearer ${await authorizer.token()}`);
    const limit = AbortSignal.timeout(options.timeoutMs ?? 60_000);
    return (options.fetch ?? fetch)(copy, { signal: AbortSignal.any([request.signal, limit]), redirect: 'manual' });
  };
  const response = await attempt();
  return response.status === 401 && authorizer.renew() ? attempt() : response;
}
