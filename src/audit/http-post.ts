/** Posts to a receiver of audit records or alerts: one connection that is kept, a time-out for the whole request, redirects not followed. */

import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { Agent, request } from 'undici';
import { DeliveryError, RejectedError } from './outbox.ts';

export interface HttpTarget {
  readonly url: string;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  /** File with authorities' certificates. */
  readonly ca: string | undefined;
  readonly timeoutMs: number;
}

/** The body is what the receiver does not like; sent again it would not like it any better. */
const REJECTED = new Set([400, 413, 415, 422]);

export class HttpPoster {
  readonly #target: HttpTarget;
  readonly #agent: Agent;

  /** Throws if the file of certificates cannot be read. */
  constructor(target: HttpTarget) {
    this.#target = target;
    const ca = target.ca === undefined ? undefined : [...rootCertificates, readFileSync(target.ca, 'utf8')];
    this.#agent = new Agent({ connections: 1, connect: { timeout: target.timeoutMs, ...(ca === undefined ? {} : { ca }) } });
  }

  async post(body: string, signal: AbortSignal): Promise<void> {
    const { url, contentType, headers, timeoutMs } = this.#target;
    const response = await request(url, {
      method: 'POST',
      body,
      headers: { 'user-agent': 'rowgate', ...headers, 'content-type': contentType },
      dispatcher: this.#agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    // The answer's text is of no use, and has to be read for the connection to serve again.
    await response.body.dump();
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode < 300) return;
    if (REJECTED.has(statusCode)) throw new RejectedError(`the receiver answered ${statusCode}`);
    throw new DeliveryError(`the receiver answered ${statusCode}`);
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
