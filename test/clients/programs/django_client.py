import io
import os

import django
from django.conf import settings

from steps import schema, step

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"], "OPTIONS": {"options": f"-c search_path={schema},crm,public"}}}, INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402


def command(name, *arguments, **options):
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, no_color=True, **options)
    return out.getvalue()


def execute(sql, values=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def in_transaction():
    with transaction.atomic():
        execute("CREATE TABLE d (id int PRIMARY KEY)")
        execute("INSERT INTO d VALUES (1)")
        try:
            with transaction.atomic():
                execute("INSERT INTO d VALUES (1)")
        except django.db.IntegrityError as error:
            return str(error)
    return None


def introspect():
    with connection.cursor() as cursor:
        return [name for name in connection.introspection.get_constraints(cursor, "invoices")]


step("schema", lambda: [execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE"), execute(f"CREATE SCHEMA {schema}")])
step("migrate", lambda: command("migrate", verbosity=1))
step("migrations shown", lambda: command("showmigrations"))
step("inspectdb", lambda: command("inspectdb", "customers", "invoices", "django_content_type"))
step("tables", lambda: [name for name in connection.introspection.table_names() if name in ("customers", "invoices", "django_migrations")])
step("constraints", lambda: sorted(introspect()))


step("transaction", in_transaction)
step("one customer", lambda: execute("SELECT * FROM customers WHERE id = %s", [18]))
step("clean up", lambda: execute(f"DROP SCHEMA {schema} CASCADE"))
step("close", connection.close)
