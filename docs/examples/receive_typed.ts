import type { webhooks } from './events.js';

/** Any of the events: `type` tells which. */
export type Event = {
  [Name in keyof webhooks]: webhooks[Name]['post']['requestBody']['content']['application/json'];
}[keyof webhooks];

export function received(event: Event): string {
  if (event.type === 'order.shipped') return `${event.data.order.number} left with ${event.data.parcel.carrier}`;
  return `${event.type} is not for us`;
}
