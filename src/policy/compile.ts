import type { ClassConfig, Config, QuotaConfig, RoleConfig } from './config.ts';
import { DEFAULT_DENY } from './deny-categories.ts';
import type { DenyCategory } from '../catalog/reach-types.ts';
import type { CompiledClass, CompiledQuota, CompiledRole, Policy, QuotaAction, QuotaDimension } from './types.ts';

/** From the configuration to the policy that sessions ask. Expects what `loadConfig` accepted. */
export function compilePolicy(config: Config): Policy {
  return {
    classes: new Map(config.classes.map((cls) => [cls.name, compileClass(cls)])),
    roles: config.roles.map((role) => compileRole(role, config.mode)),
    unlisted: config.unlisted,
    mode: config.mode,
    trustedFunctions: config.trustedFunctions,
  };
}

function compileClass(cls: ClassConfig): CompiledClass {
  return {
    name: cls.name,
    relations: cls.relations,
    functions: cls.functions,
    unitBytes: cls.unitBytes,
    packedUnitBytes: cls.packedUnitBytes,
  };
}

function compileRole(role: RoleConfig, mode: Policy['mode']): CompiledRole {
  const limited = role.quotas.length > 0;
  return {
    name: role.name,
    members: role.members,
    quotas: role.quotas.flatMap((quota) => compileQuota(role.name, quota, mode)),
    deny: new Set(role.deny ?? (limited ? defaultDeny(role.replication) : [])),
    contact: role.contact,
    replication: role.replication,
    errors: role.errors ?? (limited ? 'redact' : 'full'),
    lookups: limited && role.lookups.above > 0 ? { role: role.name, ...role.lookups } : undefined,
  };
}

/** `replication: true` is the policy saying otherwise, so the default does not take it back. */
function defaultDeny(replication: boolean): readonly DenyCategory[] {
  return replication ? DEFAULT_DENY.filter((category) => category !== 'replication') : DEFAULT_DENY;
}

/** One entry with rows, subjects and bytes is three quotas, each with a rule id of its own. */
function compileQuota(role: string, quota: QuotaConfig, mode: Policy['mode']): CompiledQuota[] {
  const limits: readonly (readonly [QuotaDimension, number | undefined])[] = [
    ['rows', quota.rows],
    ['subjects', quota.subjects],
    ['bytes', quota.bytes],
  ];
  return limits.flatMap(([dimension, limit]): CompiledQuota[] => {
    if (limit === undefined) return [];
    const shared = quota.scope === 'role' ? '/role' : '';
    return [
      {
        ruleId: `${role}/${quota.className}/${dimension}/${quota.windowText}${shared}`,
        role,
        className: quota.className,
        dimension,
        window: quota.window,
        windowText: quota.windowText,
        limit,
        scope: quota.scope,
        action: effectiveAction(quota.action, mode),
      },
    ];
  });
}

function effectiveAction(action: QuotaAction, mode: Policy['mode']): QuotaAction {
  return mode === 'monitor' ? 'flag' : action;
}
