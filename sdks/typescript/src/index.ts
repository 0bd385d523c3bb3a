export { type AccountClient, accountClient, type Options, type ServiceClient, serviceClient } from './client.js';
export { type PolledEvent, type PollOptions, poll } from './poll.js';
export { ApiError, all, numbered, ok } from './results.js';
export { type Reason, type RequestHeaders, VerificationFailed, type VerifyOptions, verify } from './verify.js';
export type { components as AccountComponents } from './account.js';
export type { components as ServiceComponents } from './service.js';
