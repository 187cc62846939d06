// One JSON line for each step, with its result or its error. libpqxx 6 and 7.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <pqxx/pqxx>
#include <sstream>
#include <string>

static std::string quoted(const std::string &text) {
  std::ostringstream out;
  out << '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out << '\\' << c;
    else if (c < 0x20) { char buffer[8]; snprintf(buffer, sizeof buffer, "\\u%04x", c); out << buffer; }
    else out << c;
  }
  return out.str() + '"';
}

static void step(const std::string &name, const std::function<std::string()> &work) {
  std::cout << "{\"step\":" << quoted(name) << ',';
  try {
    const std::string ok = quoted(work());
    std::cout << "\"ok\":" << ok;
  } catch (const pqxx::sql_error &e) {
    std::cout << "\"error\":" << quoted(e.sqlstate() + " " + e.what());
  } catch (const std::exception &e) {
    std::string text = e.what();
    const std::string port = std::getenv("PGPORT");
    for (size_t at; (at = text.find(port)) != std::string::npos;) text.replace(at, port.size(), "PORT");
    std::cout << "\"error\":" << quoted(text);
  }
  std::cout << '}' << std::endl;
}

static std::string show(const pqxx::result &rows) {
  std::ostringstream out;
  for (const auto &row : rows) {
    for (const auto &field : row) out << (field.is_null() ? "NULL" : field.c_str()) << '|';
    out << '\n';
  }
  return out.str();
}

int main() {
  const std::string lab = std::getenv("LAB");
  pqxx::connection c{""};
  auto run = [&](const std::string &sql) { pqxx::nontransaction t{c}; return show(t.exec(sql)); };
  step("schema", [&] { return run("DROP SCHEMA IF EXISTS " + lab + " CASCADE; CREATE SCHEMA " + lab) + run("SET search_path TO " + lab + ", public"); });
  step("table", [&] { return run("CREATE TABLE t (id int PRIMARY KEY, v text)") + run("INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 300) g"); });
  step("transaction", [&] { pqxx::work t{c}; t.exec("INSERT INTO t VALUES (900, 'in')"); auto rows = show(t.exec("SELECT * FROM t WHERE id = 900")); t.commit(); return rows; });
  step("subtransaction", [&] { pqxx::work t{c}; std::string out; try { pqxx::subtransaction s{t}; s.exec("INSERT INTO t VALUES (900)"); } catch (const pqxx::unique_violation &) { out = "violated"; } out += show(t.exec("SELECT count(*) FROM t")); t.commit(); return out; });
  step("prepared", [&] { c.prepare("p", "SELECT v FROM t WHERE id = $1"); pqxx::work t{c}; std::string out; for (int i = 1; i < 6; i++) out += show(t.exec_prepared("p", i)); return out; });
  step("parameters", [&] { pqxx::work t{c}; return show(t.exec_params("SELECT $1::int + 1, $2::text", 41, "x")); });
  step("pipeline", [&] { pqxx::work t{c}; pqxx::pipeline p{t}; std::string out; for (int i = 0; i < 40; i++) p.insert("SELECT " + std::to_string(i)); p.complete(); while (!p.empty()) out += show(p.retrieve().second); return out; });
  step("pipeline with an error", [&] { pqxx::work t{c}; pqxx::pipeline p{t}; auto a = p.insert("SELECT 1"); auto b = p.insert("SELECT 1/0"); auto d = p.insert("SELECT 2"); p.complete(); std::string out = show(p.retrieve(a)); try { p.retrieve(b); } catch (const pqxx::sql_error &e) { out += e.sqlstate(); } try { p.retrieve(d); } catch (const std::exception &) { out += " not run"; } return out; });
  step("cursor", [&] { pqxx::work t{c}; pqxx::icursorstream s{t, "SELECT id FROM t ORDER BY id", "c", 64}; pqxx::result r; size_t n = 0; while (s >> r) n += r.size(); return std::to_string(n); });
  step("stream to", [&] { pqxx::work t{c}; { pqxx::stream_to s{t, "t", std::vector<std::string>{"id", "v"}}; for (int i = 2000; i < 2400; i++) s << std::make_tuple(i, std::string{"copied"}); s.complete(); } auto out = show(t.exec("SELECT count(*) FROM t")); t.commit(); return out; });
  step("error", [&] { return run("SELECT nothing FROM t"); });
  step("violation", [&] { return run("INSERT INTO t VALUES (1)"); });
  step("one customer", [&] { return run("SELECT * FROM crm.customers WHERE id = 22"); });
  step("wrong password", [&] { pqxx::connection bad{"password=wrong"}; return std::string{"connected"}; });
  step("unknown database", [&] { pqxx::connection bad{"dbname=no_such_database"}; return std::string{"connected"}; });
  step("clean up", [&] { return run("DROP SCHEMA " + lab + " CASCADE"); });
  return 0;
}
