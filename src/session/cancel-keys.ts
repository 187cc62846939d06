/**
 * Cancel requests: which server gave the key that one carries. Clients get the server's own key (docs/adr/0007); here it is known
 * who gave it, so that a request finds its server, and a key that nobody gave reaches none. Other processes learn it
 * through the store, under a keyed hash.
 */

import { createHmac } from 'node:crypto';
import type { Notes } from '../quota/store.ts';
import { upstreamId, type Routes } from './routes.ts';
import type { UpstreamAddress } from './upstream.ts';

/** A process that was killed leaves its notes this long; the server compares the key itself. */
const NOTE_TTL_MS = 60 * 60_000;
const RENEW_MS = NOTE_TTL_MS / 3;
/** Keys that this process did not give may be looked up this often: enough for people, too little for guessing. */
const LOOKUPS_PER_SECOND = 50;
const LOOKUP_BURST = 100;

export type CancelVerdict = 'unknown_key' | 'too_many' | 'passed';

export interface CancelKeysOptions {
  readonly routes: Routes;
  /** Passes a request on, and resolves when the server has dealt with it. */
  readonly send: (upstream: UpstreamAddress, keyData: Buffer) => Promise<void>;
  /** What other processes share with this one; undefined for a process alone. */
  readonly shared: { readonly notes: Notes; readonly secret: () => Promise<Buffer> } | undefined;
  readonly onError: (error: unknown) => void;
  readonly nowMs?: () => number;
}

export class CancelKeys {
  readonly #options: CancelKeysOptions;
  readonly #nowMs: () => number;
  /** BackendKeyData's body -> servers that gave it. Two servers may give the same, if hardly ever. */
  readonly #given = new Map<string, UpstreamAddress[]>();
  readonly #underWay = new Set<string>();
  readonly #renewal: NodeJS.Timeout;
  #lookups = LOOKUP_BURST;
  #lookupsAtMs: number;

  constructor(options: CancelKeysOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#lookupsAtMs = this.#nowMs();
    this.#renewal = setInterval(() => void this.#renew(), RENEW_MS);
    this.#renewal.unref();
  }

  /** A server gave this key (BackendKeyData's body) to a session. Returns what forgets it again. */
  add(keyData: Buffer, upstream: UpstreamAddress): () => void {
    const key = keyData.toString('latin1');
    this.#given.set(key, [...(this.#given.get(key) ?? []), upstream]);
    void this.#note(key, upstream);
    return () => {
      const rest = [...(this.#given.get(key) ?? [])];
      const at = rest.indexOf(upstream);
      if (at >= 0) rest.splice(at, 1);
      if (rest.length > 0) this.#given.set(key, rest);
      else {
        this.#given.delete(key);
        void this.#withShared((notes, name) => notes.drop(name), key);
      }
    };
  }

  /** A request came with this key: process id and secret, as a CancelRequest carries them. */
  async pass(keyData: Buffer): Promise<CancelVerdict> {
    const key = keyData.toString('latin1');
    const given = this.#given.get(key);
    if (given === undefined && !this.#mayLookUp()) return 'too_many';
    const upstreams = given ?? (await this.#lookUp(key));
    if (upstreams.length === 0) return 'unknown_key';
    // Who repeats a request while it is under way wants no more than it.
    if (this.#underWay.has(key)) return 'passed';
    this.#underWay.add(key);
    try {
      await Promise.all(upstreams.map((upstream) => this.#options.send(upstream, keyData)));
    } finally {
      this.#underWay.delete(key);
    }
    return 'passed';
  }

  close(): void {
    clearInterval(this.#renewal);
  }

  #mayLookUp(): boolean {
    if (this.#options.shared === undefined) return true;
    const nowMs = this.#nowMs();
    this.#lookups = Math.min(LOOKUP_BURST, this.#lookups + ((nowMs - this.#lookupsAtMs) * LOOKUPS_PER_SECOND) / 1000);
    this.#lookupsAtMs = nowMs;
    if (this.#lookups < 1) return false;
    this.#lookups -= 1;
    return true;
  }

  async #lookUp(key: string): Promise<readonly UpstreamAddress[]> {
    const id = await this.#withShared((notes, name) => notes.get(name), key);
    const upstream = id === undefined ? undefined : this.#options.routes.byId(id);
    return upstream === undefined ? [] : [upstream];
  }

  #note(key: string, upstream: UpstreamAddress): Promise<void> {
    return this.#withShared((notes, name) => notes.put(name, upstreamId(upstream), NOTE_TTL_MS), key);
  }

  async #renew(): Promise<void> {
    for (const [key, upstreams] of this.#given) for (const upstream of upstreams) await this.#note(key, upstream);
  }

  /** A store that is away costs only the requests that arrive at another process. */
  async #withShared<T>(run: (notes: Notes, name: string) => Promise<T>, key: string): Promise<T | undefined> {
    const { shared } = this.#options;
    if (shared === undefined) return undefined;
    try {
      const name = createHmac('sha256', await shared.secret()).update('cancel key\0').update(key, 'latin1').digest('base64url');
      return await run(shared.notes, `cancel:${name}`);
    } catch (error) {
      this.#options.onError(error);
      return undefined;
    }
  }
}
