import os

import pyodbc

from steps import schema, step

TLS = f"sslmode=verify-full;pqopt={{sslrootcert={os.environ['PGSSLROOTCERT']}}};" if os.environ.get("PGSSLROOTCERT") else "sslmode=disable;"
BASE = f"Driver=PostgreSQL Unicode;Server={os.environ['PGHOST']};Port={os.environ['PGPORT']};Database={os.environ['PGDATABASE']};Uid={os.environ['PGUSER']};{TLS}"
connection = pyodbc.connect(BASE + f"Pwd={os.environ['PGPASSWORD']};UseDeclareFetch=0", autocommit=True)
fetching = pyodbc.connect(BASE + f"Pwd={os.environ['PGPASSWORD']};UseDeclareFetch=1;Fetch=20", autocommit=True)


def run(sql, *values, on=connection):
    cursor = on.cursor()
    cursor.execute(sql, *values)
    return [[(c[0], str(c[1])) for c in cursor.description], [list(row) for row in cursor.fetchall()]] if cursor.description else cursor.rowcount


def catalog(name, *arguments, keep=lambda row: True, **options):
    return [list(row) for row in getattr(connection.cursor(), name)(*arguments, **options).fetchall() if keep(list(row))]


step("schema", lambda: [run(f"DROP SCHEMA IF EXISTS {schema} CASCADE"), run(f"CREATE SCHEMA {schema}"), run(f"SET search_path TO {schema}, public"), run(f"SET search_path TO {schema}, public", on=fetching)])
step("table", lambda: run("CREATE TABLE t (id int PRIMARY KEY, v varchar(30), n numeric(8,2), d date, b bytea)"))
step("parameters", lambda: [run("INSERT INTO t VALUES (?, ?, ?, ?, ?)", i, f"v{i}", 1.5, "2020-01-01", b"\x01\x02") for i in range(120)][-1])
step("select", lambda: run("SELECT * FROM t WHERE id < ? ORDER BY id", 5))
step("declare and fetch", lambda: len(run("SELECT * FROM t ORDER BY id", on=fetching)[1]))
step("many rows at once", lambda: connection.cursor().executemany("INSERT INTO t (id, v) VALUES (?, ?)", [(1000 + i, "x") for i in range(50)]))
step("error", lambda: run("SELECT nothing FROM t"))
step("violation", lambda: run("INSERT INTO t (id) VALUES (1)"))


def transaction():
    connection.autocommit = False
    try:
        run("INSERT INTO t (id) VALUES (5000)")
        try:
            run("INSERT INTO t (id) VALUES (5000)")
        except pyodbc.Error as error:
            state = error.args[0]
        connection.rollback()
        return [state, run("SELECT count(*) FROM t WHERE id = 5000")]
    finally:
        connection.rollback()
        connection.autocommit = True


step("transaction", transaction)
step("tables", lambda: catalog("tables", schema="crm"))
step("columns", lambda: catalog("columns", table="customers", schema="crm"))
step("primary keys", lambda: catalog("primaryKeys", table="customers", schema="crm"))
step("foreign keys", lambda: catalog("foreignKeys", table="customers", schema="crm"))
step("statistics", lambda: catalog("statistics", "customers", schema="crm", keep=lambda row: row[5] is not None))
step("procedures", lambda: len(catalog("procedures", schema="crm")))
step("types", lambda: len(catalog("getTypeInfo")))
step("one customer", lambda: run("SELECT * FROM crm.customers WHERE id = ?", 17))
step("wrong password", lambda: pyodbc.connect(BASE + "Pwd=wrong"))
step("clean up", lambda: run(f"DROP SCHEMA {schema} CASCADE"))
step("close", lambda: [connection.close(), fetching.close()])
