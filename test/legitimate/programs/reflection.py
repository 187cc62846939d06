"""What SQLAlchemy and Django ask a database about itself."""
import json
import os
import sys

import sqlalchemy as sa


def show(name, value):
    print(json.dumps([name, value], default=repr, sort_keys=True))


engine = sa.create_engine("postgresql+psycopg2://")
inspector = sa.inspect(engine)
show("schemas", sorted(inspector.get_schema_names()))
for schema in ("crm", "shop"):
    show("views", sorted(inspector.get_view_names(schema)))
    show("enums", inspector.get_enums(schema))
    show("sequences", sorted(inspector.get_sequence_names(schema)))
    for table in sorted(inspector.get_table_names(schema)):
        show(table, [
            inspector.get_columns(table, schema), inspector.get_pk_constraint(table, schema), inspector.get_foreign_keys(table, schema),
            inspector.get_indexes(table, schema), inspector.get_unique_constraints(table, schema), inspector.get_check_constraints(table, schema), inspector.get_table_comment(table, schema),
        ])
    metadata = sa.MetaData()
    metadata.reflect(bind=engine, schema=schema, views=True)
    show("reflected", sorted(metadata.tables))

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402

settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"],
    "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"], "OPTIONS": {"options": "-c search_path=shop,crm"},
}}, INSTALLED_APPS=[])
django.setup()
call_command("inspectdb", include_views=True, include_partitions=True, stdout=sys.stdout)
