/** The grants as this process knows them: read again every second, so that what is granted at one process holds at all. */

import { randomBytes } from 'node:crypto';
import type { GrantChanged } from '../audit/events.ts';
import { approveGrant, directGrant, isActive, isOver, readGrant, requestGrant, writeGrant, type Grant, type GrantAmounts, type GrantResult } from '../quota/grants.ts';
import type { CounterStore } from '../quota/store.ts';

const KIND = 'grants';
const REFRESH_MS = 1000;
/** Requests of one login that may wait for somebody. */
const MOST_WAITING = 3;

export interface GrantEvent {
  readonly action: 'requested' | 'approved' | 'revoked';
  readonly grant: Grant;
  readonly by: string;
}

/** As the audit log keeps it. */
export function grantRecord({ action, grant, by }: GrantEvent): GrantChanged {
  return {
    event: 'grant', action, grant_id: grant.id, principal: grant.principal, class: grant.className,
    rows: grant.rows, subjects: grant.subjects, bytes: grant.bytes, reason: grant.reason, requested_by: grant.requestedBy, by,
    until: grant.approval === undefined ? undefined : new Date(grant.approval.untilMs).toISOString(),
  };
}

export class GrantBook {
  readonly #store: CounterStore;
  readonly #onEvent: (event: GrantEvent) => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #grants: ReadonlyMap<string, Grant> = new Map();
  /** Changes with what is in force: whoever keeps a policy compares it. */
  #version = 0;
  #inForce = '';
  #reading: Promise<void> | undefined;

  /** `onEvent` puts on record what is about to hold; if it rejects, it does not come to hold. */
  constructor(store: CounterStore, onEvent: (event: GrantEvent) => Promise<void>) {
    this.#store = store;
    this.#onEvent = onEvent;
    // While the store is away, what was known holds, and ends in its time.
    this.#timer = setInterval(() => void this.refresh().catch(() => this.#settle(this.#grants)), REFRESH_MS);
    this.#timer.unref();
    void this.refresh().catch(() => undefined);
  }

  get version(): number {
    return this.#version;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Raises that hold now for a login. */
  of(principal: string): readonly Grant[] {
    if (this.#grants.size === 0) return [];
    const nowMs = Date.now();
    return [...this.#grants.values()].filter((grant) => grant.principal === principal && isActive(grant, nowMs));
  }

  /** All that wait or hold, newest first. Rejects if the store cannot be asked. */
  async all(): Promise<readonly Grant[]> {
    await this.refresh();
    return [...this.#grants.values()].toSorted((a, b) => b.requestedAtMs - a.requestedAtMs);
  }

  async refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Somebody asks; it holds once another person approves it. */
  async request(of: { readonly principal: string; readonly className?: string | undefined; readonly rows?: number; readonly subjects?: number; readonly bytes?: number; readonly forMs?: number; readonly reason: string; readonly by: string }): Promise<GrantResult> {
    const waiting = (await this.all()).filter((grant) => grant.principal === of.principal && grant.approval === undefined);
    if (waiting.length >= MOST_WAITING) return { ok: false, reason: `${waiting.length} requests for ${of.principal} wait already: ${waiting.map((grant) => grant.id).join(', ')}` };
    const asked = requestGrant({ ...of, id: newId(), nowMs: Date.now() });
    return asked.ok ? this.#keep('requested', asked.grant, of.by) : asked;
  }

  async approve(id: string, amounts: (grant: Grant) => GrantAmounts | string, by: string): Promise<GrantResult> {
    const grant = (await this.all()).find((each) => each.id === id);
    if (grant === undefined) return { ok: false, reason: `there is no request ${id}` };
    const given = amounts(grant);
    if (typeof given === 'string') return { ok: false, reason: given };
    const result = approveGrant(grant, given, by, Date.now());
    if (!result.ok) return result;
    const taken = await this.#take(grant);
    return taken.ok ? this.#keep('approved', result.grant, by) : taken;
  }

  /** A request is decided once: two people at two processes may look at it in the same moment, and the store knows only who writes last. */
  async #take(grant: Grant): Promise<GrantResult> {
    const mine = await this.#store.once(`grant:${grant.id}`, DECIDING_MS);
    const now = (await this.all()).find((each) => each.id === grant.id);
    if (now?.approval !== undefined) return { ok: false, reason: `${grant.id} is approved already, by ${now.approval.by}` };
    if (now === undefined) return { ok: false, reason: `there is no request ${grant.id} any more` };
    return mine ? { ok: true, grant } : { ok: false, reason: `somebody else decides about ${grant.id} in this moment: look at the grants again` };
  }

  async grant(principal: string, amounts: GrantAmounts, reason: string, by: string): Promise<GrantResult> {
    const nowMs = Date.now();
    const asked = requestGrant({ id: newId(), principal, ...amounts, reason, by, nowMs });
    if (!asked.ok) return asked;
    const result = directGrant(asked.grant, amounts, nowMs);
    return result.ok ? this.#keep('approved', result.grant, by) : result;
  }

  async revoke(id: string, by: string): Promise<GrantResult> {
    const grant = (await this.all()).find((each) => each.id === id);
    if (grant === undefined) return { ok: false, reason: `there is no grant ${id}` };
    if (grant.approval === undefined) {
      const taken = await this.#take(grant);
      if (!taken.ok) return taken;
    }
    await this.#store.shareText(KIND, id, undefined);
    await this.refresh();
    await this.#onEvent({ action: 'revoked', grant, by });
    return { ok: true, grant };
  }

  async #keep(action: 'requested' | 'approved', grant: Grant, by: string): Promise<GrantResult> {
    await this.#onEvent({ action, grant, by });
    await this.#store.shareText(KIND, grant.id, writeGrant(grant));
    await this.refresh();
    return { ok: true, grant };
  }

  async #read(): Promise<void> {
    const texts = await this.#store.sharedTexts(KIND);
    const nowMs = Date.now();
    const grants = new Map<string, Grant>();
    for (const [id, text] of texts) {
      const grant = readGrant(text);
      if (grant === undefined) continue;
      if (isOver(grant, nowMs)) void this.#store.shareText(KIND, id, undefined).catch(() => undefined);
      else grants.set(id, grant);
    }
    this.#settle(grants);
  }

  #settle(grants: ReadonlyMap<string, Grant>): void {
    this.#grants = grants;
    const nowMs = Date.now();
    const inForce = [...grants.values()].filter((grant) => isActive(grant, nowMs)).map((grant) => grant.id).toSorted().join(' ');
    if (inForce === this.#inForce) return;
    this.#inForce = inForce;
    this.#version++;
  }
}

/** Longer than a decision takes to be written; a process that died over it is in nobody's way afterwards. */
const DECIDING_MS = 10_000;

function newId(): string {
  return `g-${randomBytes(4).toString('hex')}`;
}
