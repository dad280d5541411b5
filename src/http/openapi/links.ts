import type { TSchema } from 'typebox';
import type { Contract, Route } from '../route.ts';
import type { Json } from './json.ts';

/**
 * What can be called with a reply: a new event has its id for the routes of one event, and a page has the cursor of the next
 * page and the id of its first event. Undefined: nothing.
 */
export function linksFrom(route: Route, reply: TSchema, contract: Contract): Json | undefined {
  const members = 'properties' in reply ? (reply.properties as Readonly<Record<string, unknown>>) : {};
  const links: [name: string, link: Json][] = [];
  if ('pagination' in members) {
    links.push(['nextPage', link(route, 'cursor', '/pagination/next_cursor')]);
  }
  const id =
    route.paged === true
      ? '/events/0/event_id'
      : route.body && 'event_id' in members
        ? '/event_id'
        : undefined;
  if (id !== undefined) {
    for (const other of contract.routes) {
      if (other.params) links.push([other.operationId, link(other, 'event_id', id)]);
    }
  }
  return links.length > 0 ? Object.fromEntries(links) : undefined;
}

function link(to: Route, parameter: string, pointer: string): Json {
  return { operationId: to.operationId, parameters: { [parameter]: `$response.body#${pointer}` } };
}
