package queue_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"comfygo/queue"
	"comfygo/sqlite"
)

// TestMigrations opens files of every earlier version of the schema: what waited runs, what had finished is in the history.
func TestMigrations(t *testing.T) {
	t.Parallel()
	for version := 1; version < queue.Migrations; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "q.db")
			db := sqlite.Open(path, sqlite.Options{})
			_, err := db.Exec(queue.SchemaOf(version) + `;
				INSERT INTO jobs (seq, id, state, number, given, class, rank, sub, client, attempts, created, started, finished, place, status) VALUES
				(1, 'done', 2, 1, 0, 0, 1, 0, '', 1, 1, 2, 3, 1, '{"status_str": "success", "completed": true, "messages": []}');
				INSERT INTO jobs (seq, id, state, number, given, class, rank, sub, client, attempts, created) VALUES (2, 'waits', 0, 2, 0, 0, 2, 0, '', 0, 1);
				INSERT INTO bodies (seq, listing) VALUES (1, '[1, "done", {}, {}, ["1"]]'), (2, '[2, "waits", {}, {}, ["1"]]');
				INSERT INTO results (seq, tail) VALUES (1, '"outputs": {}}')`)
			must(t, errors.Join(err, db.Close()))
			r := open(t, path, nil)
			if ids := r.history(); len(ids) != 1 || ids[0] != "done" {
				t.Errorf("history %v", ids)
			}
			stop := r.work()
			defer stop()
			if id := <-r.started; id != "waits" {
				t.Errorf("%s runs", id)
			}
			r.release <- queue.Outcome{Success: true}
		})
	}
	if queue.SchemaVersion != int64(queue.Migrations) {
		t.Errorf("SchemaVersion is %d", queue.SchemaVersion)
	}
}
