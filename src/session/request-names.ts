/** What the server's answers to Parse, Bind and Close do to the session's names. */

import type { SessionNames } from './names.ts';
import type { Request } from './request.ts';

/** ParseComplete, BindComplete, CloseComplete. */
export function namesConfirmed(names: SessionNames, payload: Request): void {
  if (payload.kind === 'parse') names.statementAnswered(payload.name, payload.statement, true);
  else if (payload.kind === 'bind') {
    // What the name means now, not what it meant when Bind was sent.
    const statement = names.statement(payload.statementName);
    names.portalAnswered(payload.name, payload.portal, true);
    if (statement !== payload.portal.statement) names.setPortal(payload.name, { ...payload.portal, statement });
  } else if (payload.kind === 'close') {
    if (payload.target === 'statement') names.dropStatement(payload.name);
    else names.dropPortal(payload.name);
  }
}

/** The server failed it, or skipped it on its way to Sync. */
export function namesSkipped(names: SessionNames, payload: Request): void {
  if (payload.kind === 'parse') names.statementAnswered(payload.name, payload.statement, false);
  else if (payload.kind === 'bind') names.portalAnswered(payload.name, payload.portal, false);
}
