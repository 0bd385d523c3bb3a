// Verifies what the dispatcher sends: signatures of Standard Webhooks (https://www.standardwebhooks.com).

export type Reason =
  | 'missing_header'
  | 'invalid_header'
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'signature_mismatch';

/** The request is not to be trusted; respond with 400. `reason` is for programs. */
export class VerificationFailed extends Error {
  override name = 'VerificationFailed';

  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
  }
}

/** As fetch has them, or as node:http and Express do. */
export type RequestHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyOptions {
  /** How far `webhook-timestamp` may be from the clock, in seconds. Default: 300. */
  toleranceS?: number;
  /** The clock, in seconds since 1970. */
  nowS?: number;
}

const PREFIX = 'whsec_';
const PUBLIC_PREFIX = 'whpk_';

type Bytes = Uint8Array<ArrayBuffer>;
type Check = (secret: string, signed: Bytes, signature: Bytes) => Promise<boolean>;

/**
 * Version of a signature → whether (secret, signed bytes, signature) fit. Each compares in constant time. No object: the
 * version is the sender's text, and every object has a `constructor`.
 */
const SCHEMES: ReadonlyMap<string, Check> = new Map([
  ['v1', isHmac],
  ['v1a', isEd25519],
]);

/**
 * The payload as JSON, if it was signed with one of `secrets`; throws VerificationFailed.
 *
 * `payload` is the body as it came, unparsed. A secret is `whsec_...`, for HMAC, or a public key, `whpk_...`, for ed25519.
 * During a rotation give both secrets, or the one that you have: requests are then signed with each. Throws TypeError for a secret that is none. `Event` is what you know the payload to be: a type
 * that was generated from your catalogue.
 */
export async function verify<Event = unknown>(
  payload: string | Uint8Array,
  headers: RequestHeaders,
  secrets: string | readonly string[],
  options: VerifyOptions = {},
): Promise<Event> {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => header(headers, `webhook-${name}`));
  checkTime(timestamp!, options.toleranceS ?? 300, options.nowS ?? Date.now() / 1000);
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), body);
  let fits = false;
  for (const [version, text] of signatures!.split(' ').map((one) => one.split(',', 2))) {
    const check = SCHEMES.get(version!);
    const signature = bytes(text ?? '');
    if (check === undefined || signature === undefined) continue;
    // Each with each, whatever fits: the time that it takes tells nothing.
    for (const secret of [secrets].flat() as string[]) fits = (await check(secret, signed, signature)) || fits;
  }
  if (!fits) throw new VerificationFailed('signature_mismatch', 'no signature fits');
  return JSON.parse(new TextDecoder().decode(body)) as Event;
}

function header(headers: RequestHeaders, name: string): string {
  const found = headers instanceof Headers ? headers.get(name) : caseless(headers, name);
  if (!found) throw new VerificationFailed('missing_header', `${name} is missing`);
  return found;
}

function caseless(headers: Exclude<RequestHeaders, Headers>, name: string): string | undefined {
  const value = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : value?.[0];
}

function checkTime(timestamp: string, toleranceS: number, nowS: number): void {
  if (!/^\d{1,15}$/.test(timestamp))
    throw new VerificationFailed('invalid_header', 'webhook-timestamp is not a number of seconds');
  if (Number(timestamp) < nowS - toleranceS)
    throw new VerificationFailed('timestamp_too_old', `sent more than ${toleranceS} s ago`);
  if (Number(timestamp) > nowS + toleranceS)
    throw new VerificationFailed('timestamp_too_new', `sent more than ${toleranceS} s in the future`);
}

async function isHmac(secret: string, signed: Bytes, signature: Bytes): Promise<boolean> {
  if (secret.startsWith(PUBLIC_PREFIX)) return false; // which everybody could sign with
  const key = bytes(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
  if (!key?.length) throw new TypeError(`a signing secret is ${PREFIX} and Base64`);
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await crypto.subtle.importKey('raw', key, hmac, false, ['verify']);
  return crypto.subtle.verify('HMAC', imported, signature, signed);
}

async function isEd25519(publicKey: string, signed: Bytes, signature: Bytes): Promise<boolean> {
  if (!publicKey.startsWith(PUBLIC_PREFIX)) return false;
  const key = bytes(publicKey.slice(PUBLIC_PREFIX.length));
  if (key?.length !== 32) throw new TypeError(`a public key is ${PUBLIC_PREFIX} and 32 bytes in Base64`);
  const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', imported, signature, signed);
}

/** What the Base64 stands for, undefined for what is none. */
function bytes(base64: string): Bytes | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Bytes {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
