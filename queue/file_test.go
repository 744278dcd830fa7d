package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/sqlite"
)

// open makes a rig on a file; the same path again is a restart.
func open(t *testing.T, path string, change func(*queue.Config)) *rig {
	t.Helper()
	r := newRig(t, func(c *queue.Config) {
		c.Store = queue.NewFile(path, queue.FileOptions{})
		c.Now = nil
		if change != nil {
			change(c)
		}
	})
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) history() []string {
	ids := []string{}
	for _, row := range r.History(0, -1) {
		ids = append(ids, row.ID)
	}
	return ids
}

func (r *rig) eventTypes() (types []string) {
	r.t.Helper()
	events, err := r.Events(0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, e := range events {
		if e.Number != int64(i+1) {
			r.t.Fatalf("event %d has the number %d", i, e.Number)
		}
		types = append(types, strings.TrimSpace(e.Type+" "+e.JobID))
	}
	return types
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("waited in vain: " + what)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	r := open(t, path, nil)
	stop := r.work()
	if n := r.next(); n != 0 {
		t.Fatalf("first number %d", n)
	}
	r.put(0, "done")
	<-r.started
	r.release <- queue.Outcome{Success: true, Outputs: pyjson.NewObject("1", pyjson.NewObject("x", []any{int64(1)}))}
	eventually(t, "history", func() bool { return r.Find("done") != nil })
	text := string(r.Find("done").Text())
	for range 4 {
		r.next()
	}
	r.put(1, "cut")
	<-r.started
	r.put(3, "b", "a")
	r.put(-2, "front")
	r.put(2.5, "gone")
	if ok, err := r.Delete("gone"); !ok || err != nil {
		t.Errorf("deleting: %v %v", ok, err)
	}
	stop() // cuts the running job short
	r.close()

	again := open(t, path, nil)
	if got, want := again.pending(), []string{"front", "cut", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("after the restart %v wait, want %v", got, want)
	}
	if got := string(again.Find("done").Text()); got != text {
		t.Errorf("history\n%s\nwas\n%s", got, text)
	}
	if n := again.next(); n != 5 {
		t.Errorf("next number %d, want 5", n)
	}
	_, jobs := again.Snapshot()
	j := jobs[1]
	if v, _ := j.Prompt.Get("1"); v != any(int64(2)) || !slices.Equal(j.Outputs, []string{"1"}) || j.Extra.Has("key") {
		t.Errorf("the job came back as %s", j.Text())
	}
	if strings.Contains(string(j.Text()), "secret") {
		t.Error("a secret was kept")
	}
	want := []string{
		"queued done", "started done", "finished done", "queued cut", "started cut", "queued b", "queued a", "queued front",
		"queued gone", "removed gone", "requeued cut",
	}
	if got := again.eventTypes(); !slices.Equal(got, want) {
		t.Errorf("events %v\nwant %v", got, want)
	}
}

// crash leaves a file as a killed process would: with a job marked as running. It copies the files while they are open.
func crash(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "crashed.db")
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+end, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestCrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	r := open(t, path, nil)
	stop := r.work()
	r.put(1, "a")
	<-r.started
	r.put(2, "b")
	first := crash(t, path)
	stop()

	interrupted := open(t, crash(t, first), func(c *queue.Config) { c.OnRestart = queue.RestartInterrupt })
	stop = interrupted.work()
	if got := <-interrupted.started; got != "b" {
		t.Errorf("%s runs, want b", got)
	}
	if text := string(interrupted.Find("a").Text()); !strings.Contains(text, "execution_interrupted") || !strings.Contains(text, `"status_str": "error"`) {
		t.Errorf("a is %s", text)
	}
	stop()

	retried := open(t, first, nil)
	stop = retried.work()
	if got := <-retried.started; got != "a" {
		t.Errorf("%s runs, want a", got)
	}
	second := crash(t, first)
	stop()
	once := open(t, second, nil)
	stop = once.work()
	if got := <-once.started; got != "b" {
		t.Errorf("%s runs, want b: a had its second chance", got)
	}
	stop()
	if got := once.history(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("history %v", got)
	}
}

// TestFailingFile makes the file full, read-only and locked for a while: nothing is taken, nothing is lost, and work goes
// on by itself.
func TestFailingFile(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, breaks, mends string }{
		{"full", "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 4294967294"},
		{"read-only", "PRAGMA query_only = 1", "PRAGMA query_only = 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var store queue.Store
			r := open(t, filepath.Join(t.TempDir(), "q.db"), func(c *queue.Config) { store = c.Store })
			stop := r.work()
			defer stop()
			r.put(1, "running", "waiting")
			if got := <-r.started; got != "running" {
				t.Fatalf("%s runs", got)
			}
			queue.Exec(t, store, tt.breaks)
			refused := 0
			for i := range 40 {
				j := &queue.Job{ID: fmt.Sprint("refused", i), Prompt: pyjson.NewObject("text", strings.Repeat("x", 5000)), Extra: pyjson.NewObject()}
				if err := r.Put(j); err != nil {
					if !errors.Is(err, queue.ErrUnavailable) {
						t.Fatalf("the refusal is %v", err)
					}
					refused++
				} else if ok, err := r.Delete(j.ID); err == nil && !ok {
					t.Fatal("an accepted job is not there")
				}
			}
			if refused == 0 || r.Stats().Err == nil {
				t.Fatalf("%d refused, health %v", refused, r.Stats().Err)
			}
			r.release <- queue.Outcome{Success: true, Outputs: pyjson.NewObject("text", strings.Repeat("x", 20000))}
			time.Sleep(100 * time.Millisecond)
			if tt.name == "read-only" && (r.Find("running") != nil || len(r.started) > 0) {
				t.Error("a finished job is shown, or the next one started, although nothing can be written")
			}
			queue.Exec(t, store, tt.mends)
			eventually(t, "recovery", func() bool { return r.Stats().Err == nil })
			eventually(t, "history", func() bool { return r.Find("running") != nil })
			if got := <-r.started; got != "waiting" {
				t.Errorf("%s runs", got)
			}
			r.release <- queue.Outcome{Success: true}
			r.put(5, "later")
			if got := <-r.started; got != "later" {
				t.Errorf("%s runs", got)
			}
			r.release <- queue.Outcome{Success: true}
		})
	}
}

// TestOpensLater starts on a file that another connection holds locked.
func TestOpensLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	r := open(t, path, nil)
	r.put(1, "a")
	r.close()
	db := sqlite.Open(path, sqlite.Options{})
	defer func() { _ = db.Close() }()
	for _, text := range []string{"PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	late := open(t, path, nil)
	if err := late.Put(&queue.Job{ID: "b", Extra: pyjson.NewObject()}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("queueing: %v", err)
	}
	if late.Stats().Err == nil {
		t.Error("the queue says that it is well")
	}
	stop := late.work()
	defer stop()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-late.started; got != "a" {
		t.Errorf("%s runs", got)
	}
	late.release <- queue.Outcome{Success: true}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	used := open(t, filepath.Join(dir, "used.db"), nil)
	used.put(1, "a")
	newer := filepath.Join(dir, "newer.db")
	db := sqlite.Open(newer, sqlite.Options{})
	if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version = %d", queue.Migrations+1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	if err := os.WriteFile(other, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{filepath.Join(dir, "used.db"): "another comfygo uses it", newer: "newer comfygo", other: "not a database"} {
		_, err := queue.New(queue.Config{
			Store: queue.NewFile(path, queue.FileOptions{}),
			Run:   func(context.Context, *queue.Job) queue.Outcome { return queue.Outcome{} },
		})
		if err == nil || !strings.Contains(err.Error(), says) || errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	// Others may read the file while the queue works.
	reader := sqlite.Open(filepath.Join(dir, "used.db"), sqlite.Options{Pragmas: []string{"query_only = 1"}})
	defer func() { _ = reader.Close() }()
	var id string
	if err := reader.QueryRow("SELECT id FROM jobs WHERE state = 0").Scan(&id); err != nil || id != "a" {
		t.Errorf("another reader sees %q, %v", id, err)
	}
	used.put(2, "b")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	done := func(context.Context, *queue.Job) queue.Outcome { return queue.Outcome{Success: true} }
	r := open(t, path, func(c *queue.Config) { c.HistoryLimit, c.Run = 20, done })
	stop := r.work()
	for i := range 50 {
		r.put(float64(i), fmt.Sprintf("j%02d", i))
	}
	eventually(t, "jobs", func() bool { return r.Remaining() == 0 })
	r.put(99, "j40") // takes its old place
	eventually(t, "job", func() bool { return r.Remaining() == 0 })
	stop()
	got := r.history()
	if len(got) != 20 || got[0] != "j30" || got[10] != "j40" || !strings.Contains(string(r.Find("j40").Text()), "[99, ") {
		t.Errorf("history %v", got)
	}
	r.close()
	// After the restart everything is too old, and only ten events are kept.
	late := open(t, path, func(c *queue.Config) {
		c.HistoryAge, c.EventLimit, c.Run = time.Hour, 10, done
		c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	})
	if got := late.history(); len(got) != 20 || got[10] != "j40" {
		t.Errorf("after the restart %v", got)
	}
	stop = late.work()
	defer stop()
	eventually(t, "forgetting", func() bool { return late.HistoryLen() == 0 })
	events, err := late.Events(0, 1000)
	if err != nil || len(events) != 1 || events[0].Number != 153 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// TestFileShrinks sees that what is forgotten gives its room back.
func TestFileShrinks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	big := queue.Outcome{Success: true, Outputs: pyjson.NewObject("text", strings.Repeat("x", 50000))}
	r := open(t, path, func(c *queue.Config) {
		c.Run = func(context.Context, *queue.Job) queue.Outcome { return big }
	})
	stop := r.work()
	for i := range 100 {
		r.put(float64(i), fmt.Sprint(i))
	}
	eventually(t, "jobs", func() bool { return r.Remaining() == 0 })
	stop()
	r.close()
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	late := open(t, path, func(c *queue.Config) {
		c.HistoryAge = time.Hour
		c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	})
	stop = late.work()
	eventually(t, "forgetting", func() bool { return late.HistoryLen() == 0 })
	stop()
	late.close()
	if after := size(); before < 4<<20 || after > before/10 {
		t.Errorf("the file has %d bytes, it had %d", after, before)
	}
}
