import sqlalchemy as sa
from sqlalchemy import orm

from steps import schema, step

engine = sa.create_engine("postgresql+psycopg2://", future=True, pool_size=2)
metadata = sa.MetaData(schema=schema)
Base = orm.declarative_base(metadata=metadata)


class Author(Base):
    __tablename__ = "author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), unique=True, nullable=False)
    kind = sa.Column(sa.Enum("a", "b", name="kind", schema=schema))
    data = sa.Column(sa.JSON)
    books = orm.relationship("Book", back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.Text, index=True)
    price = sa.Column(sa.Numeric(8, 2), sa.CheckConstraint("price >= 0", name="not_negative"))
    author_id = sa.Column(sa.ForeignKey(f"{schema}.author.id"))
    author = orm.relationship("Author", back_populates="books")


def ddl(sql):
    with engine.begin() as connection:
        connection.execute(sa.text(sql))


def nested(each):
    each.add(Author(name="outer"))
    try:
        with each.begin_nested():
            each.add(Author(name="n2"))
            each.flush()
    except sa.exc.IntegrityError as error:
        return [error.orig.pgcode, each.scalar(sa.select(sa.func.count()).select_from(Author))]
    return None


def isolation():
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        return connection.scalar(sa.text("SHOW transaction_isolation"))


def session(work):
    with orm.Session(engine) as each, each.begin():
        return work(each)


step("schema", lambda: [ddl(f"DROP SCHEMA IF EXISTS {schema} CASCADE"), ddl(f"CREATE SCHEMA {schema}")])
step("create all", lambda: metadata.create_all(engine))
step("create all again", lambda: metadata.create_all(engine))
step("add", lambda: session(lambda s: s.add_all([Author(name=f"n{i}", kind="a", data={"i": i}, books=[Book(title=f"t{i}", price=i)]) for i in range(30)])))
step("select", lambda: session(lambda s: [(a.id, a.name, a.kind, a.data, [b.title for b in a.books]) for a in s.execute(sa.select(Author).options(orm.selectinload(Author.books)).order_by(Author.id)).scalars()]))
step("violation", lambda: session(lambda s: (s.add(Author(name="n1")), s.flush())))
step("check constraint", lambda: session(lambda s: (s.add(Book(title="x", price=-1)), s.flush())))
step("nested", lambda: session(nested))
step("bulk insert", lambda: session(lambda s: s.execute(sa.insert(Book), [{"title": f"b{i}", "price": 1} for i in range(500)]).rowcount))
step("stream", lambda: session(lambda s: sum(1 for _ in s.execute(sa.select(Book.id).execution_options(yield_per=50)))))
step("schemas", lambda: [name for name in sa.inspect(engine).get_schema_names() if name in (schema, "crm", "public")])
for name in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints", "table_comment"):
    step(name, lambda name=name: [getattr(sa.inspect(engine), f"get_{name}")(table, schema=where) for table, where in (("author", schema), ("book", schema), ("customers", "crm"), ("invoices", "crm"))])
step("views", lambda: [sa.inspect(engine).get_view_names("crm"), sa.inspect(engine).get_view_definition("active", "crm")])
step("enums", lambda: sa.inspect(engine).get_enums(schema))
step("reflection", lambda: sorted(sa.Table("invoices", sa.MetaData(), schema="crm", autoload_with=engine).columns.keys()))
step("version and isolation", lambda: [engine.dialect.server_version_info, isolation()])
step("one customer", lambda: session(lambda s: [tuple(row) for row in s.execute(sa.text("SELECT * FROM crm.customers WHERE id = :id"), {"id": 14})]))
step("drop all", lambda: metadata.drop_all(engine))
step("clean up", lambda: ddl(f"DROP SCHEMA {schema} CASCADE"))
step("dispose", engine.dispose)
