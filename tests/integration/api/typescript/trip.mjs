// Calls @thinkhome-org/fakturoid-typescript-api as it is told: a line of JSON in, such as
// {"call": "webhooks.get", "args": [5]}, and a line out, {"result": ...} or {"error": {"status", "message", "details"}}.
// The first line is the client's configuration. `client.` calls the client itself, all else is a tenant's resource.
import { createInterface } from 'node:readline';
import { registerHooks } from 'node:module';

// The package is built for bundlers: its imports leave the ending out, which node alone does not resolve.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier.startsWith('.') && !specifier.endsWith('.js') ? `${specifier}.js` : specifier, context),
});
const { createFakturoidClient, FakturoidApiError } = await import('@thinkhome-org/fakturoid-typescript-api');

const TENANT = 'tenant';
const kept = new Map();
const tokenStore = {
  getTokens: async (tenant) => kept.get(tenant) ?? null,
  saveTokens: async (tenant, tokens) => void kept.set(tenant, tokens),
  deleteTokens: async (tenant) => void kept.delete(tenant),
};

async function run(client, { call, args = [] }) {
  if (call === 'expire') return void kept.set(TENANT, { ...kept.get(TENANT), expiresAt: 0 });
  if (call === 'tokens') return kept.get(TENANT);
  const [part, method] = call.split('.');
  const found = await (part === 'client' ? client : client.forTenant(TENANT)[part])[method](...args);
  return found?.[Symbol.asyncIterator] ? Array.fromAsync(found) : found;
}

let client;
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let said;
  try {
    if (client === undefined) client = createFakturoidClient({ config: asked, tokenStore });
    else said = { result: (await run(client, asked)) ?? null };
  } catch (error) {
    if (!(error instanceof FakturoidApiError)) throw error;
    said = { error: { status: error.status, message: error.message, details: error.details ?? null } };
  }
  // What connecting returns is the tenant's resources, each with the whole HTTP client: nothing to print.
  if (said) console.log(JSON.stringify(said, (key, value) => (key === 'http' ? undefined : value)));
}
