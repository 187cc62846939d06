import type { DenyCategory } from '../catalog/reach-types.ts';

/** Every category that `deny` may name, in the order in which a statement that falls under several is refused. */
export const DENY_CATEGORIES = [
  'remote',
  'server_files',
  'replication',
  'fastpath',
  'code',
  'opaque',
  'derived_copy',
  'copy_out',
  'packing',
  'statistics',
] as const satisfies readonly DenyCategory[];

/** Secure by default: what a role with quotas is denied if its `deny` does not say otherwise. Hidden execution cannot be read out of SQL text. */
export const DEFAULT_DENY: readonly DenyCategory[] = [
  'derived_copy',
  'opaque',
  'code',
  'server_files',
  'remote',
  'replication',
  'fastpath',
];

/** These are ordinary work as long as no class is in reach. */
export const ONLY_OVER_CLASSES: ReadonlySet<DenyCategory> = new Set(['copy_out', 'packing']);
