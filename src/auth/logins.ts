/** What the configuration says about logins, ready to be asked: verifiers, passwords towards the server, certificates, delays. */

import type { Duplex } from 'node:stream';
import type { PeerCertificate } from 'node:tls';
import type { AuthConfig, CertificateRule } from '../policy/config.ts';
import { matchesGlob } from '../policy/glob.ts';
import { mayUse, namesOf } from './certificate-names.ts';
import { ClientAuthenticator } from './client-authenticator.ts';
import { LoginDelay } from './login-delay.ts';
import { LookupVerifiers } from './lookup.ts';
import { FileVerifiers, readPasswords, UserFile } from './user-file.ts';
import { StandInVerifiers, type VerifierSource } from './verifiers.ts';

/** A server that a login is for. */
export interface LoginServer {
  readonly id: string;
  /** Opens a connection to it, for `auth.lookup`. */
  connect(): Promise<Duplex>;
}

export interface LoginsParts {
  /** Of `listen.tls`. */
  readonly privateKey: Buffer | undefined;
  readonly maxDelayMs: number;
  readonly onProblem: (error: unknown) => void;
}

/** Without rules, the certificate's common name is the login. */
const SAME_NAME: readonly CertificateRule[] = [{ field: 'cn', pattern: /^(.+)$/u, login: '$1' }];

export class Logins {
  readonly method: AuthConfig['method'];
  readonly delay: LoginDelay;
  readonly #config: AuthConfig;
  readonly #users: FileVerifiers | undefined;
  /** By server: each is asked for its own. */
  readonly #lookups = new Map<string, VerifierSource>();
  readonly #standIns: StandInVerifiers;
  readonly #passwords: UserFile<string> | undefined;

  /** Throws `UserFileError` if a file cannot be used. */
  constructor(config: AuthConfig, parts: LoginsParts) {
    this.#config = config;
    this.method = config.method;
    this.delay = new LoginDelay({ maxDelayMs: parts.maxDelayMs });
    if (config.users !== undefined) this.#users = new FileVerifiers(config.users, parts.onProblem);
    const secret = config.mockSecret?.reveal();
    this.#standIns = new StandInVerifiers(secret === undefined ? parts.privateKey : Buffer.from(secret, 'utf8'));
    if (config.upstreamUsers !== undefined) this.#passwords = new UserFile(config.upstreamUsers, readPasswords, parts.onProblem);
  }

  /** auth.cleartext names the login. */
  namedForCleartext(user: string): boolean {
    return this.#config.cleartext.some((pattern) => matchesGlob(pattern, user));
  }

  /** For method `scram`. */
  authenticator(user: string, channelBinding: Buffer | undefined, cleartext: boolean, server: LoginServer): ClientAuthenticator {
    const verifiers = this.#users ?? this.#lookupAt(server);
    return new ClientAuthenticator({
      user, channelBinding, cleartext,
      find: () => verifiers.find(user),
      standIn: () => this.#standIns.of(user, verifiers.iterations),
    });
  }

  /** Whether a client with this certificate, which was found valid, may use the login. */
  certificateAllows(user: string, certificate: PeerCertificate): boolean {
    const rules = this.#config.certificates ?? (this.method === 'certificate' ? SAME_NAME : undefined);
    return rules === undefined || mayUse(user, namesOf(certificate), rules);
  }

  /** What Rowgate says to the server for a login that came with a certificate; undefined: it has no password for it. */
  async upstreamPassword(user: string): Promise<string | undefined> {
    return (await this.#passwords?.entries())?.get(user);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lookups.values()].map((each) => each.close()));
  }

  /**
   * A server's own verifiers, and no other's: with what a client proves for them, the server learns no key that opens another one, nor can it pass the exchange on to
   * another, whose salt belongs to a StoredKey that it does not know.
   */
  #lookupAt({ id, connect }: LoginServer): VerifierSource {
    const known = this.#lookups.get(id);
    if (known !== undefined) return known;
    if (this.#config.lookup === undefined) throw new Error('there is no source of verifiers');
    const { user, password, database } = this.#config.lookup;
    const lookup = new LookupVerifiers({ connect, user, password: password?.reveal(), database });
    this.#lookups.set(id, lookup);
    return lookup;
  }
}
