//! One JSON line for each step, with its result or its error: tokio-postgres, whose requests are pipelined.
use futures_util::{pin_mut, SinkExt, StreamExt, TryStreamExt};
use std::env;
use tokio_postgres::{Config, Error, NoTls, SimpleQueryMessage};

fn report(name: &str, result: Result<String, Error>) {
    let (key, text) = match result {
        Ok(text) => ("ok", text),
        Err(error) => ("error", match error.as_db_error() {
            Some(db) => format!("{} {} {} {:?} {:?}", db.severity(), db.code().code(), db.message(), db.position(), db.constraint()),
            None => error.to_string(),
        }),
    };
    println!("{{\"step\":{:?},\"{}\":{:?}}}", name, key, text);
}

fn config() -> Config {
    let mut config = Config::new();
    let var = |name: &str| env::var(name).unwrap();
    config.host(&var("PGHOST")).port(var("PGPORT").parse().unwrap()).user(&var("PGUSER")).password(var("PGPASSWORD")).dbname(&var("PGDATABASE"));
    config
}

async fn connect(config: &Config) -> Result<tokio_postgres::Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { let _ = connection.await; });
    Ok(client)
}

async fn simple(client: &tokio_postgres::Client, sql: &str) -> Result<String, Error> {
    Ok(client.simple_query(sql).await?.iter().map(|message| match message {
        SimpleQueryMessage::Row(row) => (0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_string()).collect::<Vec<_>>().join("|"),
        SimpleQueryMessage::CommandComplete(n) => format!("{} done", n),
        _ => "?".to_string(),
    }).collect::<Vec<_>>().join(";"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let lab = env::var("LAB").unwrap();
    let mut client = connect(&config()).await?;
    report("schema", simple(&client, &format!("DROP SCHEMA IF EXISTS {lab} CASCADE; CREATE SCHEMA {lab}; SET search_path TO {lab}, public")).await);
    report("table", simple(&client, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 200) g").await);
    report("query", client.query("SELECT $1::int4 + 1, $2::text", &[&41i32, &"x"]).await.map(|rows| format!("{} {}", rows[0].get::<_, i32>(0), rows[0].get::<_, &str>(1))));
    let prepared = client.prepare("SELECT v FROM t WHERE id = $1").await?;
    report("pipelined", futures_util::future::try_join_all((1..60i32).map(|i| { let (client, prepared) = (&client, &prepared); async move { client.query_one(prepared, &[&i]).await.map(|row| row.get::<_, String>(0)) } })).await.map(|all| all.join(",")));
    let (a, b, c) = tokio::join!(client.query("SELECT 1", &[]), client.query("SELECT nothing FROM t", &[]), client.query("SELECT 2", &[]));
    for (name, each) in [("pipelined, first", a), ("pipelined, failing", b), ("pipelined, last", c)] { report(name, each.map(|rows| rows.len().to_string())); }
    report("violation", client.execute("INSERT INTO t VALUES (1)", &[]).await.map(|n| n.to_string()));
    let transaction = client.transaction().await?;
    report("portal", async { let portal = transaction.bind("SELECT id FROM t ORDER BY id", &[]).await?; let mut out = vec![]; for _ in 0..3 { out.push(transaction.query_portal(&portal, 70).await?.len().to_string()); } Ok(out.join(",")) }.await);
    transaction.rollback().await?;
    report("copy in", async { let sink = client.copy_in("COPY t FROM STDIN").await?; pin_mut!(sink); for i in 1000..1300 { sink.send(std::io::Cursor::new(format!("{i}\tcopied\n").into_bytes())).await?; } Ok(sink.finish().await?.to_string()) }.await);
    report("copy out", async { let stream = client.copy_out("COPY (SELECT * FROM t WHERE id > 1290 ORDER BY id) TO STDOUT").await?; let parts: Vec<_> = stream.map_ok(|part| String::from_utf8_lossy(&part).to_string()).try_collect().await?; Ok(parts.concat()) }.await);
    report("rows one by one", async { let stream = client.query_raw("SELECT id FROM t", Vec::<i32>::new()).await?; pin_mut!(stream); let mut n = 0; while let Some(row) = stream.next().await { row?; n += 1; } Ok(n.to_string()) }.await);
    let token = client.cancel_token();
    tokio::spawn(async move { tokio::time::sleep(std::time::Duration::from_millis(300)).await; let _ = token.cancel_query(NoTls).await; });
    report("cancel", simple(&client, "SELECT pg_sleep(20)").await);
    report("after the cancel", simple(&client, "SELECT 1").await);
    report("one customer", client.query("SELECT name FROM crm.customers WHERE id = $1", &[&26i32]).await.map(|rows| rows[0].get::<_, String>(0)));
    report("wrong password", connect(config().password("wrong")).await.map(|_| "connected".to_string()));
    report("unknown database", connect(config().dbname("no_such_database")).await.map(|_| "connected".to_string()));
    report("clean up", simple(&client, &format!("DROP SCHEMA {lab} CASCADE")).await);
    Ok(())
}
