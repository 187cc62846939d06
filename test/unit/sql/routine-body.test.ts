import { describe, expect, it } from 'vitest';
import { createPostgresParser } from '../../../src/sql/postgres-parser.ts';
import { routineBody } from '../../../src/sql/routine-body.ts';
import { analyseText } from '../../../src/sql/analyse-text.ts';
import type { RoutineBody } from '../../../src/sql/facts.ts';

const parser = await createPostgresParser();
const plpgsql = (body: string, head = 'f()', returns = 'void'): RoutineBody => routineBody(`CREATE FUNCTION ${head} RETURNS ${returns} LANGUAGE plpgsql AS $x$ ${body} $x$`, parser);
const calls = (body: RoutineBody): string[] => body.statements.flatMap(({ facts }) => facts.functions.map(({ name }) => name)).sort();
const relations = (body: RoutineBody): string[] => body.statements.flatMap(({ facts }) => facts.relations.map(({ name, mode }) => `${mode} ${name}`)).sort();

describe('PL/pgSQL', () => {
  it.each([
    ['DECLARE v text := k(); BEGIN END'],
    ['DECLARE r record := k(); BEGIN END'],
    ['DECLARE r crm.customers = k(); BEGIN END'],
    ['DECLARE r crm.customers DEFAULT k(); BEGIN END'],
    ['DECLARE r CONSTANT mood NOT NULL := k(); BEGIN END'],
    ['<<l>> DECLARE a int; /* c */ "R x" public.mood[] := k(); BEGIN END'],
    ['DECLARE r crm.customers%ROWTYPE; BEGIN r.name := k(); END'],
    ['DECLARE r crm.customers%ROWTYPE := k(); BEGIN r.name := 1; END'],
    ['DECLARE a int[]; BEGIN a[k()] := 1; END'],
    ['DECLARE a int[]; BEGIN a[1] := k(); END'],
    ['DECLARE c CURSOR FOR SELECT k(); BEGIN END'],
    ['BEGIN PERFORM k(); END'],
    ['BEGIN IF k() THEN NULL; END IF; END'],
    ['BEGIN IF true THEN NULL; ELSIF k() THEN NULL; END IF; END'],
    ['BEGIN IF true THEN NULL; ELSE PERFORM k(); END IF; END'],
    ['BEGIN CASE k() WHEN 1 THEN NULL; END CASE; END'],
    ['BEGIN CASE 1 WHEN 2, k() THEN NULL; END CASE; END'],
    ['BEGIN CASE WHEN k() THEN NULL; END CASE; END'],
    ['BEGIN FOR i IN k()..2 LOOP NULL; END LOOP; END'],
    ['BEGIN FOR i IN 1..k() LOOP NULL; END LOOP; END'],
    ['BEGIN FOR i IN REVERSE 1..2 BY k() LOOP NULL; END LOOP; END'],
    ['DECLARE r record; BEGIN FOR r IN SELECT k() LOOP NULL; END LOOP; END'],
    ['DECLARE r record; c CURSOR (a int) FOR SELECT a; BEGIN FOR r IN c(k()) LOOP NULL; END LOOP; END'],
    ['DECLARE v int; BEGIN FOREACH v IN ARRAY k() LOOP NULL; END LOOP; END'],
    ['BEGIN WHILE k() LOOP NULL; END LOOP; END'],
    ['BEGIN LOOP EXIT WHEN k(); END LOOP; END'],
    ['BEGIN LOOP CONTINUE WHEN k(); END LOOP; END'],
    [`BEGIN RAISE NOTICE '%', k(); END`],
    [`BEGIN RAISE EXCEPTION USING MESSAGE = k(); END`],
    ['BEGIN ASSERT k(); END'],
    [`BEGIN ASSERT true, k(); END`],
    ['BEGIN INSERT INTO t VALUES (k()); END'],
    ['DECLARE c refcursor; BEGIN OPEN c FOR SELECT k(); END'],
    ['DECLARE c CURSOR (a int) FOR SELECT a; BEGIN OPEN c(k()); END'],
    ['DECLARE c refcursor; r record; BEGIN FETCH RELATIVE k() FROM c INTO r; END'],
    ['BEGIN CALL k(); END'],
    ['BEGIN NULL; EXCEPTION WHEN others THEN PERFORM k(); END'],
    ['BEGIN BEGIN PERFORM k(); END; END'],
    [`BEGIN EXECUTE 'SELECT k()'; END`],
  ])('finds the call in %s', (body) => {
    const read = plpgsql(body);
    expect(read.opaque).toEqual([]);
    expect(calls(read)).toContain('k');
  });

  it.each([
    ['BEGIN RETURN k(); END', 'int'], ['BEGIN RETURN NEXT k(); END', 'SETOF int'], ['BEGIN RETURN QUERY SELECT k(); END', 'SETOF int'], ['BEGIN RETURN (k(), 2); END', 'record'],
    ['BEGIN NEW.a := k(); RETURN NEW; END', 'trigger'],
  ])('finds the call in %s of a function that returns %s', (body, returns) => {
    expect(calls(plpgsql(body, 'f()', returns))).toContain('k');
  });

  it.each([
    ['BEGIN EXECUTE q; END'], [`BEGIN EXECUTE 'SELECT ' || q; END`], [`BEGIN EXECUTE format('SELECT %s', q); END`],
    ['DECLARE r record; BEGIN FOR r IN EXECUTE q LOOP NULL; END LOOP; END'], ['DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE q; END'],
  ])('is opaque where it runs dynamic SQL: %s', (body) => {
    expect(plpgsql(body, 'f(q text)').opaque).toEqual(['runs dynamic SQL']);
  });

  it('is opaque where its grammar rejects it', () => {
    expect(plpgsql('BEGIN this is not code; END').opaque).toHaveLength(1);
    expect(plpgsql('BEGIN PERFORM U&"\\0061"(); END').opaque).toHaveLength(1);
  });

  it('reads relations, and what is written to', () => {
    expect(relations(plpgsql('DECLARE v text; BEGIN SELECT email INTO v FROM crm.customers; INSERT INTO log VALUES (v); END'))).toEqual(['read customers', 'write log']);
  });

  it('tells which variables a statement names and fills', () => {
    const insert = (body: string, head = 'f(a int, b text)', returns = 'void'): readonly string[] =>
      plpgsql(body, head, returns).statements.find(({ facts }) => facts.kind === 'insert')?.mentions ?? ['none'];
    expect(insert('BEGIN INSERT INTO log VALUES (now(), current_user); END')).toEqual([]);
    expect(insert('BEGIN INSERT INTO log VALUES (a); END')).toEqual(['a']);
    expect(insert('BEGIN INSERT INTO log VALUES ($1); END')).toEqual(['$']);
    expect(insert('BEGIN INSERT INTO log VALUES (F.A); END')).toEqual(['a']);
    expect(insert('DECLARE "V" int; BEGIN INSERT INTO log VALUES ("V"); END')).toEqual(['V']);
    expect(insert('BEGIN NULL; EXCEPTION WHEN others THEN INSERT INTO log VALUES (SQLERRM); END')).toEqual(['sqlerrm']);
    expect(insert('BEGIN INSERT INTO log VALUES (TG_OP, TG_TABLE_NAME); RETURN NEW; END', 'f()', 'trigger')).toEqual([]);
    expect(insert('BEGIN INSERT INTO log SELECT NEW.*; RETURN NEW; END', 'f()', 'trigger')).toEqual(['new']);
    const assigns = (body: string, returns = 'void'): readonly string[] => plpgsql(`DECLARE v int; w int; r record; BEGIN ${body} END`, 'f()', returns).statements[0]?.assigns ?? ['none'];
    expect(assigns('v := 1;')).toEqual(['v']);
    expect(assigns('r.x := 1;')).toEqual(['r']);
    expect(assigns('SELECT 1, 2 INTO v, w;')).toEqual(['v', 'w']);
    expect(assigns('SELECT 1 INTO r;')).toEqual(['r']);
    expect(assigns('FOR r IN SELECT 1 LOOP NULL; END LOOP;')).toEqual(['r']);
    expect(assigns('FOREACH v IN ARRAY x LOOP NULL; END LOOP;')).toEqual(['v']);
    expect(assigns('INSERT INTO t VALUES (1) RETURNING a INTO w;')).toEqual(['w']);
    expect(assigns('RETURN 1;', 'int')).toEqual([]);
    expect(plpgsql('DECLARE r record := k(); BEGIN END').statements[0]?.assigns).toEqual(['r']);
    expect(plpgsql('DECLARE v int := k(); BEGIN END').statements[0]?.assigns).toEqual(['v']);
  });

  it('tells what is filled from elsewhere', () => {
    expect(plpgsql('DECLARE c CURSOR FOR SELECT 1; v int; BEGIN OPEN c; FETCH c INTO v; END').filled).toEqual(['v']);
    expect(plpgsql('DECLARE v text; BEGIN NULL; EXCEPTION WHEN others THEN GET STACKED DIAGNOSTICS v = MESSAGE_TEXT; END').filled).toContain('v');
    expect(plpgsql('DECLARE v text; BEGIN EXECUTE q INTO v; END', 'f(q text)').filled).toContain('v');
    expect(plpgsql('DECLARE r record; BEGIN r := NEW; RETURN r; END', 'f()', 'trigger').filled).toContain('*row*');
  });

  it('tells what goes into the row of a trigger', () => {
    const into = (body: string): readonly boolean[] => plpgsql(body, 'f()', 'trigger').statements.map(({ assigns }) => assigns.includes('*row*'));
    expect(into('BEGIN NEW.a := now(); RETURN NEW; END')).toEqual([true]);
    expect(into('DECLARE v int; BEGIN v := 1; RETURN NEW; END')).toEqual([false]);
    expect(into('BEGIN SELECT 1 INTO NEW.a; RETURN NEW; END')).toEqual([true]);
    expect(into('BEGIN RETURN ROW(1); END')).toEqual([true]);
  });

  it('knows loops and cursors', () => {
    expect(plpgsql('BEGIN PERFORM 1; END')).toMatchObject({ loops: false, opensCursors: false });
    expect(plpgsql('BEGIN LOOP EXIT; END LOOP; END').loops).toBe(true);
    expect(plpgsql('DECLARE c refcursor; BEGIN OPEN c FOR SELECT 1; END').opensCursors).toBe(true);
  });
});

describe('SQL', () => {
  const read = (text: string): RoutineBody => routineBody(text, parser);

  it('reads a body that is text, and one that is kept parsed', () => {
    for (const text of [
      `CREATE FUNCTION f(a int) RETURNS text LANGUAGE sql AS $$ INSERT INTO log VALUES (a); SELECT k() FROM crm.customers $$`,
      `CREATE FUNCTION f(a int) RETURNS text LANGUAGE sql BEGIN ATOMIC INSERT INTO log VALUES (a); SELECT k() FROM crm.customers; END`,
    ]) {
      expect(relations(read(text))).toEqual(['read customers', 'write log']);
      expect(calls(read(text))).toEqual(['k']);
      expect(read(text).opaque).toEqual([]);
    }
    expect(calls(read('CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN k()'))).toEqual(['k']);
  });

  it('reads default values of arguments, and the types of arguments', () => {
    const body = read(`CREATE FUNCTION f(a mood DEFAULT k()) RETURNS public.other LANGUAGE sql AS 'SELECT 1'`);
    expect(calls(body)).toEqual(['k']);
    expect(body.types.map(({ name }) => name)).toEqual(['mood', 'other']);
  });

  it('follows the settings of the function', () => {
    expect(read(`CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path TO 'crm', 'pg_temp' AS 'SELECT 1'`)).toMatchObject({ searchPath: ['crm', 'pg_temp'], opaque: [] });
    expect(read(`CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path TO '' AS 'SELECT 1'`).searchPath).toEqual([]);
    expect(read(`CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path TO "$user" AS 'SELECT 1'`).searchPath).toBeUndefined();
    expect(read(`CREATE FUNCTION f() RETURNS int LANGUAGE sql SET standard_conforming_strings TO off AS 'SELECT 1'`).opaque).toHaveLength(1);
    expect(read(`CREATE FUNCTION f() RETURNS int LANGUAGE sql SET work_mem TO '1MB' AS 'SELECT 1'`).opaque).toEqual([]);
  });

  it.each([
    [`CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'x'`], [`CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'lib', 'sym'`],
    [`CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_read_file'`], [`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELEC 1'`], ['SELECT 1'],
    [`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS '${'x'.repeat(300_000)}'`],
  ])('leaves %.60s opaque', (text) => {
    expect(read(text).opaque).toHaveLength(1);
  });
});

describe('DO', () => {
  it('has a body like a function', () => {
    const analysis = analyseText(`DO $$ BEGIN CREATE TABLE x AS SELECT * FROM crm.customers; END $$`, parser);
    const body = analysis.kind === 'statements' ? analysis.statements[0]?.body : undefined;
    expect(body?.statements[0]?.facts.derives).toBe(true);
    expect(body?.opaque).toEqual([]);
  });
});
