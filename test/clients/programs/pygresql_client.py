import os

import pg

from steps import schema, step

db = pg.DB(dbname=os.environ["PGDATABASE"], host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user=os.environ["PGUSER"], passwd=os.environ["PGPASSWORD"])

def large_object():
    """libpq's lo_* functions use the FunctionCall message."""
    db.begin()
    try:
        lo = db.locreate(pg.INV_READ | pg.INV_WRITE)
        lo.open(pg.INV_WRITE)
        lo.write(b"abc")
        lo.close()
        lo.unlink()
        return "written"
    finally:
        db.rollback()


step("schema", lambda: [db.query(f"DROP SCHEMA IF EXISTS {schema} CASCADE"), db.query(f"CREATE SCHEMA {schema}"), db.query(f"SET search_path TO {schema}, public")] and None)
step("table", lambda: db.query("CREATE TABLE t (id int PRIMARY KEY, v text)"))
step("insert", lambda: db.insert("t", id=1, v="a"))
step("get", lambda: db.get("t", 1))
step("update", lambda: db.update("t", id=1, v="b"))
step("table put through COPY", lambda: db.inserttable("t", [(i, f"v{i}") for i in range(10, 300)]))
step("attributes", lambda: [list(db.get_attnames("crm.customers").items()), db.pkey("crm.customers")])
step("tables", lambda: [name for name in db.get_tables() if name.startswith(("crm.", f"{schema}."))])
step("parameters", lambda: db.query("SELECT * FROM t WHERE id = $1", (12,)).getresult())
step("error", lambda: db.query("SELECT nothing FROM t"))
step("large objects", large_object)
step("one customer", lambda: db.query("SELECT * FROM crm.customers WHERE id = 16").dictresult())


step("clean up", lambda: db.query(f"DROP SCHEMA {schema} CASCADE"))
step("close", db.close)
