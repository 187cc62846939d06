import io
import select
import threading
import time

import psycopg2
import psycopg2.extras

from steps import schema, step

connection = psycopg2.connect("")
connection.autocommit = True


def run(sql, values=None, on=connection):
    with on.cursor() as cursor:
        cursor.execute(sql, values)
        return [cursor.statusmessage, [tuple(each)[:2] for each in cursor.description], cursor.fetchall()] if cursor.description else cursor.statusmessage


step("schema", lambda: run(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path TO {schema}, public"))
step("notices", lambda: [run("DROP TABLE IF EXISTS never_was"), connection.notices[-1]])
step("types", lambda: run("SELECT 1, 2::bigint, 1.5::numeric, true, 'x'::text, '\\x00ff'::bytea, '2020-01-01'::date, now() IS NULL, ARRAY[1,2], '{\"a\":1}'::jsonb, '1 day'::interval, NULL"))
step("several statements", lambda: run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 500) g; SELECT count(*) FROM t"))
step("syntax error", lambda: run("SELEC 1"))
step("error with its position", lambda: run("SELECT nothing FROM t"))
step("unique violation", lambda: run("INSERT INTO t VALUES (1, 'again')"))
step("execute_values", lambda: psycopg2.extras.execute_values(connection.cursor(), "INSERT INTO t VALUES %s", [(i, f"x{i}") for i in range(1000, 1300)]))
step("execute_batch", lambda: psycopg2.extras.execute_batch(connection.cursor(), "UPDATE t SET v = %s WHERE id = %s", [("y", i) for i in range(1, 50)]))


def transaction():
    connection.autocommit = False
    out = []
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (9000, 'in')")
            cursor.execute("SAVEPOINT s")
            try:
                cursor.execute("INSERT INTO t VALUES (9000, 'again')")
            except psycopg2.Error as error:
                out.append(error.pgcode)
            try:
                cursor.execute("SELECT 1")
            except psycopg2.Error as error:
                out.append(error.pgcode)
            cursor.execute("ROLLBACK TO s")
            out.append(connection.info.transaction_status)
    finally:
        connection.autocommit = True
    return out + [run("SELECT * FROM t WHERE id = 9000")]


step("transaction with a savepoint", transaction)


def named_cursor():
    connection.autocommit = False
    try:
        with connection, connection.cursor("c") as cursor:
            cursor.itersize = 50
            cursor.execute("SELECT * FROM t WHERE id < 400 ORDER BY id")
            return [cursor.fetchmany(3), len(list(cursor))]
    finally:
        connection.autocommit = True


step("server-side cursor", named_cursor)
step("scrollable cursor", lambda: [run("BEGIN"), run("DECLARE s SCROLL CURSOR FOR SELECT id FROM t ORDER BY id"), run("FETCH LAST s"), run("FETCH FIRST s"), run("COMMIT")])


def copy_in():
    connection.cursor().copy_expert("COPY t FROM STDIN WITH (FORMAT csv)", io.StringIO("".join(f'{i},"a ""b"" {i}"\n' for i in range(5000, 6000))))
    return run("SELECT count(*) FROM t")


def copy_out():
    out = io.StringIO()
    connection.cursor().copy_expert("COPY (SELECT * FROM t WHERE id > 4990 ORDER BY id) TO STDOUT", out)
    return out.getvalue()


step("copy in", copy_in)
step("copy out", copy_out)
step("copy that fails", lambda: connection.cursor().copy_expert("COPY t FROM STDIN", io.StringIO("1\t2\t3\n")))
step("after the failed copy", lambda: run("SELECT 1"))


def notify():
    run(f"LISTEN {schema}_py")
    run(f"NOTIFY {schema}_py, 'hello'")
    if not connection.notifies:
        select.select([connection], [], [], 10)
        connection.poll()
    return [(each.channel, each.payload) for each in connection.notifies]


step("notifications", notify)


def cancel():
    threading.Timer(0.3, connection.cancel).start()
    return run("SELECT pg_sleep(20)")


step("cancel", cancel)
step("after the cancel", lambda: (time.sleep(0.2), run("SELECT 1"))[1])
step("prepare and execute", lambda: [run("PREPARE p (int) AS SELECT v FROM t WHERE id = $1"), run("EXECUTE p (3)"), run("DEALLOCATE p")])


def large_object():
    connection.autocommit = False
    try:
        with connection:
            lo = connection.lobject(0, "wb")
            oid = lo.oid
            lo.write(b"large " * 1000)
            lo.close()
            lo = connection.lobject(oid, "rb")
            lo.seek(3)
            data = lo.read(9)
            lo.unlink()
            return data
    finally:
        connection.autocommit = True


step("large objects", large_object)
step("parameters", lambda: [connection.get_parameter_status(name) for name in ("server_version", "client_encoding", "DateStyle", "integer_datetimes", "standard_conforming_strings")])
step("encoding", lambda: [connection.set_client_encoding("UTF8"), run("SELECT 'žluťoučký'")])
step("isolation", lambda: [connection.set_session(isolation_level="SERIALIZABLE", readonly=True), run("SELECT 1"), connection.set_session(isolation_level="DEFAULT", readonly=False)])
step("one customer", lambda: run("SELECT * FROM crm.customers WHERE id = %s", (11,)))
step("reset", lambda: connection.reset())
for name, dsn in {"wrong password": "password=wrong", "unknown database": "dbname=no_such_database", "unknown user": "user=nobody_here", "bad option": "options='-c no_such=1'"}.items():
    step(name, lambda dsn=dsn: psycopg2.connect(dsn))
step("clean up", lambda: run(f"DROP SCHEMA {schema} CASCADE"))
step("close", connection.close)
