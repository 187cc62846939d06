import asyncio
import os
import ssl

import asyncpg

from steps import astep, schema

OPTIONS = {}
if os.environ.get("PGSSLROOTCERT"):
    OPTIONS["ssl"] = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
else:
    OPTIONS["ssl"] = False


async def main():
    connection = await asyncpg.connect(**OPTIONS)

    async def rows(sql, *values):
        return [dict(each) for each in await connection.fetch(sql, *values)]

    async def schema_step():
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path TO {schema}, public")
        return await connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text, a int[], j jsonb, k text)")

    await astep("schema", schema_step)
    await astep("types", lambda: rows("SELECT $1::int AS i, $2::text AS t, $3::numeric AS n, $4::int[] AS a, $5::jsonb AS j, $6::bytea AS b, '1.2.3.4'::inet AS ip, '1 day'::interval AS iv, '[1,3)'::int4range AS r", 1, "x", "1.5", [1, 2], '{"a": 1}', b"\x00"))
    await astep("composite and enum, introspected", composite(connection, rows))
    await astep("executemany", lambda: connection.executemany("INSERT INTO t (id, v) VALUES ($1, $2)", [(i, f"v{i}") for i in range(300)]))

    async def cached():
        out = []
        for i in range(10):
            out.append(await connection.fetchval("SELECT v FROM t WHERE id = $1", i))
        return out

    await astep("statement cache", cached)

    async def changed():
        before = await rows("SELECT * FROM t WHERE id = $1", 1)
        await connection.execute("ALTER TABLE t ADD COLUMN more int DEFAULT 7")
        return [before, await rows("SELECT * FROM t WHERE id = $1", 1)]

    await astep("statement cache and a changed table", changed)

    async def cursor():
        async with connection.transaction():
            out = []
            async for record in connection.cursor("SELECT id FROM t ORDER BY id", prefetch=37):
                out.append(record["id"])
            handle = await connection.cursor("SELECT id FROM t ORDER BY id")
            await handle.forward(5)
            return [len(out), [each["id"] for each in await handle.fetch(3)]]

    await astep("cursor", cursor)

    async def nested():
        out = []
        async with connection.transaction(isolation="serializable"):
            await connection.execute("INSERT INTO t (id) VALUES (1000)")
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO t (id) VALUES (1000)")
            except asyncpg.PostgresError as error:
                out.append(error.sqlstate)
        return out

    await astep("nested transactions", nested)
    await astep("error with its position", lambda: rows("SELECT nothing FROM t WHERE id = $1", 1))
    await astep("violation", lambda: connection.execute("INSERT INTO t (id) VALUES (1)"))
    await astep("copy in", lambda: connection.copy_records_to_table("t", schema_name=schema, columns=["id", "v"], records=[(i, "c") for i in range(5000, 5500)]))

    async def copy_out():
        parts = []

        async def take(data):
            parts.append(data)

        status = await connection.copy_from_query("SELECT id, v FROM t WHERE id >= $1 ORDER BY id", 5490, output=take, format="csv")
        return [status, b"".join(parts)]

    await astep("copy out", copy_out)

    async def notify():
        heard = asyncio.get_running_loop().create_future()
        await connection.add_listener(f"{schema}_a", lambda _c, _p, channel, payload: heard.set_result([channel, payload]))
        await connection.execute(f"NOTIFY {schema}_a, 'hello'")
        return await asyncio.wait_for(heard, 10)

    await astep("notifications", notify)
    await astep("time-out, which cancels", lambda: connection.fetch("SELECT pg_sleep(20)", timeout=0.5))
    await astep("after the time-out", lambda: rows("SELECT 1 AS one"))
    await astep("prepared, described", prepared(connection))
    await astep("settings", settings(connection))
    await astep("one customer", lambda: rows("SELECT * FROM crm.customers WHERE id = $1", 13))

    async def pool():
        async with asyncpg.create_pool(min_size=1, max_size=3, **OPTIONS) as many:
            return sorted(await asyncio.gather(*(many.fetchval("SELECT $1::int", i) for i in range(20))))

    await astep("pool, which resets its connections", pool)
    await astep("wrong password", lambda: asyncpg.connect(password="wrong", **OPTIONS))
    await astep("unknown database", lambda: asyncpg.connect(database="no_such_database", **OPTIONS))
    await astep("clean up", lambda: connection.execute(f"DROP SCHEMA {schema} CASCADE"))
    await astep("close", connection.close)


def composite(connection, rows):
    async def work():
        await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b mood); CREATE TABLE pairs (p pair, ps pair[], m mood)")
        await connection.execute("INSERT INTO pairs VALUES ($1, $2, $3)", (1, "ok"), [(2, "sad")], "ok")
        found = await rows("SELECT * FROM pairs")
        return [tuple(found[0]["p"]), [tuple(each) for each in found[0]["ps"]], found[0]["m"]]

    return work


def prepared(connection):
    async def work():
        statement = await connection.prepare("SELECT id, v FROM t WHERE id = $1 AND v = $2")
        return [[(p.name, p.kind) for p in statement.get_parameters()], [(a.name, a.type.name) for a in statement.get_attributes()], [dict(each) for each in await statement.fetch(1, "v1")]]

    return work


def settings(connection):
    async def work():
        found = connection.get_settings()
        return [found.client_encoding, found.TimeZone, connection.get_server_version()]

    return work


asyncio.run(main())
