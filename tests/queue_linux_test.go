package tests_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comfygo/internal/apiclient"
	"comfygo/sqlite"
	"comfygo/tools/load"
)

// limitFiles lets a process write no file beyond a size, as a full disk does; the returned function lifts the limit.
func limitFiles(t *testing.T, pid int, size uint64) (lift func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &old, nil); err != nil {
			t.Error(err)
		}
	}
}

// lockQueue holds the queue's file as a tool that works on it does; the returned function lets it go.
func lockQueue(t *testing.T, base string) (release func()) {
	t.Helper()
	db := sqlite.Open(filepath.Join(base, "user", "comfygo-queue.db"), sqlite.Options{})
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUnwritable takes the queue's file away from the running server for a while: it refuses prompts with a clear
// error, reports that it is unhealthy, keeps answering, and recovers by itself with nothing lost.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, i *instance) (mend func()){
		"disk full":             func(t *testing.T, i *instance) func() { return limitFiles(t, i.process.PID(), 16<<10) },
		"nothing to be written": func(t *testing.T, i *instance) func() { return limitFiles(t, i.process.PID(), 0) },
		"locked":                func(t *testing.T, i *instance) func() { return lockQueue(t, i.base) },
	}
	for name, breaks := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			sendTiny(t, server, 50)
			mend := breaks(t, server)
			server.refuses(t)
			if _, err := server.health(t); err == nil {
				t.Error("the server says that it is healthy")
			}
			if err := server.Get(t.Context(), "/queue", nil); err != nil {
				t.Errorf("asking for the queue: %v", err)
			}
			mend()
			deadline := time.Now().Add(20 * time.Second)
			for status, err := server.health(t); status != http.StatusOK; status, err = server.health(t) {
				if time.Now().After(deadline) {
					t.Fatalf("the server does not recover: %v", err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			sendTiny(t, server, 50)
			finished := map[string]int{}
			queued := 0
			for _, e := range events(t, server.Base) {
				switch e.Type {
				case "queued":
					queued++
				case "finished":
					finished[e.ID]++
				}
			}
			if len(finished) != queued || queued < 100 {
				t.Errorf("%d jobs queued, %d finished", queued, len(finished))
			}
			for id, n := range finished {
				if n != 1 {
					t.Errorf("job %s finished %d times", id, n)
				}
			}
		})
	}
}

func sendTiny(t *testing.T, server *instance, n int) {
	t.Helper()
	if _, err := (load.Feed{URL: server.Base, Prompts: n, Clients: 2, Distinct: 10}).Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := load.Drained(t.Context(), server.Base); err != nil {
		t.Fatal(err)
	}
}

// health returns the status of /health, and the client's error for one that is not 200.
func (i *instance) health(t *testing.T) (int, error) {
	t.Helper()
	err := i.Get(t.Context(), "/health", nil)
	var status *apiclient.StatusError
	switch {
	case err == nil:
		return http.StatusOK, nil
	case errors.As(err, &status):
		return status.Code, err
	}
	t.Fatal(err)
	return 0, err
}

// refuses sends prompts until one is refused, and checks the refusal.
func (i *instance) refuses(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := 0; ; n++ {
		workflow := load.Prompt(n)
		workflow["3"] = map[string]any{"class_type": "PreviewAny", "inputs": map[string]any{"source": strings.Repeat("x", 8000)}}
		_, err := i.Queue(ctx, workflow, "")
		if err == nil {
			continue
		}
		var status *apiclient.StatusError
		if !errors.As(err, &status) || status.Code != http.StatusServiceUnavailable || !strings.Contains(err.Error(), "queue_unavailable") {
			t.Fatalf("refused with %v", err)
		}
		return
	}
}
