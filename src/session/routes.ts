/** Which server a database is on (`databases`, `upstream`). */

import { isGlob, matchesGlob } from '../policy/glob.ts';
import type { UpstreamAddress } from './upstream.ts';

export interface Route {
  readonly pattern: string;
  readonly address: UpstreamAddress;
  /** Its name on the server; undefined: as the client calls it. */
  readonly database: string | undefined;
}

export interface Target {
  readonly address: UpstreamAddress;
  /** Its name on the server. */
  readonly database: string;
  /** One for each server and database, however many names clients have for it. */
  readonly key: string;
}

export class Routes {
  readonly #exact: ReadonlyMap<string, Route>;
  readonly #globs: readonly Route[];
  readonly #rest: UpstreamAddress | undefined;
  readonly #byId: ReadonlyMap<string, UpstreamAddress>;

  /** `rest`: the server of databases that no route names; undefined: they do not exist. */
  constructor(routes: readonly Route[], rest: UpstreamAddress | undefined) {
    this.#exact = new Map(routes.filter(({ pattern }) => !isGlob(pattern)).map((route) => [route.pattern, route]));
    this.#globs = routes.filter(({ pattern }) => isGlob(pattern));
    this.#rest = rest;
    const all = [...(rest === undefined ? [] : [rest]), ...routes.map(({ address }) => address)];
    this.#byId = new Map(all.map((address) => [upstreamId(address), address]));
  }

  find(database: string): Target | undefined {
    const route = this.#exact.get(database) ?? this.#globs.find(({ pattern }) => matchesGlob(pattern, database));
    const address = route?.address ?? this.#rest;
    if (address === undefined) return undefined;
    const real = route?.database ?? database;
    return { address, database: real, key: `${upstreamId(address)}/${real}` };
  }

  /** The server of databases that no route names, or else the first. */
  get main(): UpstreamAddress {
    const [first] = this.#rest === undefined ? this.#byId.values() : [this.#rest];
    if (first === undefined) throw new Error('no server is configured');
    return first;
  }

  /** Every server, once. */
  get upstreams(): readonly UpstreamAddress[] {
    return [...this.#byId.values()];
  }

  /** A server by `upstreamId`. */
  byId(id: string): UpstreamAddress | undefined {
    return this.#byId.get(id);
  }
}

/** The same in every Rowgate process that has the same configuration. */
export function upstreamId({ host, port }: UpstreamAddress): string {
  return `${host}:${port}`;
}
