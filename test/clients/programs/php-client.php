<?php
// One JSON line for each step, with its result or its error.
$lab = getenv('LAB');
$port = getenv('PGPORT');
error_reporting(E_ERROR);
$db = pg_connect('connect_timeout=20');
pg_set_error_verbosity($db, PGSQL_ERRORS_VERBOSE);

function step(string $name, callable $work): void {
    global $port;
    try {
        $line = ['step' => $name, 'ok' => $work()];
    } catch (Throwable $error) {
        $line = ['step' => $name, 'error' => ['code' => $error->getCode(), 'text' => str_replace($port, 'PORT', $error->getMessage())]];
    }
    echo json_encode($line, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
function rows(string $sql, ?array $values = null): array {
    global $db;
    $result = $values === null ? @pg_query($db, $sql) : @pg_query_params($db, $sql, $values);
    if ($result === false) throw new Exception(pg_last_error($db));
    return pg_fetch_all($result);
}

step('schema', fn() => rows("DROP SCHEMA IF EXISTS $lab CASCADE; CREATE SCHEMA $lab; SET search_path TO $lab, public"));
step('notices', fn() => [rows('DROP TABLE IF EXISTS never_was'), pg_last_notice($db)]);
step('table', fn() => rows("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 200) g"));
step('parameters', fn() => rows('SELECT $1::int AS i, $2::text AS t', [1, 'x']));
step('prepared', function () use ($db) { pg_prepare($db, 'p', 'SELECT v FROM t WHERE id = $1'); return array_map(fn($i) => pg_fetch_all(pg_execute($db, 'p', [$i])), range(1, 5)); });
step('error', fn() => rows('SELECT nothing FROM t'));
step('violation', fn() => rows('INSERT INTO t VALUES (1)'));
step('meta data', fn() => pg_meta_data($db, 'crm.customers'));
step('insert and select of arrays', fn() => [pg_insert($db, 't', ['id' => 700, 'v' => 'x']) !== false, pg_select($db, 't', ['id' => 700])]);
step('copy', fn() => [pg_copy_from($db, 't', array_map(fn($i) => "$i\tc\n", range(1000, 1100))), count(pg_copy_to($db, 't'))]);
step('asynchronous', function () use ($db) { pg_send_query($db, 'SELECT 1; SELECT 2'); $out = []; while ($result = pg_get_result($db)) $out[] = pg_fetch_all($result); return $out; });
step('cancel', function () use ($db) { pg_send_query($db, 'SELECT pg_sleep(20)'); usleep(300000); return pg_cancel_query($db); });
step('after the cancel', fn() => rows('SELECT 1 AS one'));
step('notifications', function () use ($db, $lab) { rows("LISTEN {$lab}_h"); rows("NOTIFY {$lab}_h, 'hello'"); $n = pg_get_notify($db); return [$n['message'], $n['payload']]; });
step('large objects', function () use ($db) { rows('BEGIN'); $oid = pg_lo_create($db); $lo = $oid === false ? false : pg_lo_open($db, $oid, 'w'); $n = $lo === false ? false : pg_lo_write($lo, 'abc'); rows('ROLLBACK'); return $n; });
step('one customer', fn() => rows('SELECT * FROM crm.customers WHERE id = $1', [21]));

$tls = getenv('PGSSLROOTCERT') ? ';sslmode=verify-full' : ';sslmode=disable';
$dsn = 'pgsql:host=' . getenv('PGHOST') . ";port=$port;dbname=" . getenv('PGDATABASE') . $tls;
$pdo = new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$query = function (string $sql, array $values = [], array $options = []) use ($pdo) { $s = $pdo->prepare($sql, $options); $s->execute($values); return $s->fetchAll(PDO::FETCH_ASSOC); };
step('PDO search path', fn() => $pdo->exec("SET search_path TO $lab, public"));
step('PDO named parameters', fn() => $query('SELECT * FROM t WHERE id = :id AND v = :v', ['id' => 2, 'v' => 'v2']));
step('PDO emulated', fn() => $query('SELECT * FROM t WHERE id = ?', [3], [PDO::ATTR_EMULATE_PREPARES => true]));
step('PDO without preparing', fn() => $query('SELECT * FROM t WHERE id = ?', [3], [PDO::PGSQL_ATTR_DISABLE_PREPARES => true]));
step('PDO cursor', function () use ($pdo) { $pdo->beginTransaction(); $s = $pdo->prepare('SELECT id FROM t ORDER BY id', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]); $s->execute(); $out = [$s->fetch(PDO::FETCH_NUM), $s->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST)]; $s->closeCursor(); $pdo->commit(); return $out; });
step('PDO error', fn() => $query('SELECT nothing FROM t'));
step('PDO column meta', function () use ($pdo) { $s = $pdo->query('SELECT id, v FROM t LIMIT 1'); return [$s->getColumnMeta(0)['native_type'], $s->getColumnMeta(1)['table'] ?? null]; });
step('PDO copy', fn() => [$pdo->pgsqlCopyFromArray('t', ["5000\tx\n", "5001\ty\n"]), count($pdo->pgsqlCopyToArray('t'))]);
step('PDO transaction', function () use ($pdo) { $pdo->beginTransaction(); $pdo->exec("INSERT INTO t VALUES (8000, 'x')"); try { $pdo->exec("INSERT INTO t VALUES (8000, 'x')"); } finally { $pdo->rollBack(); } });
step('PDO wrong password', fn() => new PDO($dsn, getenv('PGUSER'), 'wrong'));
step('clean up', fn() => rows("DROP SCHEMA $lab CASCADE"));
step('close', fn() => pg_close($db));
