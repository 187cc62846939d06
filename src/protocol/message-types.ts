/**
 * Message type bytes of the frontend/backend protocol 3.x (PostgreSQL documentation, "Message Formats";
 * `src/include/libpq/protocol.h`). Frontend and backend types are distinct TypeScript types: the same byte means
 * different things in the two directions (`D` is Describe or DataRow), and a mix-up must not compile.
 */

declare const frontend: unique symbol;
declare const backend: unique symbol;

export type FrontendType = number & { readonly [frontend]: true };
export type BackendType = number & { readonly [backend]: true };

const f = (letter: string): FrontendType => letter.charCodeAt(0) as FrontendType;
const b = (letter: string): BackendType => letter.charCodeAt(0) as BackendType;

/** Messages that a client sends. */
export const Frontend = {
  Bind: f('B'),
  Close: f('C'),
  CopyData: f('d'),
  CopyDone: f('c'),
  CopyFail: f('f'),
  Describe: f('D'),
  Execute: f('E'),
  Flush: f('H'),
  FunctionCall: f('F'),
  Parse: f('P'),
  /** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share one byte. */
  Password: f('p'),
  Query: f('Q'),
  Sync: f('S'),
  Terminate: f('X'),
} as const;

/** Messages that a server sends. */
export const Backend = {
  Authentication: b('R'),
  BackendKeyData: b('K'),
  BindComplete: b('2'),
  CloseComplete: b('3'),
  CommandComplete: b('C'),
  CopyBothResponse: b('W'),
  CopyData: b('d'),
  CopyDone: b('c'),
  CopyInResponse: b('G'),
  CopyOutResponse: b('H'),
  DataRow: b('D'),
  EmptyQueryResponse: b('I'),
  ErrorResponse: b('E'),
  FunctionCallResponse: b('V'),
  NegotiateProtocolVersion: b('v'),
  NoData: b('n'),
  NoticeResponse: b('N'),
  NotificationResponse: b('A'),
  ParameterDescription: b('t'),
  ParameterStatus: b('S'),
  ParseComplete: b('1'),
  PortalSuspended: b('s'),
  ReadyForQuery: b('Z'),
  RowDescription: b('T'),
} as const;

/** ReadyForQuery's transaction status: idle, in a transaction block, in a failed one. */
export type TransactionStatus = 'I' | 'T' | 'E';
