// One JSON line for each step, with its result or its error. Run as a single source file with pgjdbc in the class path.
import java.io.*;
import java.sql.*;
import java.util.*;
import java.util.concurrent.Callable;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class JdbcClient {
  static final String LAB = System.getenv("LAB");
  static Connection db;

  static String url(String database) {
    String ca = System.getenv("PGSSLROOTCERT");
    String tls = ca == null ? "sslmode=disable" : "sslmode=verify-full&sslrootcert=" + ca;
    return "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + database + "?" + tls;
  }

  static Connection connect(String database, String password, String... more) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", password);
    for (int i = 0; i < more.length; i += 2) p.setProperty(more[i], more[i + 1]);
    return DriverManager.getConnection(url(database), p);
  }

  static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < 0x20 || c > 0x7e) out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }

  static void step(String name, Callable<Object> work) {
    String line;
    try {
      line = "\"ok\":" + quoted(String.valueOf(work.call()));
    } catch (PSQLException e) {
      ServerErrorMessage s = e.getServerErrorMessage();
      line = "\"error\":" + quoted(e.getSQLState() + " " + e.getMessage().replace(System.getenv("PGPORT"), "PORT") + (s == null ? "" : " at " + s.getPosition() + " " + s.getConstraint() + " " + s.getDetail()));
    } catch (Exception e) {
      line = "\"error\":" + quoted(e.toString().replace(System.getenv("PGPORT"), "PORT"));
    }
    System.out.println("{\"step\":" + quoted(name) + "," + line + "}");
    System.out.flush();
  }

  static String show(ResultSet rows, int... columns) throws SQLException {
    StringBuilder out = new StringBuilder();
    int n = rows.getMetaData().getColumnCount();
    while (rows.next()) {
      if (columns.length == 0) for (int i = 1; i <= n; i++) out.append(rows.getString(i)).append('|');
      else for (int i : columns) out.append(rows.getString(i)).append('|');
      out.append('\n');
    }
    rows.close();
    return out.toString();
  }

  static String run(String sql) throws SQLException {
    try (Statement s = db.createStatement()) {
      StringBuilder out = new StringBuilder();
      boolean rows = s.execute(sql);
      while (true) {
        if (rows) out.append(show(s.getResultSet()));
        else if (s.getUpdateCount() >= 0) out.append(s.getUpdateCount()).append(';');
        else break;
        rows = s.getMoreResults();
      }
      for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) out.append(w.getSQLState()).append(' ').append(w.getMessage());
      return out.toString();
    }
  }

  public static void main(String[] args) throws Exception {
    db = connect(System.getenv("PGDATABASE"), System.getenv("PGPASSWORD"));
    step("schema", () -> run("DROP SCHEMA IF EXISTS " + LAB + " CASCADE; CREATE SCHEMA " + LAB + "; SET search_path TO " + LAB + ", public"));
    step("warnings", () -> run("DROP TABLE IF EXISTS never_was"));
    step("table", () -> run("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, b bytea, at timestamptz); INSERT INTO t (id, v) SELECT g, 'v' || g FROM generate_series(1, 500) g"));
    step("prepared, binary after five", () -> { StringBuilder out = new StringBuilder(); try (PreparedStatement s = db.prepareStatement("SELECT id, v, 1.5::float8, now() IS NULL, id::bigint FROM t WHERE id = ?")) { for (int i = 1; i < 15; i++) { s.setInt(1, i); out.append(show(s.executeQuery())); } } return out; });
    step("types", () -> run("SELECT 1::int2, 2::int4, 3::int8, 1.5::numeric, 2.5::float8, true, 'x'::char(3), '\\x00ff'::bytea, '2020-01-01'::date, ARRAY[1,2], '{\"a\":1}'::jsonb, '1 day'::interval, 'a'::name"));
    step("fetch size", () -> { db.setAutoCommit(false); try (Statement s = db.createStatement()) { s.setFetchSize(37); ResultSet r = s.executeQuery("SELECT * FROM t ORDER BY id"); int n = 0; while (r.next()) n++; return n; } finally { db.commit(); db.setAutoCommit(true); } });
    step("fetch size and statements in between", () -> { db.setAutoCommit(false); try (Statement s = db.createStatement()) { s.setFetchSize(10); ResultSet r = s.executeQuery("SELECT id FROM t ORDER BY id"); StringBuilder out = new StringBuilder(); for (int i = 0; i < 35 && r.next(); i++) if (i % 10 == 0) out.append(run("SELECT count(*) FROM t WHERE id < " + r.getInt(1))); r.close(); return out; } finally { db.commit(); db.setAutoCommit(true); } });
    step("max rows", () -> { try (Statement s = db.createStatement()) { s.setMaxRows(7); return show(s.executeQuery("SELECT id FROM t ORDER BY id")); } });
    step("scrollable and updatable", () -> { try (Statement s = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) { ResultSet r = s.executeQuery("SELECT id, v FROM t WHERE id < 5 ORDER BY id"); r.absolute(3); r.updateString(2, "updated"); r.updateRow(); r.last(); return r.getInt(1) + run("SELECT v FROM t WHERE id = 3"); } });
    step("batch", () -> { try (PreparedStatement s = db.prepareStatement("INSERT INTO t (id, v) VALUES (?, ?)")) { for (int i = 1000; i < 1700; i++) { s.setInt(1, i); s.setString(2, "b" + i); s.addBatch(); } return s.executeBatch().length; } });
    step("batch with an error", () -> { try (Statement s = db.createStatement()) { s.addBatch("INSERT INTO t (id) VALUES (3000)"); s.addBatch("INSERT INTO t (id) VALUES (1)"); s.addBatch("INSERT INTO t (id) VALUES (3001)"); try { return Arrays.toString(s.executeBatch()); } catch (BatchUpdateException e) { return Arrays.toString(e.getUpdateCounts()) + e.getSQLState() + run("SELECT id FROM t WHERE id >= 3000"); } } });
    step("rewritten batch", () -> { try (Connection other = connect(System.getenv("PGDATABASE"), System.getenv("PGPASSWORD"), "reWriteBatchedInserts", "true", "currentSchema", LAB)) { try (PreparedStatement s = other.prepareStatement("INSERT INTO t (id, v) VALUES (?, ?)")) { for (int i = 4000; i < 4300; i++) { s.setInt(1, i); s.setString(2, "r"); s.addBatch(); } return s.executeBatch().length; } } });
    step("simple query mode", () -> { try (Connection other = connect(System.getenv("PGDATABASE"), System.getenv("PGPASSWORD"), "preferQueryMode", "simple", "currentSchema", LAB)) { try (PreparedStatement s = other.prepareStatement("SELECT v FROM t WHERE id = ?")) { s.setInt(1, 2); return show(s.executeQuery()); } } });
    step("generated keys", () -> { run("CREATE TABLE k (id serial PRIMARY KEY, v text)"); try (PreparedStatement s = db.prepareStatement("INSERT INTO k (v) VALUES ('a'), ('b')", Statement.RETURN_GENERATED_KEYS)) { s.executeUpdate(); return show(s.getGeneratedKeys()); } });
    step("parameter metadata", () -> { try (PreparedStatement s = db.prepareStatement("SELECT * FROM t WHERE id = ? AND v = ?")) { ParameterMetaData p = s.getParameterMetaData(); return p.getParameterTypeName(1) + p.getParameterTypeName(2) + s.getMetaData().getColumnName(2); } });
    step("changed table under a prepared statement", () -> { try (PreparedStatement s = db.prepareStatement("SELECT * FROM k WHERE id = ?")) { StringBuilder out = new StringBuilder(); for (int i = 0; i < 8; i++) { if (i == 6) run("ALTER TABLE k ADD COLUMN more int DEFAULT 3"); s.setInt(1, 1); out.append(show(s.executeQuery())); } return out; } });
    step("savepoint", () -> { db.setAutoCommit(false); try { Savepoint p = db.setSavepoint("s"); String out; try { out = run("INSERT INTO t (id) VALUES (1)"); } catch (SQLException e) { out = e.getSQLState(); } db.rollback(p); out += run("SELECT count(*) FROM t"); db.commit(); return out; } finally { db.setAutoCommit(true); } });
    step("autosave", () -> { try (Connection other = connect(System.getenv("PGDATABASE"), System.getenv("PGPASSWORD"), "autosave", "always", "currentSchema", LAB)) { other.setAutoCommit(false); try (Statement s = other.createStatement()) { s.executeUpdate("INSERT INTO t (id) VALUES (5000)"); try { s.executeUpdate("INSERT INTO t (id) VALUES (5000)"); } catch (SQLException e) { /* the driver goes back to its savepoint */ } ResultSet r = s.executeQuery("SELECT count(*) FROM t WHERE id = 5000"); r.next(); String out = r.getString(1); other.commit(); return out; } } });
    step("syntax error", () -> run("SELEC 1"));
    step("error with its position", () -> run("SELECT nothing FROM t"));
    step("violation", () -> run("INSERT INTO t (id) VALUES (1)"));
    step("cancel", () -> { try (Statement s = db.createStatement()) { new Timer(true).schedule(new TimerTask() { public void run() { try { s.cancel(); } catch (SQLException e) { throw new IllegalStateException(e); } } }, 300); return show(s.executeQuery("SELECT pg_sleep(20)")); } });
    step("query time-out", () -> { try (Statement s = db.createStatement()) { s.setQueryTimeout(1); return show(s.executeQuery("SELECT pg_sleep(20)")); } });
    step("after the cancels", () -> run("SELECT 1"));
    step("copy in", () -> db.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY t (id, v) FROM STDIN", new StringReader("7000\ta\n7001\tb\n")));
    step("copy out", () -> { StringWriter w = new StringWriter(); long n = db.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT id, v FROM t WHERE id >= 7000) TO STDOUT WITH CSV", w); return n + w.toString(); });
    step("copy that fails", () -> db.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY t (id, v) FROM STDIN", new StringReader("x\ty\tz\n")));
    step("notifications", () -> { run("LISTEN " + LAB + "_j; NOTIFY " + LAB + "_j, 'hello'"); PGNotification[] all = db.unwrap(PGConnection.class).getNotifications(5000); return all[0].getName() + all[0].getParameter(); });
    DatabaseMetaData m = db.getMetaData();
    step("metadata: product", () -> m.getDatabaseProductName() + m.getDatabaseMajorVersion() + m.getMaxConnections() + m.getSQLKeywords().length());
    step("metadata: schemas", () -> show(m.getSchemas(null, "crm")));
    step("metadata: catalogs", () -> show(m.getCatalogs()));
    step("metadata: tables", () -> show(m.getTables(null, "crm", "%", null)));
    step("metadata: table types", () -> show(m.getTableTypes()));
    step("metadata: columns", () -> show(m.getColumns(null, "crm", "%", "%")));
    step("metadata: keys", () -> show(m.getPrimaryKeys(null, "crm", "customers")) + show(m.getImportedKeys(null, "crm", "invoices")) + show(m.getExportedKeys(null, "crm", "customers")));
    step("metadata: indexes", () -> show(m.getIndexInfo(null, "crm", "customers", false, true), 3, 4, 6, 7, 8, 9));
    step("metadata: privileges", () -> show(m.getTablePrivileges(null, "crm", "customers")) + show(m.getColumnPrivileges(null, "crm", "customers", "id")));
    step("metadata: types", () -> show(m.getTypeInfo()).length());
    step("metadata: functions", () -> show(m.getFunctions(null, "pg_catalog", "lower"), 2, 3, 5) + show(m.getProcedures(null, "crm", "%")));
    step("metadata: row identifiers", () -> show(m.getBestRowIdentifier(null, "crm", "customers", 0, true)));
    step("large objects", () -> { db.setAutoCommit(false); try { var api = db.unwrap(PGConnection.class).getLargeObjectAPI(); long oid = api.createLO(); var lo = api.open(oid); lo.write("abc".getBytes()); lo.close(); api.delete(oid); db.commit(); return "written"; } finally { db.rollback(); db.setAutoCommit(true); } });
    step("one customer", () -> run("SELECT * FROM crm.customers WHERE id = 23"));
    step("is valid", () -> db.isValid(5));
    step("wrong password", () -> connect(System.getenv("PGDATABASE"), "wrong"));
    step("unknown database", () -> connect("no_such_database", System.getenv("PGPASSWORD")));
    step("clean up", () -> run("DROP SCHEMA " + LAB + " CASCADE"));
    db.close();
  }
}
