/** Requests that Rowgate makes itself on a session's server connection. Each restores the protocol to where the client believes it to be. */

import * as messages from '../protocol/frontend-messages.ts';
import type { InternalReply } from './request.ts';
import type { SessionState } from './session-state.ts';

const PATH_NAME = 'rowgate_search_path';
/** Named, so that the client's unnamed statement and portal stay; qualified, so that no user function answers. */
const ASK_SEARCH_PATH = Buffer.concat([
  messages.writeParse(PATH_NAME, "SELECT pg_catalog.current_schemas(true), pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('track_counts')"),
  messages.writeBind(PATH_NAME, PATH_NAME),
  messages.writeExecute(PATH_NAME),
  messages.writeCloseStatement(PATH_NAME),
  messages.SYNC,
]);

/** Learns in which schemas the server resolves unqualified names, and what its own books will say of the session's statements. Only while the session is idle. Leaves the path unknown if the server does not say. */
export function askSearchPath(session: SessionState): Promise<void> {
  return new Promise((resolve) => {
    const version = session.gate.snapshot(session.identity.database).version;
    const quiet: InternalReply = {};
    const push = (kind: 'parse' | 'bind' | 'execute' | 'close' | 'sync', reply: InternalReply): void => session.ledger.push(kind, { kind: 'internal', reply });
    push('parse', quiet);
    push('bind', quiet);
    push('execute', {
      onRow: ([schemas, isolation, counts]) => {
        if (session.serializes !== true) session.serializes = isolation === 'serializable';
        if (session.counts !== true) session.counts = counts !== 'off';
        session.searchPath = parseTextArray(schemas ?? '{}');
        session.searchPathVersion = version;
      },
    });
    push('close', quiet);
    push('sync', {
      onReady: () => {
        resolve();
        return false;
      },
    });
    session.ports.toServer(ASK_SEARCH_PATH);
  });
}

/**
 * Has the server parse a text that Rowgate's grammar rejects, and run nothing of it. Resolves to true if the server rejects
 * it too: then the client has got that error and ReadyForQuery, as for the Query that it sent.
 */
export function probeText(session: SessionState, text: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    session.ledger.push('parse', {
      kind: 'internal',
      reply: {
        onComplete: () => resolve(false),
        // The server is on its way to Sync after an earlier error: it would have passed over the Query just the same.
        onSkipped: () => resolve(true),
        onError: () => {
          session.ledger.push('sync', {
            kind: 'internal',
            reply: {
              onReady: () => {
                resolve(true);
                return true;
              },
            },
          });
          session.ports.toServer(messages.SYNC);
          return true;
        },
      },
    });
    // Unnamed: the simple Query in whose place this stands would have dropped the unnamed statement as well.
    session.ports.toServer(Buffer.concat([messages.writeParse('', text), messages.FLUSH]));
  });
}

/** A one-dimensional text array as PostgreSQL prints it ("Array Input and Output Syntax"). */
export function parseTextArray(text: string): readonly string[] {
  const items: string[] = [];
  let at = 1;
  while (at < text.length - 1) {
    let item = '';
    if (text[at] === '"') {
      for (at++; text[at] !== '"' && at < text.length; at++) {
        if (text[at] === '\\') at++;
        item += text[at];
      }
      at++;
    } else {
      for (; text[at] !== ',' && at < text.length - 1; at++) item += text[at];
    }
    items.push(item);
    at++;
  }
  return items;
}
