import type { InterpolationSources } from '../../../src/policy/interpolate.ts';
import type { LoadedConfig } from '../../../src/policy/load-config.ts';
import { formatProblem, loadConfig } from '../../../src/policy/load-config.ts';
import { compilePolicy } from '../../../src/policy/compile.ts';
import type { ClassReach, DenyCategory, Reach } from '../../../src/catalog/reach-types.ts';
import type { Policy, PrincipalPolicy } from '../../../src/policy/types.ts';
import { policyFor } from '../../../src/policy/principal.ts';

const ENV: Readonly<Record<string, string>> = {
  ROWGATE_PASSWORD: 'hunter2-catalog',
  ROWGATE_ADMIN_TOKEN: 'hunter2-admin',
  ROWGATE_AUTH_PASSWORD: 'hunter2-auth',
  ROWGATE_MOCK_SECRET: 'hunter2-hunter2-mock',
  REDIS_PASSWORD: 'hunter2-redis',
  SLACK_WEBHOOK: 'https://hooks.example.com/hunter2-slack',
  SIEM_TOKEN: 'hunter2-siem',
};

/** The environment and the files that the examples name. */
export function sources(env: Readonly<Record<string, string>> = {}, files: Readonly<Record<string, string>> = {}): InterpolationSources {
  const all: Readonly<Record<string, string>> = { ...ENV, ...env };
  const allFiles: Readonly<Record<string, string>> = { '/run/secrets/rowgate': 'from-a-file\n', '/run/secrets/rowgate-audit-key': `${'0123456789abcdef'.repeat(4)}\n`, ...files };
  return {
    env: (name) => all[name],
    readFile: (path) => {
      const content = allFiles[path];
      if (content === undefined) throw Object.assign(new Error(`ENOENT: no such file ${path}`), { code: 'ENOENT' });
      return content;
    },
  };
}

export function problemLines(loaded: LoadedConfig): string[] {
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

/** A small configuration in which every section can be replaced; lines as in the file, so that tests can point at them. */
export const VALID = `version: 1
listen: { port: 6432 }
catalog: { user: rowgate, password: "\${ROWGATE_PASSWORD}" }
store: { memory: true }
admin: { port: 9187 }
classes:
  customers:
    relations:
      crm.customers: { subject: id }
      crm.notes: {}
  employees:
    relations:
      hr.people: {}
roles:
  support:
    members: [agent, "agent_*"]
    quotas:
      - { class: customers, window: 1h, rows: 200 }
`;

export function policyOf(text: string): Policy {
  const loaded = loadConfig(text, 'test.yaml', sources());
  if (!loaded.ok) throw new Error(problemLines(loaded).join('\n'));
  return compilePolicy(loaded.config);
}

/** The policy of `agent` in one role with the given body (YAML flow, without the members). */
export function principalOf(role: string, top = '', login = 'agent'): PrincipalPolicy {
  const [head] = VALID.split('roles:\n');
  return policyFor(login, policyOf(`${head}roles:\n  support: { members: [agent], ${role} }\n${top}`), () => false);
}

export function reachOf(partial: { classes?: readonly ClassReach[]; categories?: readonly DenyCategory[]; opaque?: readonly string[]; relations?: readonly string[] }): Reach {
  return {
    classes: partial.classes ?? [],
    opaque: partial.opaque ?? [],
    categories: new Set(partial.categories ?? []),
    relations: partial.relations ?? [],
    oids: new Set(),
    sink: false,
    copies: undefined,
    opensCursors: false,
    readOnly: true,
    pure: true,
  };
}

export function classReach(partial: Partial<ClassReach> = {}): ClassReach {
  return { className: 'customers', width: 1, packs: false, aggregated: false, calls: 0, relations: ['crm.customers'], ...partial };
}
