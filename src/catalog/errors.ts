/** The catalog has never been read, or the server that holds it cannot be reached. Statements cannot be judged, so they are not let through. */
export class CatalogUnavailableError extends Error {
  override readonly name = 'CatalogUnavailableError';
  readonly code = 'ROWGATE_CATALOG_UNAVAILABLE';
  /** SQLSTATE cannot_connect_now: the client may try again. */
  readonly sqlstate = '57P03';
  readonly database: string;

  constructor(database: string, reason: string, cause?: unknown) {
    super(`the catalog of database "${database}" is not available: ${reason}`, { cause });
    this.database = database;
  }
}
