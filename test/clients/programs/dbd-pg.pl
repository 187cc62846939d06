# One JSON line for each step, with its result or its error.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:pg_types :async);
use JSON::PP;

my $lab = $ENV{LAB};
my $json = JSON::PP->new->canonical->allow_nonref->ascii;
$| = 1;
my @warned;
local $SIG{__WARN__} = sub { push @warned, @_ };
my $tls = $ENV{PGSSLROOTCERT} ? "sslmode=verify-full" : "sslmode=disable";
my $db = DBI->connect("dbi:Pg:$tls", $ENV{PGUSER}, $ENV{PGPASSWORD}, { RaiseError => 1, PrintError => 0, AutoCommit => 1, PrintWarn => 1 });

sub step {
    my ($name, $work) = @_;
    my $result = eval { $work->() };
    if ($@) { print $json->encode({ step => $name, error => { state => ($DBI::state // ''), text => "$DBI::errstr" } }), "\n"; }
    else { print $json->encode({ step => $name, ok => $result }), "\n"; }
}
sub rows { my ($sql, @values) = @_; return $db->selectall_arrayref($sql, {}, @values); }

step('schema', sub { $db->do("DROP SCHEMA IF EXISTS $lab CASCADE"); $db->do("CREATE SCHEMA $lab"); $db->do("SET search_path TO $lab, public"); return "done" });
step('notices', sub { $db->do('DROP TABLE IF EXISTS never_was'); my @out = @warned; @warned = (); return \@out });
step('table', sub { return $db->do("CREATE TABLE t (id int PRIMARY KEY, v text, b bytea, a int[])") });
step('several statements', sub { return $db->do("INSERT INTO t (id) VALUES (1); INSERT INTO t (id) VALUES (2)") });
step('placeholders', sub { my $s = $db->prepare("INSERT INTO t VALUES (?, ?, ?, ?)"); $s->bind_param(3, undef, { pg_type => PG_BYTEA }); $s->execute($_, "v$_", "\x01\xff", [1, $_]) for 10 .. 150; return rows("SELECT * FROM t WHERE id BETWEEN ? AND ? ORDER BY id", 11, 13) });
step('server prepare off', sub { my $s = $db->prepare("SELECT v FROM t WHERE id = ?", { pg_server_prepare => 0 }); $s->execute(12); return $s->fetchall_arrayref });
step('syntax error', sub { return rows("SELEC 1") });
step('error with its position', sub { return rows("SELECT nothing FROM t WHERE id = ?", 1) });
step('violation', sub { return $db->do("INSERT INTO t (id) VALUES (1)") });
step('transaction', sub { my @out; $db->begin_work; $db->do("INSERT INTO t (id) VALUES (500)"); $db->pg_savepoint('s'); eval { $db->do("INSERT INTO t (id) VALUES (500)") }; push @out, $db->state, $db->ping; $db->pg_rollback_to('s'); $db->commit; push @out, rows("SELECT id FROM t WHERE id = 500"); return \@out });
step('copy in', sub { $db->do("COPY t (id, v) FROM STDIN"); $db->pg_putcopydata("$_\tcopied $_\n") for 1000 .. 1500; $db->pg_putcopyend; return rows("SELECT count(*) FROM t") });
step('copy out', sub { $db->do("COPY (SELECT id, v FROM t WHERE id >= 1490 ORDER BY id) TO STDOUT"); my ($line, @out) = (''); push @out, $line while $db->pg_getcopydata($line) >= 0; return \@out });
step('copy that fails', sub { $db->do("COPY t (id, v) FROM STDIN"); $db->pg_putcopydata("x\ty\tz\n"); $db->pg_putcopyend; return 1 });
step('after the failed copy', sub { return rows("SELECT 1") });
step('asynchronous', sub { $db->do("SELECT pg_sleep(0.2)", { pg_async => PG_ASYNC }); return $db->pg_result });
step('cancel', sub { $db->do("SELECT pg_sleep(20)", { pg_async => PG_ASYNC }); $db->pg_cancel; return rows("SELECT 1") });
step('notifications', sub { $db->do("LISTEN ${lab}_p"); $db->do("NOTIFY ${lab}_p, 'hello'"); my $n = $db->pg_notifies; return [$n->[0], $n->[2]] });
step('large objects', sub { $db->begin_work; my $oid = $db->pg_lo_creat($db->{pg_INV_WRITE} // 0x20000); $db->commit; $db->begin_work; my $fd = $db->pg_lo_open($oid, 0x20000); my $n = $db->pg_lo_write($fd, "abc", 3); $db->pg_lo_close($fd); $db->pg_lo_unlink($oid); $db->commit; return $n });
$db->{AutoCommit} or $db->rollback;
step('tables', sub { return $db->table_info(undef, 'crm', '%', 'TABLE,VIEW')->fetchall_arrayref });
step('columns', sub { return $db->column_info(undef, 'crm', 'customers', '%')->fetchall_arrayref([2, 3, 4, 5, 6, 10, 12, 16]) });
step('primary keys', sub { return $db->primary_key_info(undef, 'crm', 'customers')->fetchall_arrayref });
step('foreign keys', sub { return $db->foreign_key_info(undef, undef, undef, undef, 'crm', 'invoices')->fetchall_arrayref });
step('type info', sub { return scalar @{ $db->type_info_all } });
step('one customer', sub { return rows("SELECT * FROM crm.customers WHERE id = ?", 19) });
for my $case (['wrong password', "dbi:Pg:$tls", 'wrong'], ['unknown database', "dbi:Pg:dbname=no_such_database;$tls", $ENV{PGPASSWORD}]) {
    my ($name, $dsn, $password) = @$case;
    step($name, sub { eval { DBI->connect($dsn, $ENV{PGUSER}, $password, { RaiseError => 1, PrintError => 0 })->disconnect; 1 } or do { (my $text = "$DBI::errstr") =~ s/$ENV{PGPORT}/PORT/g; return { failed => $text } } });
}
step('clean up', sub { return $db->do("DROP SCHEMA $lab CASCADE") });
step('disconnect', sub { return $db->disconnect });
