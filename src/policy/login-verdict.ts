import { blockOrFlag } from './decide.ts';
import { matchesGlob } from './glob.ts';
import { isLoginName } from './principal.ts';
import { askContact, refuse, sentences } from './refusal-codes.ts';
import type { PrincipalPolicy, Refusal, Verdict } from './types.ts';

/** What is decided once a session, before its first statement. Other databases and replication start denied. */
export interface Login {
  readonly database: string;
  /** The startup packet asks for a replication connection. */
  readonly replication: boolean;
}

export interface DatabaseRules {
  /** `upstream.databases`: names and globs; undefined: the key is not there. */
  readonly patterns: readonly string[] | undefined;
  /** True if at least one relation of a class exists in the database. */
  readonly holdsClass: (database: string) => boolean;
}

export function decideLogin(login: Login, principal: PrincipalPolicy, databases: DatabaseRules): Verdict {
  if (!isLoginName(principal.principal)) {
    // Never a flag: without one name there is nobody to count for.
    return { kind: 'block', refusal: loginNameRefusal() };
  }
  if (login.replication && !principal.replication) {
    return blockOrFlag(
      refuse('replication_denied', {
        ruleId: 'login/replication',
        message: `login "${principal.principal}" may not open a replication connection (rule login/replication)`,
        detail: 'A replication connection carries whole tables, which no quota can count.',
        hint: sentences('Connect without the replication option.', askContact(principal.contact, 'If your work needs it')),
      }),
      principal,
    );
  }
  if (principal.metered && !mayReach(login.database, databases)) {
    return blockOrFlag(
      refuse('database_denied', {
        ruleId: 'login/database',
        message: `login "${principal.principal}" may not connect to database "${login.database}" (rule login/database)`,
        detail: 'Logins with limits reach only the databases that the data protection policy covers.',
        hint: askContact(principal.contact, 'If your work needs it'),
      }),
      principal,
    );
  }
  return { kind: 'allow' };
}

export function loginNameRefusal(): Refusal {
  return refuse('login_name_refused', {
    ruleId: 'login/name',
    message: 'the login name is empty or longer than 63 bytes',
    hint: 'Use the name of the role as the database knows it.',
  });
}

function mayReach(database: string, rules: DatabaseRules): boolean {
  if (rules.patterns === undefined) return rules.holdsClass(database);
  return rules.patterns.some((pattern) => matchesGlob(pattern, database));
}
