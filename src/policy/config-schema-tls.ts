import { choice, section, text } from './config-fields.ts';

/** Encryption on both sides of Rowgate. */

export const CLIENT_TLS_MODES = ['prefer', 'require', 'verify-client'] as const;
export const SERVER_TLS_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

export const listenTls = section({
  cert: text('a file name').meta({ description: 'Certificate that clients see, in PEM, followed by the certificates between it and its root.', examples: ['server.crt'] }),
  key: text('a file name').meta({ description: 'Private key of the certificate, in PEM, without a passphrase.', examples: ['server.key'] }),
  client_ca: text('a file name').optional().meta({
    description: 'Certificates of those whose signature makes a client\'s certificate valid, in PEM. Needed for `verify-client`.',
    'x-default': 'none',
    examples: ['staff-ca.crt'],
  }),
  mode: choice(CLIENT_TLS_MODES).prefault('prefer').meta({
    description: '`prefer`: TLS is offered, plain text is taken. `require`: plain text is refused with 28000. `verify-client`: the client must also show a certificate that `client_ca` signed.',
    examples: ['require'],
  }),
});

export const upstreamTls = section({
  mode: choice(SERVER_TLS_MODES).prefault('disable').meta({
    description:
      'As libpq\'s `sslmode`. `prefer`: TLS if the server offers it. `require`: TLS, whoever answers. `verify-ca`: the certificate must be signed by `ca`. `verify-full`: it must also be for `upstream.host`.',
    examples: ['verify-full'],
  }),
  ca: text('a file name').optional().meta({
    description: 'Certificates of those who may sign the server\'s certificate, in PEM. For `verify-ca` and `verify-full`.',
    'x-default': 'the public authorities that Node.js knows',
    examples: ['ca.crt'],
  }),
  cert: text('a file name').optional().meta({
    description: 'Certificate that Rowgate shows to the server, in PEM, where the server asks for one.',
    'x-default': 'none',
    examples: ['rowgate.crt'],
  }),
  key: text('a file name').optional().meta({ description: 'Private key of that certificate, in PEM, without a passphrase.', 'x-default': 'none', examples: ['rowgate.key'] }),
  negotiation: choice(['postgres', 'direct']).prefault('postgres').meta({
    description: '`postgres`: asks the server first (SSLRequest). `direct`: begins with the TLS handshake, which PostgreSQL understands from version 17 on; not with `prefer`.',
    examples: ['postgres'],
  }),
});
