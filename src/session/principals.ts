/** Whose limits hold in which database: policies of logins, made once for all sessions of a login. */

import { isMemberOf } from '../catalog/members.ts';
import { policyFor } from '../policy/principal.ts';
import type { Policy, PrincipalPolicy } from '../policy/types.ts';
import { withGrants } from '../quota/grants.ts';
import type { Catalogs } from './catalogs.ts';
import type { GrantBook } from './grant-book.ts';

interface Held {
  /** Changes whenever the policy, the grants or the catalog of the database do. */
  readonly version: string;
  readonly snapshot: string;
  readonly policies: Map<string, PrincipalPolicy>;
}

export class Principals {
  readonly #catalogs: Catalogs;
  readonly #grants: GrantBook;
  #policy: Policy;
  #policyCount = 1;
  #grantsVersion = -1;
  readonly #byDatabase = new Map<string, Held>();

  constructor(catalogs: Catalogs, grants: GrantBook, policy: Policy) {
    this.#catalogs = catalogs;
    this.#grants = grants;
    this.#policy = policy;
  }

  /** Takes a policy into force. */
  apply(policy: Policy): void {
    this.#policy = policy;
    this.#policyCount++;
    this.#byDatabase.clear();
  }

  /** Asked for several times a statement. */
  version(database: string): string {
    return this.#held(database).version;
  }

  of(principal: string, database: string): PrincipalPolicy {
    const { policies } = this.#held(database);
    let policy = policies.get(principal);
    if (policy === undefined) policies.set(principal, (policy = this.#make(principal, database)));
    return policy;
  }

  /** Of a login of which no database knows anything. */
  unknown(principal: string): PrincipalPolicy {
    return withGrants(policyFor(principal, this.#policy, () => false), this.#grants.of(principal));
  }

  #held(database: string): Held {
    const { version: snapshot } = this.#catalogs.index(database).snapshot;
    if (this.#grantsVersion !== this.#grants.version) {
      this.#grantsVersion = this.#grants.version;
      this.#byDatabase.clear();
    }
    let held = this.#byDatabase.get(database);
    if (held?.snapshot !== snapshot) {
      held = { version: `${this.#policyCount}:${this.#grantsVersion}:${snapshot}`, snapshot, policies: new Map() };
      this.#byDatabase.set(database, held);
    }
    return held;
  }

  #make(principal: string, database: string): PrincipalPolicy {
    const { snapshot } = this.#catalogs.index(database);
    // A login that was renamed or dropped from under its session: nobody can tell whose member it is, so the limits of all hold.
    const known = snapshot.roles.has(principal);
    return withGrants(policyFor(principal, this.#policy, (role) => (known ? isMemberOf(snapshot, principal, role) : limitsMembersOf(this.#policy, role))), this.#grants.of(principal));
  }
}

function limitsMembersOf(policy: Policy, pgRole: string): boolean {
  return policy.roles.some((role) => role.quotas.length > 0 && role.members.some((member) => member.kind === 'pg_role' && member.value === pgRole));
}
