/**
 * Follows one chain, line by line, and names what does not fit: a record that was changed, removed, put in or moved. Knows nothing of files.
 *
 * After a record that does not fit, its own number and MAC are taken for the next comparison, so that one change is one finding. Whether the odd
 * record was changed or does not belong there at all only the line after it can tell: it is held back until then.
 */

import { GENESIS_MAC, MacMaker, NO_KEY_ID, type ChainHead } from './chain.ts';
import type { AuditOpen, AuditPruned, AuditRecord } from './events.ts';
import { MAC_TAIL_CHARS } from './record-line.ts';

export interface Place {
  readonly file: string;
  readonly line: number;
}

export type FindingKind = 'changed' | 'removed' | 'inserted' | 'moved' | 'repeated' | 'no_record' | 'unsigned' | 'unknown_key' | 'beginning_missing' | 'end_missing' | 'head_differs';

export interface Finding extends Place {
  readonly kind: FindingKind;
  readonly seq: number | undefined;
  readonly message: string;
}

/** Digest and length of a line that is no record. */
export interface OddLine extends Place {
  readonly bytes: number;
  readonly sha256: string;
}

interface Held {
  readonly line: Buffer;
  readonly frame: ChainHead;
  readonly place: Place;
}

export interface ChainSummary {
  readonly chain: string;
  readonly records: number;
  readonly firstSeq: number;
  readonly last: ChainHead;
  readonly firstTime: string;
  readonly lastTime: string;
  /** Ids of the keys that sealed it, in order. */
  readonly keyIds: readonly string[];
  /** Records that no key sealed. */
  readonly unsigned: number;
}

/** Of records that were found out of place, so that their right place can be recognised. */
const MAX_STRAYS = 64;
const CLOSING_BRACE = 0x7d;
/** Number, chain, time and writer, and the event's name behind them. */
const FRONT_CHARS = 220;

export class ChainVerifier {
  readonly #chain: string;
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #report: (finding: Finding) => void;
  readonly #expectedHead: ChainHead | undefined;
  readonly #makers = new Map<string, MacMaker>();
  readonly #keyIds: string[] = [];
  #keyId: string | undefined;
  #last: ChainHead | undefined;
  #lastPlace: Place = { file: '', line: 0 };
  #held: Held | undefined;
  readonly #strays = new Map<number, Held>();
  #records = 0;
  #unsigned = 0;
  #firstSeq = 0;
  #firstTime = '';
  #lastTime = '';
  #firstPlace: Place = { file: '', line: 0 };
  /** What the log itself took away after its time: the last record of the last such file. */
  #pruned: { readonly seq: number; readonly mac: string } | undefined;
  #beginsBehind: { readonly seq: number; readonly mac: string } | undefined;
  #odd: OddLine | undefined;
  #headSeen = false;

  constructor(chain: string, options: { readonly keys: ReadonlyMap<string, Buffer>; readonly expectedHead: ChainHead | undefined; readonly report: (finding: Finding) => void }) {
    this.#chain = chain;
    this.#keys = options.keys;
    this.#report = options.report;
    this.#expectedHead = options.expectedHead;
  }

  /** A line that is no record stands before the next one. Only a torn line that the next record tells of may. */
  oddLine(odd: OddLine): void {
    this.#settleOdd(undefined);
    this.#odd = odd;
  }

  /** `line` is valid during the call only. */
  record(line: Buffer, frame: ChainHead, place: Place): void {
    const front = line.toString('latin1', 0, FRONT_CHARS);
    const told = front.includes('"event":"audit_') ? parse(line) : undefined;
    const opening = told?.event === 'audit_open' ? told : undefined;
    this.#settleOdd(opening);
    this.#take(line, frame, place, opening);
    if (told?.event === 'audit_pruned') this.#notePruned(told);
    const time = /"time":"([^"]{20,30})"/.exec(front)?.[1] ?? '';
    if (this.#records === 0) this.#firstTime = time;
    this.#lastTime = time;
    this.#records += 1;
    if (this.#keyId === NO_KEY_ID) this.#unsigned += 1;
  }

  /** Call at the end. `partial`: files before and behind these may exist. */
  finish(partial: boolean): ChainSummary {
    this.#settleOdd(undefined);
    this.#settleHeld();
    for (const { place, frame } of this.#strays.values()) this.#say('inserted', place, frame.seq, 'no record of the chain: its neighbours fit together without it');
    const last = this.#last as ChainHead;
    const signed = this.#keyIds.some((id) => id !== NO_KEY_ID);
    if (this.#keys.size > 0 && !signed && this.#unsigned > 0) this.#say('unsigned', this.#firstPlace, this.#firstSeq, 'no record of this chain is sealed with a key, and a key was given');
    const before = this.#beginsBehind;
    const pruned = this.#pruned;
    const explained = before !== undefined && pruned !== undefined && pruned.seq === before.seq && pruned.mac === before.mac;
    if (this.#firstSeq !== 1 && !explained && !partial) {
      this.#say('beginning_missing', this.#firstPlace, this.#firstSeq, `the records 1 to ${this.#firstSeq - 1} are in none of the files (--partial if they are elsewhere)`);
    }
    this.#checkHead(last);
    return {
      chain: this.#chain, records: this.#records, firstSeq: this.#firstSeq, last, firstTime: this.#firstTime, lastTime: this.#lastTime,
      keyIds: this.#keyIds, unsigned: this.#unsigned,
    };
  }

  #checkHead(last: ChainHead): void {
    const head = this.#expectedHead;
    if (head === undefined || this.#headSeen) return;
    if (last.seq < head.seq) this.#say('end_missing', this.#lastPlace, last.seq, `the end is cut off: the records ${last.seq + 1} to ${head.seq} are missing`);
    else this.#say('head_differs', this.#lastPlace, head.seq, 'the record of this number is not the one that was known elsewhere');
  }

  #take(line: Buffer, frame: ChainHead, place: Place, opening: AuditOpen | undefined): void {
    const held = this.#held;
    if (this.#last === undefined) {
      this.#begin(line, frame, place, opening);
      return;
    }
    if (held !== undefined) {
      if (this.#fits(this.#last, line, frame, opening)) {
        // What was held is not between its neighbours: it was put in, or belongs elsewhere.
        this.#held = undefined;
        this.#stray(held);
        this.#advance(frame, place, opening);
        return;
      }
      this.#settleHeld();
    }
    this.#fillFromStrays(frame);
    if (this.#fits(this.#last, line, frame, opening)) this.#advance(frame, place, opening);
    else if (frame.seq <= this.#last.seq) this.#say('repeated', place, frame.seq, `stands behind record ${this.#last.seq}: moved, or put in`);
    else {
      this.#useKey(opening, place, frame.seq);
      this.#held = { line: Buffer.from(line), frame, place };
    }
  }

  #begin(line: Buffer, frame: ChainHead, place: Place, opening: AuditOpen | undefined): void {
    this.#firstSeq = frame.seq;
    this.#firstPlace = place;
    this.#useKey(opening, place, frame.seq);
    // Only a record that opens a file says what it follows; the first of a chain follows nothing.
    const before = frame.seq === 1 ? { chain: this.#chain, seq: 0, mac: GENESIS_MAC } : opening === undefined ? undefined : { chain: this.#chain, seq: opening.previous_seq, mac: opening.previous_mac };
    if (before !== undefined) {
      this.#beginsBehind = before;
      if (!this.#fits(before, line, frame, opening)) this.#say('changed', place, frame.seq, 'the record does not match its MAC');
    }
    this.#advance(frame, place, undefined);
  }

  /** A suspect that nothing contradicted: the one who follows goes by its number. */
  #settleHeld(): void {
    const held = this.#held;
    const last = this.#last;
    if (held === undefined || last === undefined) return;
    this.#held = undefined;
    if (held.frame.seq === last.seq + 1) this.#say('changed', held.place, held.frame.seq, 'the record does not match its MAC, or the one before it was changed together with its MAC');
    else {
      const missing = held.frame.seq === last.seq + 2 ? `record ${last.seq + 1} is` : `the records ${last.seq + 1} to ${held.frame.seq - 1} are`;
      this.#say('removed', held.place, held.frame.seq, `${missing} missing before this one (whose own content cannot be checked without them)`);
    }
    this.#last = held.frame;
    this.#lastPlace = held.place;
  }

  #stray(held: Held): void {
    if (held.frame.seq > (this.#last as ChainHead).seq + 1 && this.#strays.size < MAX_STRAYS) this.#strays.set(held.frame.seq, held);
    else this.#say('inserted', held.place, held.frame.seq, 'no record of the chain: its neighbours fit together without it');
  }

  /** Records met too early whose place is here. */
  #fillFromStrays(next: ChainHead): void {
    for (;;) {
      const last = this.#last as ChainHead;
      const stray = this.#strays.get(last.seq + 1);
      if (stray === undefined || next.seq === last.seq + 1) return;
      this.#strays.delete(last.seq + 1);
      if (this.#fits(last, stray.line, stray.frame, undefined)) {
        this.#say('moved', stray.place, stray.frame.seq, `out of order: belongs behind record ${last.seq} in ${this.#lastPlace.file}:${this.#lastPlace.line}`);
        this.#last = stray.frame;
      } else this.#say('inserted', stray.place, stray.frame.seq, 'no record of the chain');
    }
  }

  #advance(frame: ChainHead, place: Place, opening: AuditOpen | undefined): void {
    if (opening !== undefined) this.#useKey(opening, place, frame.seq);
    this.#last = frame;
    this.#lastPlace = place;
    const head = this.#expectedHead;
    if (head !== undefined && frame.seq === head.seq && frame.mac === head.mac) this.#headSeen = true;
  }

  #fits(before: ChainHead, line: Buffer, frame: ChainHead, opening: AuditOpen | undefined): boolean {
    if (frame.seq !== before.seq + 1) return false;
    const maker = this.#maker(opening?.key_id ?? this.#keyId ?? NO_KEY_ID);
    if (maker === undefined) return true; // Told of once, by `#useKey`.
    const bytes = line.length - MAC_TAIL_CHARS + 1;
    maker.reserve(bytes);
    line.copy(maker.buffer, maker.lineAt, 0, bytes - 1);
    maker.buffer[maker.lineAt + bytes - 1] = CLOSING_BRACE;
    return maker.mac(before.mac, bytes) === frame.mac;
  }

  #maker(keyId: string): MacMaker | undefined {
    let maker = this.#makers.get(keyId);
    if (maker === undefined) {
      const key = this.#keys.get(keyId);
      if (key === undefined && keyId !== NO_KEY_ID) return undefined;
      maker = new MacMaker(key);
      this.#makers.set(keyId, maker);
    }
    return maker;
  }

  #useKey(opening: AuditOpen | undefined, place: Place, seq: number): void {
    // A file that begins in the middle does not say which key sealed it; the newest of those given is the best guess.
    const id = opening?.key_id ?? this.#keyId ?? [...this.#keys.keys()][0] ?? NO_KEY_ID;
    if (id === this.#keyId) return;
    if (id === NO_KEY_ID && this.#keyId !== undefined) this.#say('unsigned', place, seq, 'from here on nothing is sealed with a key, though it was before');
    if (this.#maker(id) === undefined) this.#say('unknown_key', place, seq, `sealed with the key ${id} from here on, which was not given: what follows cannot be checked`);
    this.#keyId = id;
    this.#keyIds.push(id);
  }

  #settleOdd(opening: AuditOpen | undefined): void {
    const odd = this.#odd;
    this.#odd = undefined;
    if (odd === undefined || (opening?.torn_bytes === odd.bytes && opening.torn_sha256 === odd.sha256)) return;
    this.#say('no_record', odd, undefined, `${odd.bytes} bytes that are no record: a record made unreadable, or something put in`);
  }

  #notePruned({ last_seq: seq, last_mac: mac }: AuditPruned): void {
    if (this.#pruned === undefined || seq > this.#pruned.seq) this.#pruned = { seq, mac };
  }

  #say(kind: FindingKind, { file, line }: Place, seq: number | undefined, message: string): void {
    this.#report({ kind, file, line, seq, message });
  }
}

function parse(line: Buffer): AuditRecord | undefined {
  try {
    return JSON.parse(line.toString('utf8')) as AuditRecord;
  } catch {
    return undefined;
  }
}
