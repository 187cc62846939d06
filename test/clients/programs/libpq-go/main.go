// One JSON line for each step, with its result or its error: database/sql with lib/pq.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lib/pq"
)

var lab = os.Getenv("LAB")

func step(name string, work func() (interface{}, error)) {
	line := map[string]interface{}{"step": name}
	if ok, err := work(); err != nil {
		var inner *pq.Error
		if errors.As(err, &inner) {
			line["error"] = []string{inner.Severity, string(inner.Code), inner.Message, inner.Detail, inner.Position, inner.Constraint}
		} else {
			line["error"] = err.Error()
		}
	} else {
		line["ok"] = ok
	}
	out, _ := json.Marshal(line)
	fmt.Println(string(out))
}

func main() {
	mode := "sslmode=disable"
	if os.Getenv("PGSSLROOTCERT") != "" {
		mode = "sslmode=verify-full"
	}
	pool, err := sql.Open("postgres", mode)
	if err != nil {
		panic(err)
	}
	pool.SetMaxOpenConns(1)
	rows := func(query string, values ...interface{}) (interface{}, error) {
		found, err := pool.Query(query, values...)
		if err != nil {
			return nil, err
		}
		defer found.Close()
		names, _ := found.Columns()
		out := []interface{}{names}
		for found.Next() {
			row := make([]sql.NullString, len(names))
			into := make([]interface{}, len(names))
			for i := range row {
				into[i] = &row[i]
			}
			if err := found.Scan(into...); err != nil {
				return nil, err
			}
			out = append(out, row)
		}
		return out, found.Err()
	}
	run := func(query string, values ...interface{}) func() (interface{}, error) {
		return func() (interface{}, error) { return rows(query, values...) }
	}
	exec := func(query string) func() (interface{}, error) {
		return func() (interface{}, error) { _, err := pool.Exec(query); return "done", err }
	}
	step("schema", exec("DROP SCHEMA IF EXISTS "+lab+" CASCADE; CREATE SCHEMA "+lab+"; SET search_path TO "+lab+", public"))
	step("table", exec("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 200) g"))
	step("parameters", run("SELECT $1::int AS i, $2::text AS t, $3::bytea AS b", 1, "x", []byte{0, 255}))
	step("several results", func() (interface{}, error) {
		found, err := pool.Query("SELECT 1; SELECT 2")
		if err != nil {
			return nil, err
		}
		defer found.Close()
		n := 0
		for more := true; more; more = found.NextResultSet() {
			for found.Next() {
				n++
			}
		}
		return n, found.Err()
	})
	step("prepared", func() (interface{}, error) {
		s, err := pool.Prepare("SELECT v FROM t WHERE id = $1")
		if err != nil {
			return nil, err
		}
		defer s.Close()
		var out []string
		for i := 1; i < 8; i++ {
			var v string
			if err := s.QueryRow(i).Scan(&v); err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	})
	step("error with its position", run("SELECT nothing FROM t WHERE id = $1", 1))
	step("violation", exec("INSERT INTO t VALUES (1)"))
	step("error in the middle of rows", run("SELECT 10 / (100 - g) FROM generate_series(1, 120) g"))
	step("transaction", func() (interface{}, error) {
		tx, err := pool.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable})
		if err != nil {
			return nil, err
		}
		_, first := tx.Exec("INSERT INTO t VALUES ($1)", 900)
		_, second := tx.Exec("INSERT INTO t VALUES ($1)", 900)
		return fmt.Sprint(first, second, tx.Commit()), nil
	})
	step("copy in", func() (interface{}, error) {
		tx, err := pool.Begin()
		if err != nil {
			return nil, err
		}
		s, err := tx.Prepare(pq.CopyInSchema(lab, "t", "id", "v"))
		if err != nil {
			return nil, err
		}
		for i := 1000; i < 1400; i++ {
			if _, err := s.Exec(i, "copied"); err != nil {
				return nil, err
			}
		}
		_, err = s.Exec()
		if err == nil {
			err = s.Close()
		}
		if err == nil {
			err = tx.Commit()
		}
		return "done", err
	})
	step("after the copy", run("SELECT count(*) FROM t"))
	step("context given up, which cancels", func() (interface{}, error) {
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		_, err := pool.ExecContext(ctx, "SELECT pg_sleep(20)")
		return nil, err
	})
	step("after the cancel", run("SELECT 1"))
	step("notifications", func() (interface{}, error) {
		listener := pq.NewListener(mode, time.Second, time.Minute, nil)
		defer listener.Close()
		if err := listener.Listen(lab + "_g"); err != nil {
			return nil, err
		}
		if _, err := pool.Exec("SELECT pg_notify($1, 'hello')", lab+"_g"); err != nil {
			return nil, err
		}
		select {
		case n := <-listener.Notify:
			return []string{n.Channel, n.Extra}, nil
		case <-time.After(10 * time.Second):
			return nil, errors.New("nothing was heard")
		}
	})
	step("arrays", run("SELECT $1::int[] AS a", pq.Array([]int{1, 2, 3})))
	step("binary parameters", func() (interface{}, error) {
		other, _ := sql.Open("postgres", mode+" binary_parameters=yes")
		defer other.Close()
		var v string
		err := other.QueryRow("SELECT v FROM "+lab+".t WHERE id = $1", 3).Scan(&v)
		return v, err
	})
	step("one customer", run("SELECT * FROM crm.customers WHERE id = $1", 24))
	for name, dsn := range map[string]string{"wrong password": " password=wrong"} {
		step(name, func() (interface{}, error) { other, _ := sql.Open("postgres", mode+dsn); defer other.Close(); return nil, other.Ping() })
	}
	step("unknown database", func() (interface{}, error) { other, _ := sql.Open("postgres", mode+" dbname=no_such_database"); defer other.Close(); return nil, other.Ping() })
	step("clean up", exec("DROP SCHEMA "+lab+" CASCADE"))
}
