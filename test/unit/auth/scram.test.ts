import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizePassword } from '../../../src/auth/password-text.ts';
import { formatVerifier, keysOf, makeVerifier, newNonce, parseVerifier, SCRAM, SCRAM_PLUS, sha256, type ScramVerifier } from '../../../src/auth/scram.ts';
import { ScramClient, ScramServerError, type ScramClientOptions, type ScramSecret } from '../../../src/auth/scram-client.ts';
import { ScramServer, type ScramServerOptions, type ScramStep } from '../../../src/auth/scram-server.ts';
import { StandInVerifiers } from '../../../src/auth/verifiers.ts';

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

/** The example of RFC 7677, section 3: user "user", password "pencil". */
const rfc = {
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal: 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
};

async function server(more: Partial<ScramServerOptions> = {}): Promise<ScramServer> {
  const verifier = more.verifier ?? (await makeVerifier('pencil', { salt, iterations: 4096 }));
  return new ScramServer({ genuine: true, nonce: rfc.serverNonce, mechanism: SCRAM, channelBinding: undefined, ...more, verifier });
}

function text(step: ScramStep): string {
  if (step.kind !== 'continue' && step.kind !== 'proven') throw new Error(JSON.stringify(step));
  return step.data.toString('latin1');
}

describe('the server\'s side', () => {
  test('speaks the example of RFC 7677, and learns the client\'s key', async () => {
    const exchange = await server();
    expect(text(exchange.step(Buffer.from(rfc.clientFirst)))).toBe(rfc.serverFirst);
    const step = exchange.step(Buffer.from(rfc.clientFinal));
    expect(text(step)).toBe(rfc.serverFinal);
    const { clientKey } = await keysOf('pencil', salt, 4096);
    expect(step.kind === 'proven' && step.keys.clientKey.equals(clientKey)).toBe(true);
  });

  test('a wrong proof is denied, and so is a right one for somebody who does not exist', async () => {
    const wrong = await server({ verifier: await makeVerifier('pen', { salt, iterations: 4096 }) });
    wrong.step(Buffer.from(rfc.clientFirst));
    expect(wrong.step(Buffer.from(rfc.clientFinal))).toEqual({ kind: 'denied' });
    const nobody = await server({ genuine: false });
    nobody.step(Buffer.from(rfc.clientFirst));
    expect(nobody.step(Buffer.from(rfc.clientFinal))).toEqual({ kind: 'denied' });
  });

  const firsts: readonly (readonly [string, string, string])[] = [
    ['', '08P01', 'The message is empty.'],
    ['n,,n=user,r=abc\0', '08P01', 'Message length does not match input length.'],
    ['x,,n=user,r=abc', '08P01', 'Unexpected channel-binding flag "x".'],
    ['n', '08P01', 'Comma expected'],
    ['n,', '08P01', 'Comma expected'],
    ['n,,', '08P01', 'Expected attribute "n"'],
    ['n,,n=user', '08P01', 'Expected attribute "r"'],
    ['n,,r=abc', '08P01', 'Expected attribute "n" but found "r".'],
    ['n,,nuser,r=abc', '08P01', 'Expected character "=" for attribute "n".'],
    ['n,,n=user,r=a\u0007c', '08P01', 'non-printable characters in SCRAM nonce'],
    ['n,,n=user,r=abc,', '08P01', 'Attribute expected, but found end of string.'],
    ['n,,n=user,r=abc,1=x', '08P01', 'Attribute expected, but found invalid character "1".'],
    ['n,a=other,n=user,r=abc', '0A000', 'client uses authorization identity, but it is not supported'],
    ['n,,m=ext,n=user,r=abc', '0A000', 'client requires an unsupported SCRAM extension'],
    ['p=tls-server-end-point,,n=user,r=abc', '08P01', 'without channel binding'],
  ];

  test.each(firsts)('a first message %j is refused as PostgreSQL refuses it', async (message, sqlstate, words) => {
    const step = (await server()).step(Buffer.from(message));
    expect(step).toMatchObject({ kind: 'fault', fault: { sqlstate } });
    if (step.kind === 'fault') expect(`${step.fault.message} ${step.fault.detail ?? ''}`).toContain(words);
  });

  const finals: readonly (readonly [string, string, string])[] = [
    ['c=biws', '08P01', 'Expected attribute "r"'],
    ['c=biws,r=NONCE', '08P01', 'Attribute expected, but found end of string.'],
    ['c=biws,r=NONCE,p=', '08P01', 'Malformed proof'],
    ['c=biws,r=NONCE,p=dHzb', '08P01', 'Malformed proof'],
    ['c=biws,r=NONCE,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ', '08P01', 'Malformed proof'],
    ['c=biws,r=NONCE,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=,x=y', '08P01', 'Garbage found'],
    ['c=biws,r=NONCEX,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', '08P01', 'invalid SCRAM response'],
    ['c=eSws,r=NONCE,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', '08P01', 'unexpected SCRAM channel-binding attribute'],
    ['c=cD10bHM=,r=NONCE,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', '08P01', 'unexpected SCRAM channel-binding attribute'],
  ];

  test.each(finals)('a final message %j is refused as PostgreSQL refuses it', async (message, sqlstate, words) => {
    const exchange = await server();
    exchange.step(Buffer.from(rfc.clientFirst));
    const step = exchange.step(Buffer.from(message.replace('NONCE', `rOprNGfwEbeRWgbNEkqO${rfc.serverNonce}`)));
    expect(step).toMatchObject({ kind: 'fault', fault: { sqlstate } });
    if (step.kind === 'fault') expect(`${step.fault.message} ${step.fault.detail ?? ''}`).toContain(words);
  });

  test('whoever could bind and was kept from it is refused ("y" where binding was offered)', async () => {
    const exchange = await server({ channelBinding: Buffer.alloc(32) });
    expect(exchange.step(Buffer.from('y,,n=,r=abc'))).toMatchObject({ kind: 'fault', fault: { sqlstate: '28000', message: 'SCRAM channel binding negotiation error' } });
    // Without an offer it is an honest word.
    expect((await server()).step(Buffer.from('y,,n=,r=abc')).kind).toBe('continue');
  });

  test('never throws, and never lets anybody in, whatever comes', async () => {
    const verifier = await makeVerifier('pencil', { salt, iterations: 4096 });
    const part = fc.oneof(fc.constantFrom('n,,', 'y,,', 'p=tls-server-end-point,,', 'n=', 'r=', 'c=biws', ',', 'p=', '=', 'm=', 'a='), fc.string({ maxLength: 8 }), fc.base64String({ maxLength: 44 }));
    const message = fc.oneof(fc.array(part, { maxLength: 8 }).map((parts) => Buffer.from(parts.join(''))), fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)));
    fc.assert(
      fc.property(message, message, message, fc.boolean(), (a, b, c, plus) => {
        const exchange = new ScramServer({ verifier, genuine: true, nonce: 'server', mechanism: plus ? SCRAM_PLUS : SCRAM, channelBinding: plus ? Buffer.alloc(32, 7) : undefined });
        for (const each of [a, b, c]) expect(['continue', 'denied', 'fault']).toContain(exchange.step(each).kind);
      }),
      { numRuns: 3000 },
    );
  });
});

interface Meeting {
  readonly client?: Partial<ScramClientOptions>;
  readonly server?: Partial<ScramServerOptions>;
  readonly secret?: ScramSecret;
}

/** A client and a server that talk to each other. */
async function meet(verifier: ScramVerifier, secret: ScramSecret, { client: clientMore = {}, server: serverMore = {} }: Meeting = {}): Promise<ScramStep> {
  const client = new ScramClient({ secret, mechanisms: [SCRAM], encrypted: false, channelBinding: undefined, nonce: newNonce(), ...clientMore });
  const exchange = new ScramServer({ verifier, genuine: true, nonce: newNonce(), mechanism: client.mechanism, channelBinding: undefined, ...serverMore });
  const first = exchange.step(client.first());
  if (first.kind !== 'continue') return first;
  const last = exchange.step(await client.final(first.data));
  if (last.kind === 'proven') client.verify(last.data);
  return last;
}

describe('the client\'s side', () => {
  test('logs in with a password, and with nothing but the keys that a client proved', async () => {
    const verifier = await makeVerifier('pencil');
    const first = await meet(verifier, { kind: 'password', password: 'pencil' });
    if (first.kind !== 'proven') throw new Error('not let in');
    const again = await meet(verifier, { kind: 'keys', keys: first.keys, verifier });
    expect(again.kind).toBe('proven');
    expect(sha256(first.keys.clientKey).equals(verifier.storedKey)).toBe(true);
  });

  test('binds to the certificate if it can, and a server with another certificate finds out', async () => {
    const verifier = await makeVerifier('pencil', { iterations: 4096 });
    const binding = createHash('sha256').update('ours').digest();
    const both = { mechanisms: [SCRAM, SCRAM_PLUS], encrypted: true, channelBinding: binding };
    const secret: ScramSecret = { kind: 'password', password: 'pencil' };
    expect((await meet(verifier, secret, { client: both, server: { channelBinding: binding } })).kind).toBe('proven');
    expect(await meet(verifier, secret, { client: both, server: { channelBinding: Buffer.alloc(32) } })).toMatchObject({ fault: { sqlstate: '28000', message: 'SCRAM channel binding check failed' } });
    // Somebody took PLUS off the list.
    expect(await meet(verifier, secret, { client: { ...both, mechanisms: [SCRAM] }, server: { channelBinding: binding } })).toMatchObject({ fault: { message: 'SCRAM channel binding negotiation error' } });
  });

  test('keys are used only for the verifier that they belong to', async () => {
    const verifier = await makeVerifier('pencil');
    const other = await makeVerifier('pencil');
    const keys = await keysOf('pencil', verifier.salt, verifier.iterations);
    await expect(meet(other, { kind: 'keys', keys, verifier })).rejects.toThrow(ScramServerError);
  });

  test.each([
    ['its nonce is not ours', 'r=somebody,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
    ['its nonce adds nothing', 'r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
    ['it wants more work than is reasonable', 'r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999'],
    ['its salt is no base64', 'r=abcdef,s=!!!!,i=4096'],
    ['it says something else', 'e=other-error'],
  ])('a server is not believed if %s', async (_what, message) => {
    const client = new ScramClient({ secret: { kind: 'password', password: 'x' }, mechanisms: [SCRAM], encrypted: false, channelBinding: undefined, nonce: 'abc' });
    await expect(client.final(Buffer.from(message))).rejects.toThrow(ScramServerError);
  });

  test('a server that does not know the verifier is found out', async () => {
    const client = new ScramClient({ secret: { kind: 'password', password: 'x' }, mechanisms: [SCRAM], encrypted: false, channelBinding: undefined, nonce: 'abc' });
    expect(() => client.verify(Buffer.from('v='))).toThrow(ScramServerError);
    await client.final(Buffer.from('r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'));
    expect(() => client.verify(Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`))).toThrow(ScramServerError);
    expect(() => client.verify(Buffer.from('e=invalid-proof'))).toThrow(ScramServerError);
  });
});

describe('verifiers', () => {
  test('are written as PostgreSQL writes them, and read back', async () => {
    const verifier = await makeVerifier('pencil', { salt, iterations: 5000 });
    const written = formatVerifier(verifier);
    expect(written).toMatch(/^SCRAM-SHA-256\$5000:W22ZaJ0SNY7soEsUEjb6gQ==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/);
    expect(parseVerifier(written)).toEqual(verifier);
  });

  test.each(['', 'md5d8578edf8458ce06fbc5bb76a58c5ca4', 'SCRAM-SHA-256$0:AAAA$x:y', 'SCRAM-SHA-256$4096:$AAAA:BBBB', 'plain'])('%j is none', (value) => {
    expect(parseVerifier(value)).toBeUndefined();
  });

  test('stand-ins keep their salt for a name, differ between names, and agree between processes that share a secret', () => {
    const one = new StandInVerifiers(Buffer.from('secret'));
    const two = new StandInVerifiers(Buffer.from('secret'));
    expect(one.of('a').salt.equals(two.of('a').salt)).toBe(true);
    expect(one.of('a').salt.equals(one.of('b').salt)).toBe(false);
    expect(one.of('a').salt.equals(new StandInVerifiers(undefined).of('a').salt)).toBe(false);
    expect(one.of('a').salt.length).toBe(16);
  });
});

describe('passwords', () => {
  test.each([
    ['plain', 'plain'],
    ['I\u00adX', 'IX'], // soft hyphen: mapped to nothing (RFC 4013, section 3)
    ['\u00aa', 'a'], // NFKC
    ['\u2168', 'IX'],
    ['a\u00a0b', 'a b'], // a blank that is none in ASCII
    ['\u0007', '\u0007'], // prohibited: as it is, as PostgreSQL does
    ['\u0627\u0031', '\u0627\u0031'], // bidirectional check fails: as it is
    ['\u00ad', '\u00ad'], // nothing would be left
    ['', ''],
  ])('%j goes into SCRAM as %j', (given, expected) => {
    expect(normalizePassword(given)).toBe(expected);
  });
});
