/** Where things stand in Redis. All keys that one script touches share a hash tag, so that a Cluster keeps them in one slot. */

import type { CountedKey } from './grant-history.ts';

export interface KeyLayout {
  readonly prefix: string;
  /** Counters with different hash tags live apart, each with a clock, marks and members of its own: a Redis Cluster. Else everything is one domain. */
  readonly split: boolean;
}

const TAG = /\{([^}]+)\}/u;

export function keyLayout(prefix: string, cluster: boolean): KeyLayout {
  // A prefix with a hash tag of its own keeps everything in one slot.
  return { prefix, split: cluster && !TAG.test(prefix) };
}

/** The domain of a counter: its hash tag, or '' where there is but one. */
export function domainOf(layout: KeyLayout, counterKey: string): string {
  if (!layout.split) return '';
  const tag = TAG.exec(counterKey)?.[1];
  if (tag === undefined) throw new RangeError(`counter key '${counterKey}' has no hash tag`);
  return tag;
}

export interface DomainKeys {
  readonly clock: string;
  readonly members: string;
  mark(member: number): string;
  counter(counter: CountedKey): string;
}

export function domainKeys(layout: KeyLayout, domain: string): DomainKeys {
  const own = (name: string): string => (layout.split ? `${layout.prefix}${name}:{${domain}}` : `${layout.prefix}${name}`);
  return {
    clock: own('clock'),
    members: own('members'),
    mark: (member) => `${own('mark')}:${member}`,
    // The window is part of the name: a slice's index means something in one window length only.
    counter: ({ key, windowMs }) => `${layout.prefix}count:${windowMs}:${key}`,
  };
}
