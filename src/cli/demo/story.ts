/** What the demo tells. Nothing in it is taken for granted: each step looks at what came back and says so if it is not what was to be shown. */

import { MARKETING_FLAG_ROWS_AN_HOUR, SUPPORT_ROWS_A_STATEMENT, SUPPORT_ROWS_AN_HOUR } from './config-text.ts';
import { CUSTOMER_COUNT } from './customer-base.ts';
import { StaffSession, type OnRow, type Outcome } from './staff-session.ts';
import type { Terminal } from './terminal.ts';

export interface StoryParts {
  readonly terminal: Terminal;
  readonly postgresPort: number;
  readonly rowgatePort: number;
  readonly password: string;
  /** As the superuser, straight at PostgreSQL. */
  readonly ask: (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
}

export interface StoryResult {
  /** Customers that left by way of Rowgate with the support login, each counted once. */
  readonly taken: number;
  readonly directRows: number;
  readonly directSeconds: number;
  /** Steps that did not happen as told. */
  readonly failures: readonly string[];
}

export const grouped = (count: number): string => count.toLocaleString('en');

export class Story {
  readonly #parts: StoryParts;
  readonly #failures: string[] = [];
  /** Customer ids that the thief holds in his hands. */
  readonly #loot = new Set<number>();

  constructor(parts: StoryParts) {
    this.#parts = parts;
  }

  async tell(): Promise<StoryResult> {
    const { rowgatePort, password } = this.#parts;
    const direct = await this.#withoutRowgate();
    const agent = await StaffSession.open('agent', rowgatePort, password);
    try {
      await this.#honestWork(agent);
      await this.#theft(agent);
      await this.#afterwards(agent);
    } finally {
      await agent.close();
    }
    const analyst = await StaffSession.open('analyst', rowgatePort, password);
    try {
      await this.#campaign(analyst);
    } finally {
      await analyst.close();
    }
    return { taken: this.#loot.size, directRows: direct.rows, directSeconds: direct.seconds, failures: this.#failures };
  }

  async #withoutRowgate(): Promise<Outcome> {
    const { terminal, postgresPort, password } = this.#parts;
    terminal.step('Without Rowgate: one statement, straight at PostgreSQL');
    terminal.say('The support agent may read the customers: it is the job. PostgreSQL has no idea how many are too many.');
    const agent = await StaffSession.open('agent', postgresPort, password);
    try {
      const outcome = await this.#run(agent, 'COPY crm.customers TO STDOUT');
      this.#check(outcome.rows === CUSTOMER_COUNT, `${grouped(outcome.rows)} customers taken in ${outcome.seconds.toFixed(1)} s (${Math.round(outcome.bytes / 1e6)} MB). Nothing was hacked, no alarm was raised.`);
      return outcome;
    } finally {
      await agent.close();
    }
  }

  async #honestWork(agent: StaffSession): Promise<void> {
    const { terminal } = this.#parts;
    terminal.step('With Rowgate: a day at the help desk');
    terminal.say(`Same login, same SQL client, another port. The limits of "support": ${SUPPORT_ROWS_AN_HOUR} customers in any hour, ${SUPPORT_ROWS_A_STATEMENT} in one statement.`);
    const caller = await this.#run(agent, `SELECT * FROM crm.contacts WHERE msisdn = '+420790391234' OR id = 1200345`, this.#keepIds);
    this.#check(caller.refused === undefined && caller.rows >= 1, 'Somebody calls; the agent finds them.');
    const invoices = await this.#run(
      agent,
      `SELECT c.id, c.family_name, i.issued, i.amount_czk, i.paid FROM crm.customers c JOIN crm.invoices i ON i.customer_id = c.id WHERE c.id IN (SELECT customer_id FROM crm.invoices WHERE id IN (77, 78)) ORDER BY c.id, i.issued`,
      this.#keepIds,
    );
    this.#check(invoices.refused === undefined && invoices.rows >= 2, 'Two bills are looked into.');
    const report = await this.#run(agent, 'SELECT tariff, count(*) AS customers, round(avg(monthly_spend_czk)) AS avg_czk FROM crm.customers GROUP BY tariff ORDER BY 2 DESC');
    const counted = report.first.reduce((sum, row) => sum + Number(row[1]), 0);
    this.#check(report.refused === undefined && report.rows === 7 && counted > CUSTOMER_COUNT / 2, 'A report over all customers has 7 rows, and costs little more than them.');
  }

  async #theft(agent: StaffSession): Promise<void> {
    const { terminal } = this.#parts;
    terminal.step('Five ways to take the customer base: an export');
    const copy = await this.#run(agent, 'COPY crm.customers TO STDOUT (FORMAT csv)', this.#keepIds);
    this.#checkStopped(copy, '42501', 0);

    terminal.step('A copy to a table of his own, to fetch later without limits');
    const derived = await this.#run(agent, 'CREATE TABLE public.holiday_photos AS SELECT * FROM crm.customers', this.#keepIds);
    const [found] = await this.#parts.ask(`SELECT to_regclass('public.holiday_photos')`);
    this.#checkStopped(derived, '42501', 0, found?.[0] === null ? ' No table was made.' : undefined);

    terminal.step('All customers packed into one row: a row is a row?');
    const packed = await this.#run(agent, 'SELECT json_agg(c) FROM crm.customers c', this.#keepIds);
    this.#checkStopped(packed, '53400', 0);

    terminal.step('Just ask for everything');
    const everything = await this.#run(agent, 'SELECT * FROM crm.customers', this.#keepIds);
    this.#checkStopped(everything, '53400', SUPPORT_ROWS_A_STATEMENT);

    terminal.step('Page by page, small bites that no limit for a statement sees');
    const pages = await this.#pages(agent);
    this.#checkStopped(pages, '53400', SUPPORT_ROWS_AN_HOUR);
    this.#check(this.#loot.size <= SUPPORT_ROWS_AN_HOUR, `After five attempts and an honest day: ${grouped(this.#loot.size)} of ${grouped(CUSTOMER_COUNT)} customers. The limit holds across all of them, to the row.`);
  }

  /** Goes on behind the last customer that he has, until he is stopped. */
  async #pages(agent: StaffSession): Promise<Outcome> {
    const { terminal } = this.#parts;
    let last = SUPPORT_ROWS_A_STATEMENT;
    let total = 0;
    for (let page = 1; ; page += 1) {
      const sql = `SELECT id, given_name, family_name, msisdn FROM crm.customers WHERE id > ${last} ORDER BY id LIMIT 25`;
      terminal.sql(agent.name, sql);
      const outcome = await agent.run(sql, (row) => {
        last = Number(row[0]);
        this.#loot.add(last);
      });
      total += outcome.rows;
      if (outcome.refused === undefined && page <= SUPPORT_ROWS_AN_HOUR) {
        terminal.say(`${outcome.rows} rows`);
        continue;
      }
      if (outcome.rows > 0) terminal.say(`${outcome.rows} rows, then`);
      if (outcome.refused !== undefined) terminal.refusal(outcome.refused);
      return { ...outcome, rows: total };
    }
  }

  async #afterwards(agent: StaffSession): Promise<void> {
    this.#parts.terminal.step('The same session goes on with what is nobody’s secret');
    const tariffs = await this.#run(agent, 'SELECT * FROM tariffs ORDER BY price_czk LIMIT 3');
    this.#check(tariffs.refused === undefined && tariffs.rows === 3, 'Tariffs are not protected: no limit, no delay.');
  }

  async #campaign(analyst: StaffSession): Promise<void> {
    const { terminal } = this.#parts;
    terminal.step('Marketing takes a list for a campaign: delivered, and noticed');
    terminal.say(`Role "marketing" may take more; above ${MARKETING_FLAG_ROWS_AN_HOUR} in an hour somebody is told.`);
    const list = await this.#run(analyst, `SELECT * FROM crm.campaign WHERE tariff = 'Firma' LIMIT 600`);
    this.#check(list.refused === undefined && list.rows === 600, '600 rows delivered; the event is below.');
  }

  async #run(session: StaffSession, sql: string, onRow?: OnRow): Promise<Outcome> {
    const { terminal } = this.#parts;
    terminal.sql(session.name, sql);
    const outcome = await session.run(sql, onRow);
    if (outcome.columns.length > 1) terminal.table(outcome.columns, outcome.first, outcome.rows);
    if (outcome.refused !== undefined) terminal.refusal(outcome.refused);
    return outcome;
  }

  /** First column is an id, or a packed array of customers. */
  readonly #keepIds: OnRow = ([first]) => {
    if (first === null || first === undefined) return;
    const packed: readonly { readonly id: number }[] = first.startsWith('[') ? (JSON.parse(first) as { id: number }[]) : [{ id: Number.parseInt(first, 10) }];
    for (const { id } of packed) this.#loot.add(id);
  };

  #checkStopped(outcome: Outcome, sqlstate: string, mostRows: number, more: string | undefined = ''): void {
    const stopped = outcome.refused?.sqlstate === sqlstate && outcome.rows <= mostRows && more !== undefined;
    this.#check(stopped, `Stopped. Customers that arrived: ${grouped(outcome.rows)}.${more ?? ' But the copy was made.'}`);
  }

  #check(asTold: boolean, text: string): void {
    this.#parts.terminal.outcome(asTold, asTold ? text : `NOT AS TOLD: ${text}`);
    if (!asTold) this.#failures.push(text);
  }
}
