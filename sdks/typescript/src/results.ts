// What openapi-fetch gives, as values and exceptions; and lists to their end.

interface Result<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

type Page<Item> = readonly Item[] | { data: readonly Item[]; next: string | null };

/** The parameters of the query that name a page; those of the first are none. */
interface Next {
  cursor?: string;
  before?: number;
}

/** Records of a page of API v3; a shorter one is the last. */
const PAGE_SIZE = 40;

/** The API responded with an error. `code` is for programs; `fields` are the attributes at fault, each with texts. */
export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: Readonly<Record<string, readonly string[]>>,
  ) {
    super(message);
  }
}

/** The data of a call: `ok(await client.GET(...))`; throws ApiError. */
export function ok<Data>(result: Result<Data>): Data {
  if (!result.response.ok) throw apiError(result.response.status, result.error);
  return result.data as Data;
}

/**
 * The records of all pages, each asked for when it is reached, where the API names the next one (all of /api/v1, and
 * deliveries): `all((next) => client.GET('/accounts', { params: { query: { ...next } } }))`.
 */
export async function* all<Item>(call: (next: Next) => Promise<Result<Page<Item>>>): AsyncGenerator<Item, void> {
  let next: Next | undefined = {};
  while (next !== undefined) {
    const result: Result<Page<Item>> = await call(next);
    const page = ok(result);
    yield* 'data' in page ? page.data : page;
    const before = /[?&]before=(\d+)[^>]*>; rel="next"/.exec(result.response.headers.get('Link') ?? '')?.[1];
    if ('data' in page) next = page.next === null ? undefined : { cursor: page.next };
    else next = before === undefined ? undefined : { before: Number(before) };
  }
}

/** The same of API v3's lists with numbered pages: `numbered((page) => client.GET(..., { query: { page } }))`. */
export async function* numbered<Item>(call: (page: number) => Promise<Result<readonly Item[]>>): AsyncGenerator<Item, void> {
  for (let number = 1; ; number += 1) {
    const page = ok(await call(number));
    yield* page;
    if (page.length < PAGE_SIZE) return;
  }
}

/** Problem details of /api/v1, or one of API v3's two bodies; what else a proxy may say is an error without a code. */
export function apiError(status: number, body: unknown): ApiError {
  const found = (typeof body === 'object' && body !== null ? body : {}) as {
    code?: string;
    error?: string;
    detail?: string;
    error_description?: string;
    errors?: { field: string; detail: string }[] | Record<string, string[]>;
  };
  const fields: Record<string, string[]> = Array.isArray(found.errors) ? {} : (found.errors ?? {});
  if (Array.isArray(found.errors)) for (const { field, detail } of found.errors) (fields[field] ??= []).push(detail);
  const text = Object.entries(fields).map(([name, texts]) => `${name} ${texts.join(', ')}`).join('; ');
  const said = found.detail ?? found.error_description ?? `the API responded ${status}`;
  return new ApiError(status, found.code ?? found.error ?? '', text || said, fields);
}
