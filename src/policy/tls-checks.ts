import type { CheckContext } from './config-path.ts';
import { getIn, isRecord } from './config-path.ts';

/** Keys of TLS that belong together. A key that would be passed over in silence is a mistake: somebody believes that it protects them. */
export function checkTls(context: CheckContext): void {
  checkListen(context);
  checkUpstream(context);
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
