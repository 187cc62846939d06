import type { DerivedStore } from './derived-store.ts';
import { StoreUnavailableError, type Counter, type CounterStore, type Dismissal, type LeaseStamp, type Notes } from './store.ts';

/** Counters that another process of this machine holds: workers share the primary's. Calls of one turn of the event loop go as one message. */

const METHODS = [
  'reserve', 'refund', 'admit', 'dismiss', 'usage', 'once', 'subjectSecret', 'sharedTexts', 'shareText', 'ping',
  'readCopies', 'putCopies', 'dropCopies', 'putNote', 'getNote', 'dropNote',
] as const;
export type StoreMethod = (typeof METHODS)[number];

export interface StoreCall {
  readonly id: number;
  readonly method: StoreMethod;
  readonly args: readonly unknown[];
}

export type StoreAnswer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly fault: 'unavailable' | 'range' | 'other'; readonly message: string };

/** The primary is on this machine, and whoever outlives it ends: only a machine that is very busy takes long. */
const TIMEOUT_MS = 5000;
const MAX_IN_FLIGHT = 4096;

/** A `CounterStore` by way of messages. */
export class RemoteStore implements CounterStore {
  readonly #send: (calls: readonly StoreCall[]) => void;
  readonly #waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void; readonly timer: NodeJS.Timeout }>();
  #batch: StoreCall[] = [];
  #nextId = 1;
  #closed = false;

  constructor(send: (calls: readonly StoreCall[]) => void) {
    this.#send = send;
  }

  readonly copies: DerivedStore = {
    shared: true,
    read: (...args) => this.#call('readCopies', args),
    put: (...args) => this.#call('putCopies', args),
    drop: (...args) => this.#call('dropCopies', args),
  };
  readonly notes: Notes = {
    put: (...args) => this.#call('putNote', args),
    get: (...args) => this.#call('getNote', args),
    drop: (...args) => this.#call('dropNote', args),
  };
  readonly reserve: CounterStore['reserve'] = (...args) => this.#call('reserve', args);
  readonly refund: CounterStore['refund'] = (...args) => this.#call('refund', args);
  readonly admit: CounterStore['admit'] = (...args) => this.#call('admit', args);
  readonly dismiss: CounterStore['dismiss'] = (...args) => this.#call('dismiss', args);
  readonly usage: CounterStore['usage'] = (...args) => this.#call('usage', args);
  readonly once: CounterStore['once'] = (...args) => this.#call('once', args);
  readonly sharedTexts: CounterStore['sharedTexts'] = (...args) => this.#call('sharedTexts', args);
  readonly shareText: CounterStore['shareText'] = (...args) => this.#call('shareText', args);
  readonly ping: CounterStore['ping'] = () => this.#call('ping', []);

  async subjectSecret(): Promise<Buffer> {
    return Buffer.from(await this.#call<Uint8Array>('subjectSecret', []));
  }

  receive(answers: readonly StoreAnswer[]): void {
    for (const answer of answers) {
      const call = this.#waiting.get(answer.id);
      if (call === undefined) continue;
      this.#waiting.delete(answer.id);
      clearTimeout(call.timer);
      if (answer.ok) call.resolve(answer.value);
      else call.reject(faultOf(answer));
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new StoreUnavailableError('the store is closed'));
    }
    this.#waiting.clear();
    return Promise.resolve();
  }

  #call<T>(method: StoreMethod, args: readonly unknown[]): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed || this.#waiting.size >= MAX_IN_FLIGHT) {
        reject(new StoreUnavailableError(this.#closed ? 'the store is closed' : 'the primary process owes too many answers'));
        return;
      }
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        // What was asked for may have been counted, and is not granted.
        reject(new StoreUnavailableError('the primary process does not answer'));
      }, TIMEOUT_MS);
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      if (this.#batch.length === 0) setImmediate(() => this.#flush());
      this.#batch.push({ id, method, args });
    });
  }

  #flush(): void {
    const calls = this.#batch;
    this.#batch = [];
    this.#send(calls);
  }
}

/** Carries calls of other processes out on the store itself. The notes are theirs: the store has none where no other machine shares it. */
export class StoreServer {
  readonly #methods: Readonly<Record<StoreMethod, (...args: never[]) => Promise<unknown>>>;

  constructor(store: CounterStore, notes: Notes) {
    const { copies } = store;
    this.#methods = {
      reserve: store.reserve.bind(store),
      refund: store.refund.bind(store),
      // A buffer arrives as plain bytes.
      admit: (counters: readonly Counter[], people: Uint8Array) => store.admit(counters, asBuffer(people)),
      dismiss: (lease: LeaseStamp, dismissals: readonly (Omit<Dismissal, 'people'> & { readonly people: Uint8Array })[]) => store.dismiss(lease, dismissals.map((each) => ({ ...each, people: asBuffer(each.people) }))),
      usage: store.usage.bind(store),
      once: store.once.bind(store),
      subjectSecret: store.subjectSecret.bind(store),
      sharedTexts: store.sharedTexts.bind(store),
      shareText: store.shareText.bind(store),
      ping: store.ping.bind(store),
      readCopies: copies.read.bind(copies),
      putCopies: copies.put.bind(copies),
      dropCopies: copies.drop.bind(copies),
      putNote: notes.put.bind(notes),
      getNote: notes.get.bind(notes),
      dropNote: notes.drop.bind(notes),
    };
  }

  /** Answers together what was asked together. Never rejects. */
  answer(calls: readonly StoreCall[]): Promise<StoreAnswer[]> {
    return Promise.all(calls.map(async ({ id, method, args }): Promise<StoreAnswer> => {
      try {
        if (!METHODS.includes(method)) throw new RangeError('there is no such call');
        return { id, ok: true, value: await this.#methods[method](...(args as never[])) };
      } catch (error) {
        const fault = error instanceof StoreUnavailableError ? 'unavailable' : error instanceof RangeError ? 'range' : 'other';
        return { id, ok: false, fault, message: error instanceof Error ? error.message : String(error) };
      }
    }));
  }
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function faultOf({ fault, message }: Extract<StoreAnswer, { ok: false }>): Error {
  if (fault === 'unavailable') return new StoreUnavailableError(message);
  return fault === 'range' ? new RangeError(message) : new Error(message);
}
