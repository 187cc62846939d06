import type { CheckContext } from './config-path.ts';
import { getIn, isRecord } from './config-path.ts';

/** Keys of TLS and logins that belong together. A key that would be passed over in silence is a mistake: somebody believes that it protects them. */
export function checkEncryptionAndLogins(context: CheckContext): void {
  checkListen(context);
  checkUpstream(context);
  checkAuth(context);
}

function checkAuth(context: CheckContext): void {
  const auth = getIn(context.tree, ['auth']);
  if (!isRecord(auth)) return;
  const method = typeof auth['method'] === 'string' ? auth['method'] : 'passthrough';
  const verifies = getIn(context.tree, ['listen', 'tls', 'mode']) === 'verify-client';
  const only = (key: string, wanted: string): void => {
    if (auth[key] !== undefined && method !== wanted) context.report(['auth', key], `is looked at with method ${wanted} only`, { at: 'key', hint: `write method: ${wanted}, or take the key out` });
  };
  only('lookup', 'scram');
  only('users', 'scram');
  only('mock_secret', 'scram');
  only('upstream_users', 'certificate');
  if (method === 'scram') {
    const count = Number(auth['lookup'] !== undefined) + Number(auth['users'] !== undefined);
    if (count === 0) context.report(['auth'], 'method scram needs lookup or users', { at: 'key', hint: 'lookup reads the verifiers from the server; users names a file of them' });
    if (count === 2) context.report(['auth'], 'has both lookup and users', { at: 'key', hint: 'keep one of them' });
  }
  if (method === 'certificate' && !verifies) {
    context.report(['auth', 'method'], 'certificate needs listen.tls.mode: verify-client', { hint: 'else anybody could come without a certificate' });
  }
  if (auth['certificates'] !== undefined && !verifies) {
    context.report(['auth', 'certificates'], 'is looked at with listen.tls.mode: verify-client only', { at: 'key' });
  }
  if (Array.isArray(auth['cleartext']) && auth['cleartext'].length > 0 && getIn(context.tree, ['listen', 'tls']) === undefined) {
    context.report(['auth', 'cleartext'], 'needs listen.tls: passwords in clear are taken over TLS only', { at: 'key' });
  }
}

function checkListen(context: CheckContext): void {
  const path = ['listen', 'tls'];
  const tls = getIn(context.tree, path);
  if (!isRecord(tls)) return;
  if (tls['mode'] === 'verify-client' && tls['client_ca'] === undefined) {
    context.report(path, 'mode is verify-client and there is no client_ca', { at: 'key', hint: 'name the file with the certificates that sign your clients\'' });
  }
  if (tls['mode'] !== 'verify-client' && tls['client_ca'] !== undefined) {
    context.report([...path, 'client_ca'], 'is looked at in mode verify-client only', { at: 'key', hint: 'write mode: verify-client, or take the key out' });
  }
}

function checkUpstream(context: CheckContext): void {
  const path = ['upstream', 'tls'];
  const tls = getIn(context.tree, path);
  if (!isRecord(tls)) return;
  const mode = typeof tls['mode'] === 'string' ? tls['mode'] : 'disable';
  if (tls['ca'] !== undefined && mode !== 'verify-ca' && mode !== 'verify-full') {
    context.report([...path, 'ca'], `is not looked at in mode ${mode}`, { at: 'key', hint: 'write mode: verify-full, or verify-ca if the certificate names another host' });
  }
  if ((tls['cert'] === undefined) !== (tls['key'] === undefined)) {
    context.report(path, 'cert and key are needed together', { at: 'key' });
  } else if (tls['cert'] !== undefined && mode === 'disable') {
    context.report([...path, 'cert'], 'is not used in mode disable', { at: 'key' });
  }
  if (tls['negotiation'] === 'direct' && (mode === 'disable' || mode === 'prefer')) {
    context.report([...path, 'negotiation'], `direct does not go with mode ${mode}`, { hint: 'there is no way back to plain text: write mode: require or more' });
  }
}
