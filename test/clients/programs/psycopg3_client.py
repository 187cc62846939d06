import asyncio
import threading

import psycopg

from steps import astep, schema, step

connection = psycopg.connect("", autocommit=True)
notices = []
connection.add_notice_handler(lambda diag: notices.append([diag.severity, diag.sqlstate, diag.message_primary]))


def run(sql, values=None, **options):
    cursor = connection.execute(sql, values, **options)
    return [cursor.statusmessage, [(c.name, c.type_code) for c in cursor.description], cursor.fetchall()] if cursor.description else cursor.statusmessage


step("schema", lambda: [run(f"DROP SCHEMA IF EXISTS {schema} CASCADE"), run(f"CREATE SCHEMA {schema}"), run(f"SET search_path TO {schema}, public")])
step("notices", lambda: [run("DROP TABLE IF EXISTS never_was"), notices])
step("table", lambda: [run("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric)"), run("INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 300) g")])
step("parameters", lambda: run("SELECT %s::int, %s::text, %s::numeric, %s::jsonb, %s::bytea", (1, "x", "1.5", '{"a": 1}', b"\x00\xff")))
step("binary", lambda: run("SELECT %b::int, %b::text, 1.5::float8, '{1,2}'::int[]", (1, "x"), binary=True))
step("prepared after five", lambda: [run("SELECT v FROM t WHERE id = %s", (i,)) for i in range(1, 12)])
step("prepared at once", lambda: run("SELECT v FROM t WHERE id = %s", (3,), prepare=True))
step("several statements", lambda: run("SELECT 1; SELECT 2"))
step("error with its position", lambda: run("SELECT nothing FROM t WHERE id = %s", (1,)))
step("violation", lambda: run("INSERT INTO t VALUES (%s, %s)", (1, "again")))
step("stream row by row", lambda: sum(row[0] for row in connection.cursor().stream("SELECT id FROM t WHERE id < %s", (200,))))


def pipeline():
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int, v FROM t WHERE id = %s", (i, i)) for i in range(1, 60)]
        insert = connection.execute("INSERT INTO t VALUES (%s, %s) RETURNING id", (5000, "piped"))
    return [each.fetchone() for each in cursors] + [insert.fetchone()]


def failing_pipeline():
    out = []
    try:
        with connection.pipeline() as pipe:
            connection.execute("INSERT INTO t VALUES (6000, 'first')")
            connection.execute("INSERT INTO t VALUES (6000, 'again')")
            connection.execute("INSERT INTO t VALUES (6001, 'after')")
            pipe.sync()
            connection.execute("INSERT INTO t VALUES (6002, 'behind')")
    except psycopg.Error as error:
        out.append(error.sqlstate)
    return out + [run("SELECT id FROM t WHERE id >= 6000 ORDER BY id")]


def pipelined_transaction():
    with connection.pipeline(), connection.transaction():
        connection.execute("INSERT INTO t VALUES (7000, 'a')")
        with connection.transaction():
            connection.execute("UPDATE t SET v = 'b' WHERE id = 7000")
        cursor = connection.execute("SELECT v FROM t WHERE id = 7000")
    return cursor.fetchall()


step("pipeline", pipeline)
step("pipeline with an error", failing_pipeline)
step("pipeline with a transaction", pipelined_transaction)
step("executemany", lambda: connection.cursor().executemany("INSERT INTO t VALUES (%s, %s)", [(8000 + i, "m") for i in range(200)]))


def nested():
    out = []
    with connection.transaction():
        connection.execute("INSERT INTO t VALUES (9000, 'x')")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO t VALUES (9000, 'y')")
        except psycopg.Error as error:
            out.append(error.sqlstate)
        out.append(str(connection.info.transaction_status))
    return out


step("nested transactions", nested)


def server_cursor():
    with connection.transaction(), connection.cursor("c", scrollable=True) as cursor:
        cursor.execute("SELECT id FROM t ORDER BY id")
        first = cursor.fetchmany(5)
        cursor.scroll(10)
        return [first, cursor.fetchone(), len(cursor.fetchall())]


def copy():
    with connection.cursor().copy("COPY t (id, v) FROM STDIN (FORMAT BINARY)") as out:
        out.set_types(["int4", "text"])
        for i in range(20000, 20500):
            out.write_row((i, f"row {i}"))
    with connection.cursor().copy("COPY (SELECT id, v FROM t WHERE id >= 20490 ORDER BY id) TO STDOUT") as source:
        return [list(source.rows()), run("SELECT count(*) FROM t")]


def copy_that_fails():
    with connection.cursor().copy("COPY t FROM STDIN") as out:
        out.write("1\tx\ty\tz\n")


def copy_given_up():
    with connection.cursor().copy("COPY t FROM STDIN") as out:
        out.write("1000000\tx\t1\n")
        raise ValueError("given up")


step("server-side cursor", server_cursor)
step("copy", copy)
step("copy that fails", copy_that_fails)
step("copy given up", copy_given_up)
step("after the copies", lambda: run("SELECT 1"))


def notify():
    run(f"LISTEN {schema}_3")
    with psycopg.connect("", autocommit=True) as other:
        threading.Timer(0.3, lambda: other.execute(f"NOTIFY {schema}_3, 'hello'")).start()
        for each in connection.notifies():
            return [each.channel, each.payload]


step("notifications", notify)


def cancel():
    threading.Timer(0.3, connection.cancel).start()
    return run("SELECT pg_sleep(20)")


step("cancel", cancel)
step("after the cancel", lambda: run("SELECT 1"))
step("one customer", lambda: run("SELECT * FROM crm.customers WHERE id = %s", (12,)))


def customers():
    with connection.pipeline():
        cursors = [connection.execute("SELECT name FROM crm.customers WHERE id = %s", (i,)) for i in range(1, 20)]
    return [each.fetchone() for each in cursors]


step("customers in a pipeline", customers)


async def asynchronous():
    async def several():
        async with await psycopg.AsyncConnection.connect("", autocommit=True) as other:
            async with other.pipeline():
                cursors = [await other.execute("SELECT %s::int", (i,)) for i in range(20)]
            return [await each.fetchone() for each in cursors]

    await astep("asynchronous pipeline", several)


asyncio.run(asynchronous())
for name, dsn in {"wrong password": "password=wrong", "unknown database": "dbname=no_such_database"}.items():
    step(name, lambda dsn=dsn: psycopg.connect(dsn))
step("clean up", lambda: run(f"DROP SCHEMA {schema} CASCADE"))
step("close", connection.close)
