import { z } from 'zod';
import { SECRET_DOCS, choice, listOf, secret, section, sentence, text } from './config-fields.ts';

/** How clients prove who they are, and how Rowgate proves it to the server. */

const lookup = section({
  user: text('a login name').meta({ description: 'Login with which Rowgate reads the SCRAM verifiers: it must be allowed to read `pg_authid`.', examples: ['rowgate_auth'] }),
  password: secret('a password').optional().meta({
    ...SECRET_DOCS,
    description: 'Password of that login. Take it from the environment or a file.',
    'x-default': 'no password is sent',
    examples: ['${ROWGATE_AUTH_PASSWORD}'],
  }),
  database: text('a database name').prefault('postgres').meta({ description: 'Database that the login connects to.', examples: ['postgres'] }),
});

const PATTERN_EXPECTED = 'a regular expression, which the whole name must match';

function pattern() {
  return text(PATTERN_EXPECTED)
    .superRefine((value, context) => {
      try {
        void new RegExp(value, 'u');
      } catch {
        sentence(context, 'is no valid regular expression');
      }
    })
    .optional();
}

/** Which field of a certificate is compared: one a rule. */
export const CERTIFICATE_FIELDS = ['cn', 'dns', 'email', 'uri'] as const;

const certificateRule = section({
  cn: pattern().meta({ description: 'Common name of the certificate\'s subject, as a regular expression that must match all of it.', 'x-default': 'not looked at', examples: ['([a-z]+)\\.staff'] }),
  dns: pattern().meta({ description: 'A DNS name among the subject\'s alternative names, likewise.', 'x-default': 'not looked at', examples: ['([a-z]+)\\.staff\\.example\\.com'] }),
  email: pattern().meta({ description: 'An e-mail address among them, likewise.', 'x-default': 'not looked at', examples: ['([a-z]+)@example\\.com'] }),
  uri: pattern().meta({ description: 'A URI among them, likewise.', 'x-default': 'not looked at', examples: ['spiffe://example\\.com/staff/([a-z]+)'] }),
  login: text('a login name, with $1 for the first group').meta({
    description: 'Login that such a certificate may use; `$1` to `$9` stand for the groups of the expression.',
    examples: ['agent_$1'],
  }),
})
  .superRefine((rule, context) => {
    const given = CERTIFICATE_FIELDS.filter((field) => rule[field] !== undefined);
    if (given.length !== 1) sentence(context, 'a rule needs exactly one of cn, dns, email and uri');
  })
  .meta({ anyOf: CERTIFICATE_FIELDS.map((field) => ({ required: [field] })) });

export const AUTH_METHODS = ['passthrough', 'scram', 'certificate'] as const;

export const auth = section({
  method: choice(AUTH_METHODS).prefault('passthrough').meta({
    description:
      'Who checks a login. `passthrough`: the server does, Rowgate carries the messages and keeps nothing. `scram`: Rowgate does, then logs in with the SCRAM keys that the client proved. `certificate`: the client\'s certificate says who it is. See [authentication](authentication.md).',
    examples: ['passthrough'],
  }),
  lookup: lookup.optional().meta({
    description: 'For `scram`: verifiers are read from the server, at each login. Give either this or `users`.',
    'x-default': 'none',
    examples: [{ user: 'rowgate_auth', password: '${ROWGATE_AUTH_PASSWORD}' }],
  }),
  users: text('a file name').optional().meta({
    description: 'For `scram`: file with a line `NAME: SCRAM-SHA-256$...` for each login, the same verifier as the server has. `rowgate users NAME` makes a line.',
    'x-default': 'none',
    examples: ['users.txt'],
  }),
  cleartext: listOf(text('a login name or glob'), 'a list of login names or globs').prefault([]).meta({
    description: 'Logins whose passwords may pass in clear, over TLS only: for clients that know no SCRAM, or for a server that asks LDAP or PAM. Everybody else\'s are refused.',
    examples: [['legacy_*']],
  }),
  upstream_users: text('a file name').optional().meta({
    description: 'For `certificate`: file with a line `NAME: PASSWORD` for each login, with which Rowgate logs in to the server.',
    'x-default': 'none: the server trusts Rowgate\'s own certificate (`upstream.tls.cert`)',
    examples: ['upstream-users.txt'],
  }),
  certificates: listOf(certificateRule, 'a list of rules').optional().meta({
    description: 'Which login a client certificate may use. One rule that fits is enough. Holds for every method once clients must show certificates.',
    'x-default': '`certificate`: the common name is the login; else certificates are checked, and not compared with logins',
    examples: [[{ cn: '([a-z]+)\\.staff', login: 'agent_$1' }]],
  }),
  mock_secret: secret('a text of at least 16 characters', /^.{16,}$/s).optional().meta({
    ...SECRET_DOCS,
    description: 'Makes what an unknown login is shown the same in every Rowgate process and after a restart, as it is for logins that exist.',
    'x-default': 'made from the private key of `listen.tls`; without TLS, random at each start',
    examples: ['${ROWGATE_MOCK_SECRET}'],
  }),
}).meta({ description: 'How clients prove who they are.', examples: [{ method: 'scram', lookup: { user: 'rowgate_auth', password: '${ROWGATE_AUTH_PASSWORD}' } }] });

export type ParsedAuth = z.output<typeof auth>;
