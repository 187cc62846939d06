import { Frontend, type FrontendType } from './message-types.ts';

/** `MAX_STARTUP_PACKET_LENGTH` (src/include/libpq/pqcomm.h): the largest startup packet that a server accepts. */
export const MAX_STARTUP_PACKET_BYTES = 10_000;
/** The server holds these bounds against the length field, which counts itself (`pq_getmessage` in src/backend/libpq/pqcomm.c). */
const LENGTH_FIELD_BYTES = 4;
/** `PQ_SMALL_MESSAGE_LIMIT` (src/include/libpq/libpq.h), as a body's size. */
export const SMALL_MESSAGE_BYTES = 10_000 - LENGTH_FIELD_BYTES;
/** `PQ_LARGE_MESSAGE_LIMIT` = `MaxAllocSize - 1` (src/include/libpq/libpq.h, utils/memutils.h), as a body's size. */
export const LARGE_MESSAGE_BYTES = 0x3fff_fffe - LENGTH_FIELD_BYTES;
/** `PG_MAX_AUTH_TOKEN_LENGTH` (src/include/libpq/auth.h): the largest password or SASL/GSS message, as a body's size. */
export const AUTH_MESSAGE_BYTES = 65_535 - LENGTH_FIELD_BYTES;
/** `PG_MAX_SASL_MESSAGE_LENGTH` (src/include/libpq/sasl.h), as a body's size. */
export const SASL_MESSAGE_BYTES = 1024 - LENGTH_FIELD_BYTES;
/** Names of statements and portals are compared up to `NAMEDATALEN - 1` bytes (dynahash string keys). */
export const NAME_BYTES = 63;
/** The most that is kept of one server message that must be read whole (an error, a row description). */
export const COLLECTED_MESSAGE_BYTES = 8 * 1024 * 1024;
/** ReadyForQuery: Byte1 transaction status. */
export const READY_BODY_BYTES = 1;

/**
 * The largest body that the server accepts for a client message of this type (`SocketBackend` in
 * src/backend/tcop/postgres.c); undefined if it is no message of the protocol.
 */
export function maxFrontendBodyBytes(type: FrontendType): number | undefined {
  switch (type) {
    case Frontend.Query:
    case Frontend.Parse:
    case Frontend.Bind:
    case Frontend.FunctionCall:
    case Frontend.CopyData:
      return LARGE_MESSAGE_BYTES;
    case Frontend.Close:
    case Frontend.Describe:
    case Frontend.Execute:
    case Frontend.Flush:
    case Frontend.Sync:
    case Frontend.Terminate:
    case Frontend.CopyDone:
    case Frontend.CopyFail:
      return SMALL_MESSAGE_BYTES;
    case Frontend.Password:
      return AUTH_MESSAGE_BYTES;
    default:
      return undefined;
  }
}
