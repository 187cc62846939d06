/** The recorded past against a policy: what would have been refused, cut or flagged. Pure; the windows are the product's own. */

import { countersFor, type ClassCounters, type QuotaBinding } from '../../quota/counters.ts';
import { add, newWindow, stateAt, type SlidingWindow } from '../../quota/window.ts';
import type { CompiledQuota, PrincipalPolicy } from '../../policy/types.ts';
import type { Deed, Taken } from './deed.ts';
import { SubjectWindow } from './subject-window.ts';

/** A quota's state after a deed. */
export interface Reading {
  readonly quota: CompiledQuota;
  /** In the window, this deed included as far as it was let through. */
  readonly used: number;
}

export interface Outcome {
  readonly decision: 'allow' | 'flag' | 'block';
  /** The rule that blocked or, if none did, the first that flagged. */
  readonly ruleId: string | undefined;
  /** Units that the policy would have let through, all classes together. */
  readonly delivered: number;
  readonly wanted: number;
}

export interface ReplayHooks {
  /** Told of every quota that a deed moved. */
  reading(deed: Deed, reading: Reading): void;
}

interface Amounts {
  readonly taken: Taken;
  readonly counters: ClassCounters;
  readonly bytes: number;
}

/** One policy's counters. The policy of a principal comes from outside, since membership does. */
export class Replay {
  readonly #policyOf: (deed: Deed) => PrincipalPolicy;
  readonly #hooks: ReplayHooks;
  readonly #windows = new Map<string, SlidingWindow>();
  readonly #subjects = new Map<string, SubjectWindow>();
  readonly #counters = new WeakMap<PrincipalPolicy, Map<string, ClassCounters>>();
  /** The latest time seen: a log whose clock stepped back is read as the store would have counted. */
  #nowMs = 0;

  constructor(policyOf: (deed: Deed) => PrincipalPolicy, hooks: ReplayHooks) {
    this.#policyOf = policyOf;
    this.#hooks = hooks;
  }

  take(deed: Deed): Outcome {
    this.#nowMs = Math.max(this.#nowMs, deed.timeMs);
    const principal = this.#policyOf(deed);
    const wanted = deed.taken.reduce((sum, each) => sum + each.units, 0);
    if (principal.unlisted === 'block' && principal.mode === 'enforce') return { decision: 'block', ruleId: 'unlisted/block', delivered: 0, wanted };
    const all = deed.taken.map((taken): Amounts => ({ taken, counters: this.#countersOf(principal, taken.className), bytes: deed.bytes }));
    const cut = this.#cut(all);
    for (const each of all) this.#spend(deed, each, cut.share);
    const flag = cut.ruleId === undefined ? (principal.unlisted === undefined || principal.unlisted === 'allow' ? cut.flag : `unlisted/${principal.unlisted}`) : undefined;
    return {
      decision: cut.ruleId !== undefined ? 'block' : flag !== undefined ? 'flag' : 'allow',
      ruleId: cut.ruleId ?? flag,
      delivered: Math.floor(wanted * cut.share),
      wanted,
    };
  }

  /** The part of the deed that fits into every quota that blocks. */
  #cut(all: readonly Amounts[]): { readonly share: number; readonly ruleId: string | undefined; readonly flag: string | undefined } {
    let share = 1;
    let ruleId: string | undefined;
    let flag: string | undefined;
    const hold = (quota: CompiledQuota, want: number, used: number): void => {
      if (used + want <= quota.limit) return;
      if (quota.action === 'flag') {
        flag ??= quota.ruleId;
        return;
      }
      const fits = Math.max(0, quota.limit - used) / want;
      if (fits >= share && ruleId !== undefined) return;
      share = Math.min(share, fits);
      ruleId = quota.ruleId;
    };
    for (const { taken, counters, bytes } of all) {
      for (const quota of counters.statement) hold(quota, statementAmount(quota, taken, bytes), 0);
      for (const { binding, key } of bindingsOf(counters, 'rows')) hold(binding.quota, taken.units, this.#used(key));
      for (const { binding, key } of bindingsOf(counters, 'bytes')) hold(binding.quota, bytes, this.#used(key));
      for (const { binding, key } of bindingsOf(counters, 'subjects')) {
        const window = this.#subjectWindow(key, counters, binding.quota);
        const used = window.count(this.#nowMs) + this.#used(key);
        const want = window.fresh(taken.subjectKeys) + unnamedSubjects(taken);
        if (want > 0) hold(binding.quota, want, used);
      }
    }
    return { share, ruleId, flag };
  }

  #spend(deed: Deed, { taken, counters, bytes }: Amounts, share: number): void {
    for (const quota of counters.statement) this.#hooks.reading(deed, { quota, used: Math.floor(statementAmount(quota, taken, bytes) * share) });
    this.#count(deed, counters, 'rows', Math.floor(taken.units * share));
    this.#count(deed, counters, 'bytes', Math.floor(bytes * share));
    const done = new Set<string>();
    for (const { binding, key } of bindingsOf(counters, 'subjects')) {
      const window = this.#subjectWindow(key, counters, binding.quota);
      if (!done.has(key)) {
        done.add(key);
        const fresh = window.fresh(taken.subjectKeys);
        const allowed = Math.floor((fresh + unnamedSubjects(taken)) * share);
        window.add(taken.subjectKeys, Math.min(fresh, allowed), this.#nowMs);
        this.#add(key, binding.quota, Math.max(0, allowed - fresh));
      }
      this.#hooks.reading(deed, { quota: binding.quota, used: window.count(this.#nowMs) + this.#used(key) });
    }
  }

  #count(deed: Deed, counters: ClassCounters, dimension: 'rows' | 'bytes', amount: number): void {
    const done = new Set<string>();
    for (const { binding, key } of bindingsOf(counters, dimension)) {
      if (!done.has(key)) {
        done.add(key);
        this.#add(key, binding.quota, amount);
      }
      this.#hooks.reading(deed, { quota: binding.quota, used: this.#used(key) });
    }
  }

  #add(key: string, quota: CompiledQuota, amount: number): void {
    if (amount === 0) return;
    let window = this.#windows.get(key);
    if (window === undefined) {
      window = newWindow(quota.window as number);
      this.#windows.set(key, window);
    }
    add(window, this.#nowMs, amount);
  }

  #used(key: string): number {
    const window = this.#windows.get(key);
    return window === undefined ? 0 : stateAt(window, this.#nowMs).used;
  }

  #subjectWindow(key: string, counters: ClassCounters, quota: CompiledQuota): SubjectWindow {
    let window = this.#subjects.get(key);
    if (window === undefined) {
      const most = Math.max(...counters.subjects.bindings.map((each) => each.quota.limit)) + 1;
      window = new SubjectWindow(quota.window as number, most);
      this.#subjects.set(key, window);
    }
    return window;
  }

  #countersOf(principal: PrincipalPolicy, className: string): ClassCounters {
    let byClass = this.#counters.get(principal);
    if (byClass === undefined) {
      byClass = new Map();
      this.#counters.set(principal, byClass);
    }
    let counters = byClass.get(className);
    if (counters === undefined) {
      counters = countersFor(principal, className);
      byClass.set(className, counters);
    }
    return counters;
  }
}

/** People of whom the log has no key: each counts as somebody new. */
function unnamedSubjects(taken: Taken): number {
  return Math.max(0, (taken.subjects ?? taken.units) - taken.subjectKeys.length);
}

function statementAmount(quota: CompiledQuota, taken: Taken, bytes: number): number {
  switch (quota.dimension) {
    case 'rows':
      return taken.units;
    case 'subjects':
      return taken.subjects ?? taken.units;
    case 'bytes':
      return bytes;
  }
}

function bindingsOf(counters: ClassCounters, dimension: 'rows' | 'subjects' | 'bytes'): readonly { readonly binding: QuotaBinding; readonly key: string }[] {
  return counters[dimension].bindings.map((binding) => ({ binding, key: counters[dimension].counters[binding.counter]?.key ?? '' }));
}
