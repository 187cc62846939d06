# One JSON line for each step, with its result or its error.
require 'json'
require 'pg'

LAB = ENV.fetch('LAB')
$stdout.sync = true

def step(name)
  ok = yield
  puts JSON.generate(step: name, ok: ok)
rescue PG::Error => e
  r = e.respond_to?(:result) ? e.result : nil
  puts JSON.generate(step: name, error: { text: e.message.gsub(ENV['PGPORT'], 'PORT'), state: r&.error_field(PG::PG_DIAG_SQLSTATE), position: r&.error_field(PG::PG_DIAG_STATEMENT_POSITION), detail: r&.error_field(PG::PG_DIAG_MESSAGE_DETAIL), constraint: r&.error_field(PG::PG_DIAG_CONSTRAINT_NAME) })
end

db = PG.connect
notices = []
db.set_notice_processor { |text| notices << text }
rows = ->(sql, *values) { values.empty? ? db.exec(sql).to_a : db.exec_params(sql, values).to_a }

step('schema') { rows.("DROP SCHEMA IF EXISTS #{LAB} CASCADE; CREATE SCHEMA #{LAB}; SET search_path TO #{LAB}, public") }
step('notices') { notices.clear; rows.('DROP TABLE IF EXISTS never_was'); notices }
step('table') { rows.("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 200) g") }
step('parameters') { rows.('SELECT $1::int AS i, $2::text AS t', 1, 'x') }
step('binary') { db.exec_params('SELECT 1::int4, 2::int8', [], 1).values.flatten.map { |v| v.unpack1('H*') } }
step('prepared') { db.prepare('p', 'SELECT v FROM t WHERE id = $1'); (1..5).map { |i| db.exec_prepared('p', [i]).getvalue(0, 0) } }
step('described') { d = db.describe_prepared('p'); [d.nparams, d.nfields, d.fname(0)] }
step('error with its position') { rows.('SELECT nothing FROM t') }
step('violation') { rows.('INSERT INTO t VALUES (1)') }
step('transaction') { db.transaction { rows.("INSERT INTO t VALUES (900, 'in')"); rows.('SELECT * FROM t WHERE id = 900') } }
step('single row mode') { db.send_query('SELECT id FROM t ORDER BY id'); db.set_single_row_mode; n = 0; db.get_result.stream_each { n += 1 }; db.get_last_result; n }
step('single row mode and an error') { db.send_query('SELECT 10 / (5 - g) FROM generate_series(1, 9) g'); db.set_single_row_mode; n = 0; begin; db.get_result.stream_each { n += 1 }; ensure; db.discard_results; end; n }
if db.respond_to?(:enter_pipeline_mode)
  step('pipeline') do
    db.enter_pipeline_mode
    20.times { |i| db.send_query_params('SELECT $1::int AS i, v FROM t WHERE id = $1::int', [i + 1]) }
    db.send_query_params('SELECT 1 / $1::int', [0])
    db.send_query_params('SELECT 2', [])
    db.pipeline_sync
    out = []
    loop do
      result = db.get_result
      if result.nil?
        result = db.get_result
        break if result.nil?
      end
      out << [result.res_status(result.result_status), result.ntuples, result.error_field(PG::PG_DIAG_SQLSTATE)]
      break if result.result_status == PG::PGRES_PIPELINE_SYNC
    end
    db.exit_pipeline_mode
    out
  end
end
step('copy in') { db.copy_data('COPY t FROM STDIN') { (5000..5500).each { |i| db.put_copy_data("#{i}\tcopied\n") } }; rows.('SELECT count(*) FROM t') }
step('copy out') { out = []; db.copy_data('COPY (SELECT * FROM t WHERE id > 5490 ORDER BY id) TO STDOUT') { while (line = db.get_copy_data) do out << line end }; out }
step('copy given up') { db.copy_data('COPY t FROM STDIN') { db.put_copy_data("9\tx\n"); raise PG::Error, 'given up' } }
step('after it') { rows.('SELECT 1 AS one') }
step('notifications') { rows.("LISTEN #{LAB}_r"); rows.("NOTIFY #{LAB}_r, 'hello'"); out = nil; db.wait_for_notify(10) { |channel, _pid, payload| out = [channel, payload] }; out }
step('cancel') { db.send_query('SELECT pg_sleep(20)'); sleep 0.3; db.cancel; db.get_last_result }
step('after the cancel') { rows.('SELECT 1 AS one') }
step('large objects') { db.transaction { oid = db.lo_creat; fd = db.lo_open(oid, PG::INV_WRITE | PG::INV_READ); db.lo_write(fd, 'abcdef'); db.lo_lseek(fd, 2, PG::SEEK_SET); out = db.lo_read(fd, 3); db.lo_close(fd); db.lo_unlink(oid); out } }
step('rollback') { rows.('ROLLBACK'); rows.('SELECT 1 AS one') }
step('one customer') { rows.('SELECT * FROM crm.customers WHERE id = $1', 20) }
step('reset') { db.reset; rows.('SELECT 1 AS one') }
{ 'wrong password' => { password: 'wrong' }, 'unknown database' => { dbname: 'no_such_database' } }.each { |name, options| step(name) { PG.connect(**options).finish } }
step('clean up') { rows.("DROP SCHEMA #{LAB} CASCADE") }
step('finish') { db.finish }
