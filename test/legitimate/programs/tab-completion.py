"""psql's tab completion, in a terminal of its own: prints what psql asked (psql -E does not tell; the server's answers are what is shown)."""
import os
import pty
import select
import sys
import time

LINES = ["SELECT * FROM crm.cus", "SELECT * FROM shop.t", "UPDATE sh", "INSERT INTO shop.tic", "SELECT shop.pri", "\\d crm.", "\\df shop.", "DROP TABLE shop.", "ALTER TABLE shop.tariffs ADD CONSTRAINT x FOREIGN KEY (name) REFERENCES shop.",
         "ALTER TABLE shop.tariffs DROP COLUMN ", "SET sea", "SET search_path TO ", "SHOW work", "GRANT SELECT ON shop.tariffs TO st", "CREATE INDEX ON shop.tariffs (", "COPY shop.", "\\c post", "DROP SCHEMA s", "DROP TYPE shop.", "EXPLAIN SELECT * FROM crm.customers WHERE em", "VACUUM shop.", "REFRESH MATERIALIZED VIEW ", "DROP EXTENSION ", "ALTER EXTENSION pg_trgm UPDATE TO ", "NOTIFY ", "FETCH FROM ", "DELETE FROM crm.inv", "DROP ROLE ", "DROP TRIGGER "]

pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PSQL_PAGER="cat")
    os.execvp("psql", ["psql", "-X", "-P", "pager=off"])


def read(until, seconds):
    text, end = b"", time.time() + seconds
    while time.time() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                text += os.read(terminal, 65536)
            except OSError:
                break
            if until is not None and until in text:
                break
        elif until is None:
            break
    return text


read(b"=> ", 20)
for line in LINES:
    os.write(terminal, line.encode() + b"\t\t")
    read(None, 5)
    os.write(terminal, b"\x15\n")
    text = read(b"=> ", 5)
    if b"ERROR" in text:
        print(line, text)
os.write(terminal, b"\\echo done\n\\q\n")
sys.stdout.write("done\n" if b"done" in read(b"done\r\n", 5) else "not done\n")
