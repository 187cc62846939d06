/** What a run asks of the counters of people. */

import { performance } from 'node:perf_hooks';
import type { Reach } from '../catalog/reach-types.ts';
import type { PrincipalPolicy } from '../policy/types.ts';
import type { SessionState } from './session-state.ts';
import { SubjectMeter } from './subject-meter.ts';

/** Undefined where no quota of the login counts people of what the statement reaches. Rejects if the store cannot be asked. */
export function openPeople(session: SessionState, principal: PrincipalPolicy, reach: Reach): Promise<SubjectMeter | undefined> {
  const { gate, identity } = session;
  return SubjectMeter.open(principal, reach, {
    store: gate.store,
    nowMs: () => performance.now(),
    neighbours: gate.neighbours,
    recent: gate.recentPeople,
    hashers: gate.personHashers,
    keepNamed: gate.auditSubjects === 'keys',
    scope: gate.databaseKey(identity.database),
    keysOf: (oid) => gate.subjectKeys(identity.database, oid),
    encoding: () => session.clientEncoding,
    onRefundError: (error) => gate.storeFailed(error),
  });
}
