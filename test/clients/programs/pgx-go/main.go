// One JSON line for each step, with its result or its error: pgx 4.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var lab = os.Getenv("LAB")
var ctx = context.Background()

func step(name string, work func() (interface{}, error)) {
	line := map[string]interface{}{"step": name}
	if ok, err := work(); err != nil {
		var inner *pgconn.PgError
		if errors.As(err, &inner) {
			line["error"] = []interface{}{inner.Severity, inner.Code, inner.Message, inner.Detail, inner.Position, inner.ConstraintName}
		} else {
			line["error"] = strings.ReplaceAll(err.Error(), os.Getenv("PGPORT"), "PORT")
		}
	} else {
		line["ok"] = ok
	}
	out, err := json.Marshal(line)
	if err != nil {
		out, _ = json.Marshal(map[string]string{"step": name, "ok": fmt.Sprint(line["ok"])})
	}
	fmt.Println(string(out))
}

func main() {
	db, err := pgx.Connect(ctx, "")
	if err != nil {
		panic(err)
	}
	rows := func(query string, values ...interface{}) (interface{}, error) {
		found, err := db.Query(ctx, query, values...)
		if err != nil {
			return nil, err
		}
		defer found.Close()
		var out []interface{}
		for found.Next() {
			row, err := found.Values()
			if err != nil {
				return nil, err
			}
			out = append(out, fmt.Sprint(row...))
		}
		return out, found.Err()
	}
	run := func(query string, values ...interface{}) func() (interface{}, error) {
		return func() (interface{}, error) { return rows(query, values...) }
	}
	exec := func(query string) func() (interface{}, error) {
		return func() (interface{}, error) { tag, err := db.Exec(ctx, query); return tag.String(), err }
	}
	step("schema", exec("DROP SCHEMA IF EXISTS "+lab+" CASCADE; CREATE SCHEMA "+lab+"; SET search_path TO "+lab+", public"))
	step("table", exec("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 200) g"))
	step("binary types", run("SELECT $1::int4, $2::text, 1.5::float8, true, '2020-01-01'::date, ARRAY[1,2]::int8[], '{\"a\":1}'::jsonb, 12.5::numeric::text", 1, "x"))
	step("statement cache", func() (interface{}, error) {
		var out []interface{}
		for i := 1; i < 10; i++ {
			one, err := rows("SELECT v FROM t WHERE id = $1", i)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return out, nil
	})
	step("simple protocol", run("SELECT v FROM t WHERE id = $1", pgx.QuerySimpleProtocol(true), 4))
	batch := func(bad bool) func() (interface{}, error) {
		return func() (interface{}, error) {
			b := &pgx.Batch{}
			for i := 1; i < 50; i++ {
				b.Queue("SELECT v FROM t WHERE id = $1", i)
			}
			b.Queue("INSERT INTO t VALUES ($1, $2)", 800, "batched")
			if bad {
				b.Queue("SELECT 1 / $1::int", 0)
			}
			b.Queue("SELECT count(*)::int FROM t")
			results := db.SendBatch(ctx, b)
			var out []string
			for i := 0; i < b.Len(); i++ {
				found, err := results.Query()
				if err == nil {
					for found.Next() {
						row, _ := found.Values()
						out = append(out, fmt.Sprint(row...))
					}
					found.Close()
					err = found.Err()
				}
				if err != nil {
					out = append(out, err.Error())
				}
			}
			return append(out, fmt.Sprint(results.Close())), nil
		}
	}
	step("batch", batch(false))
	step("clean up of the batch", exec("DELETE FROM t WHERE id = 800"))
	step("batch with an error", batch(true))
	step("after the batch", run("SELECT count(*)::int FROM t"))
	step("changed table under a cached statement", func() (interface{}, error) {
		var out []interface{}
		for i := 0; i < 3; i++ {
			one, err := rows("SELECT * FROM t WHERE id = $1", 1)
			out = append(out, one, fmt.Sprint(err))
			if i == 0 {
				if _, err := db.Exec(ctx, "ALTER TABLE t ADD COLUMN more int"); err != nil {
					return nil, err
				}
			}
		}
		return out, nil
	})
	step("error with its position", run("SELECT nothing FROM t WHERE id = $1", 1))
	step("violation", exec("INSERT INTO t VALUES (1)"))
	step("nested transactions", func() (interface{}, error) {
		tx, err := db.Begin(ctx)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback(ctx)
		inner, err := tx.Begin(ctx)
		if err != nil {
			return nil, err
		}
		_, bad := inner.Exec(ctx, "INSERT INTO t VALUES (1)")
		if err := inner.Rollback(ctx); err != nil {
			return nil, err
		}
		var n int
		err = tx.QueryRow(ctx, "SELECT count(*)::int FROM t").Scan(&n)
		return fmt.Sprint(bad, n), err
	})
	step("copy in, binary", func() (interface{}, error) {
		var all [][]interface{}
		for i := 2000; i < 2600; i++ {
			all = append(all, []interface{}{int32(i), "copied"})
		}
		return db.CopyFrom(ctx, pgx.Identifier{lab, "t"}, []string{"id", "v"}, pgx.CopyFromRows(all))
	})
	step("copy out", func() (interface{}, error) {
		var out bytes.Buffer
		tag, err := db.PgConn().CopyTo(ctx, &out, "COPY (SELECT id, v FROM t WHERE id >= 2590 ORDER BY id) TO STDOUT")
		return tag.String() + out.String(), err
	})
	step("notifications", func() (interface{}, error) {
		if _, err := db.Exec(ctx, "LISTEN "+lab+"_x; NOTIFY "+lab+"_x, 'hello'"); err != nil {
			return nil, err
		}
		n, err := db.WaitForNotification(ctx)
		if err != nil {
			return nil, err
		}
		return n.Channel + n.Payload, nil
	})
	step("cancel request", func() (interface{}, error) {
		go func() { time.Sleep(300 * time.Millisecond); _ = db.PgConn().CancelRequest(ctx) }()
		return rows("SELECT pg_sleep(20)")
	})
	step("after the cancel", run("SELECT 1"))
	step("large objects", func() (interface{}, error) {
		tx, err := db.Begin(ctx)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback(ctx)
		objects := tx.LargeObjects()
		oid, err := objects.Create(ctx, 0)
		if err != nil {
			return nil, err
		}
		lo, err := objects.Open(ctx, oid, pgx.LargeObjectModeWrite)
		if err != nil {
			return nil, err
		}
		return lo.Write([]byte("abc"))
	})
	step("one customer", run("SELECT * FROM crm.customers WHERE id = $1", 25))
	for _, bad := range [][]string{{"wrong password", "password=wrong"}, {"unknown database", "dbname=no_such_database"}} {
		step(bad[0], func() (interface{}, error) { _, err := pgx.Connect(ctx, bad[1]); return nil, err })
	}
	step("clean up", exec("DROP SCHEMA "+lab+" CASCADE"))
	_ = db.Close(ctx)
}
