// What pgjdbc asks for every method of DatabaseMetaData; JDBC tools (DBeaver, DataGrip, Metabase, Power BI gateways) draw their trees from these.
import java.sql.*;
import java.util.Properties;

public class Metadata {
  static void show(String name, ResultSet rows) throws SQLException {
    int n = rows.getMetaData().getColumnCount();
    for (int i = 1; i <= n; i++) rows.getMetaData().isNullable(i);
    while (rows.next()) {
      StringBuilder line = new StringBuilder(name);
      for (int i = 1; i <= n; i++) line.append('|').append(rows.getString(i));
      System.out.println(line);
    }
  }

  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", System.getenv("PGPASSWORD"));
    try (Connection db = DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p)) {
      DatabaseMetaData m = db.getMetaData();
      System.out.println(m.getDatabaseProductVersion() + m.getMaxColumnNameLength() + m.getSQLKeywords() + m.getNumericFunctions());
      show("schemas", m.getSchemas());
      show("catalogs", m.getCatalogs());
      show("table types", m.getTableTypes());
      show("types", m.getTypeInfo());
      show("properties", m.getClientInfoProperties());
      for (String schema : new String[] {"crm", "shop"}) {
        show("tables", m.getTables(null, schema, "%", null));
        show("columns", m.getColumns(null, schema, "%", "%"));
        show("functions", m.getFunctions(null, schema, "%"));
        show("function columns", m.getFunctionColumns(null, schema, "%", "%"));
        show("procedures", m.getProcedures(null, schema, "%"));
        show("procedure columns", m.getProcedureColumns(null, schema, "%", "%"));
        show("table privileges", m.getTablePrivileges(null, schema, "%"));
        show("types of users", m.getUDTs(null, schema, "%", null));
        for (String table : new String[] {"customers", "invoices", "active", "tariffs", "products", "tickets", "events"}) {
          show("primary key", m.getPrimaryKeys(null, schema, table));
          show("imported keys", m.getImportedKeys(null, schema, table));
          show("exported keys", m.getExportedKeys(null, schema, table));
          show("indexes", m.getIndexInfo(null, schema, table, false, true));
          show("best row", m.getBestRowIdentifier(null, schema, table, DatabaseMetaData.bestRowSession, true));
          show("versions", m.getVersionColumns(null, schema, table));
          show("column privileges", m.getColumnPrivileges(null, schema, table, "%"));
        }
      }
      show("cross references", m.getCrossReference(null, "crm", "customers", null, "crm", "invoices"));
      try (PreparedStatement s = db.prepareStatement("SELECT id, label, body, gross FROM shop.products WHERE id = ?")) {
        ParameterMetaData parameters = s.getParameterMetaData();
        ResultSetMetaData columns = s.getMetaData();
        for (int i = 1; i <= columns.getColumnCount(); i++) System.out.println(columns.getColumnTypeName(i) + columns.isAutoIncrement(i) + columns.isNullable(i) + columns.getTableName(i) + parameters.getParameterTypeName(1));
      }
      show("arrays", db.createStatement().executeQuery("SELECT name, tags, valid, info FROM shop.tariffs ORDER BY name"));
    }
  }
}
