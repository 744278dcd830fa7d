package natslog_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"comfygo/queue"
	"comfygo/queue/natslog"
)

// TestNumbers takes numbers at three servers at the same time: each is given once, and they go on after a restart.
func TestNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var logs []*natslog.Log
	for range 3 {
		logs = append(logs, r.open(natslog.RoleServer))
	}
	var mu sync.Mutex
	given := map[int64]int{}
	highest := int64(-1)
	take := func(logs ...*natslog.Log) {
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				n, err := logs[i%len(logs)].Count(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				given[n]++
				highest = max(highest, n)
			})
		}
		all.Wait()
	}
	take(logs...)
	if len(given) != 60 || highest != 59 {
		t.Errorf("60 numbers up to 59 are %d up to %d", len(given), highest)
	}
	for _, l := range logs {
		_ = l.Close()
	}
	again := r.open(natslog.RoleServer)
	defer func() { _ = again.Close() }()
	if n, err := again.Count(t.Context()); err != nil || n != 60 {
		t.Errorf("the next number is %d, %v", n, err)
	}
}

// TestNumbersOfBefore holds that numbers go on where servers that put one empty message for each have ended, and do not go back while one still runs.
func TestNumbersOfBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.open(natslog.RoleServer) // it makes the stream
	defer func() { _ = l.Close() }()
	conn, err := natslog.Connect(t.Context(), natslog.Config{URLs: []string{r.url}, Credentials: r.nats.Files[natslog.RoleServer], Role: natslog.RoleServer})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	before := func() {
		if _, err := js.Publish(t.Context(), "comfygo.number", nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		before()
	}
	for want := range int64(3) {
		if n, err := l.Count(t.Context()); err != nil || n != 5+want {
			t.Errorf("the next number is %d, %v; want %d", n, err, 5+want)
		}
	}
	var all sync.WaitGroup
	for range 40 { // they are taken together, so that they need fewer messages
		all.Go(func() {
			if _, err := l.Count(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	before()
	if n, err := l.Count(t.Context()); err != nil || n < 48 {
		t.Errorf("after a number that a server of before has taken the next is %d, %v; want 48 or more", n, err)
	}
}

// TestNewerEntryEndsAServer holds that a server ends with an error that says why when another process writes what it does not understand.
func TestNewerEntryEndsAServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	q, err := queue.NewDistributed(queue.DistributedConfig{Log: r.open(natslog.RoleServer)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- q.Work(t.Context()) }()
	log := r.open(natslog.RoleServer)
	defer func() { _ = log.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	head := `{"v":99,"type":"put"}`
	if err := log.Append(ctx, queue.KeepCommand, "newer", append([]byte{0, 0, 0, byte(len(head))}, head...)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "newer protocol: upgrade this one") {
			t.Errorf("it ends with %v", err)
		}
	case <-ctx.Done():
		t.Error("it goes on")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestNewerEntryOfAWorker holds that servers pass over an entry of a version that they do not understand when a worker's credentials have written it,
// at once and after a restart.
func TestNewerEntryOfAWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	first := r.put(a)
	log := r.open(natslog.RoleWorker)
	defer func() { _ = log.Close() }()
	if err := log.Append(t.Context(), queue.KeepCommand, "newer", headed(`{"v":99,"type":"join","worker":"w"}`, "")); err != nil {
		t.Fatal(err)
	}
	b := r.server()
	second := r.put(b)
	r.worker(queue.WorkerAd{Name: "w"})
	for _, f := range []*front{a, b} {
		eventually(t, "both jobs end", func() bool { return f.HistoryLen() == 2 })
		f.check(t, first, second)
	}
}
