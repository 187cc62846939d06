/** What one connection of the startup's fuzz run is to be: everything is drawn beforehand, so that a seed gives the same run again. */

import { createHash } from 'node:crypto';
import { Random } from './random.ts';

export interface LoginCase {
  readonly id: string;
  /** Marks the session that the server gives to it. */
  readonly token: string;
  /** Nothing is done to either side: it must get in, or be refused for its password. */
  readonly honest: boolean;
  readonly oddServer: boolean;
  readonly oddClient: boolean;
  readonly rightPassword: boolean;
  readonly user: string;
  readonly serverAsks: 'trust' | 'cleartext' | 'md5' | 'scram' | 'other';
  readonly opening: 'plain' | 'ssl' | 'gss' | 'gss_then_ssl' | 'direct' | 'cancel' | 'garbage';
  readonly proxy: 'none' | 'v1' | 'v2';
  /** What the client does when it has nothing more to say. */
  readonly ending: 'goodbye' | 'half_close' | 'reset' | 'silence';
  readonly random: Random;
  readonly serverRandom: Random;
  mutated: number;
}

/** The check behind it keeps a changed byte from making another session's mark of it. */
export function loginToken(id: string): string {
  return `token-${id}-${createHash('sha256').update(id).digest('hex').slice(0, 12)}-`;
}

export interface LoginMix {
  readonly direction: 'client' | 'server';
  readonly tls: boolean;
  readonly proxied: boolean;
  /** Rowgate itself asks for passwords. */
  readonly checks: boolean;
}

export function drawCase(id: string, mix: LoginMix, seed: number): LoginCase {
  const random = new Random(seed);
  const honest = random.chance(0.12);
  const odd = !honest;
  const encrypted = mix.tls ? (['ssl', 'ssl', 'direct', 'gss_then_ssl'] as const) : (['plain'] as const);
  const openings = honest ? (['plain', 'plain', 'gss', ...encrypted] as const) : (['plain', 'plain', 'plain', 'plain', 'ssl', 'gss', 'gss_then_ssl', 'direct', 'cancel', 'garbage', ...encrypted] as const);
  const opening = mix.direction === 'server' ? random.pick(['plain', 'plain', 'gss', ...encrypted] as const) : random.pick(openings);
  return {
    id, token: loginToken(id), honest,
    oddServer: odd && mix.direction === 'server',
    oddClient: odd && mix.direction === 'client',
    rightPassword: random.chance(0.8),
    user: random.pick(['wide_1', 'wide_2', 'agent_1', 'unknown']),
    // SCRAM keys cannot answer the others; what then happens is tested too.
    serverAsks: honest ? random.pick(mix.checks ? (['scram', 'trust'] as const) : (['scram', 'trust', 'md5'] as const)) : random.pick(['trust', 'cleartext', 'md5', 'scram', 'scram', 'scram', 'scram', 'other'] as const),
    opening,
    proxy: mix.proxied ? random.pick(['v1', 'v2'] as const) : 'none',
    ending: honest ? 'goodbye' : random.chance(0.03) ? 'silence' : random.pick(['goodbye', 'half_close', 'reset'] as const),
    random: new Random(random.below(2 ** 31)),
    serverRandom: new Random(random.below(2 ** 31)),
    mutated: 0,
  };
}
