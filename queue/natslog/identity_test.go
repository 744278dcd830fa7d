package natslog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/queue/natslog"
)

// headed is an entry as it is written: the length of its head, the head, the body.
func headed(head, body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head+body...)
}

// TestWorkersCannotSpeakForEachOther has a worker's credentials try to end, leave, drain and tell for another worker. Nothing of it counts, neither
// at once nor for a server that starts later.
func TestWorkersCannotSpeakForEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.SaveEvery = 300 * time.Millisecond })
	r.worker(queue.WorkerAd{Name: "victim"})
	j := r.put(a, "wait", int64(1500))
	eventually(t, "the job runs", func() bool { running, _ := a.Snapshot(); return len(running) == 1 })
	victim := a.Workers()[0]
	if !victim.Keyed || victim.Protocol != queue.Protocol {
		t.Errorf("the worker is %+v", victim)
	}
	attacker := r.open(natslog.RoleWorker)
	defer func() { _ = attacker.Close() }()
	tail := `"outputs": {}, "status": {"status_str": "error", "completed": false, "messages": []}, "meta": {}}`
	told := string(binary.BigEndian.AppendUint32(nil, 6)) + "forged"
	for i, mac := range []string{"", strings.Repeat("\x00", 32)} {
		signed := ""
		if mac != "" {
			signed = `,"signed":true`
		}
		of := fmt.Sprintf(`"worker":%q,"seq":%d,"attempt":1,"id":%q%s`, victim.ID, j.Seq(), j.ID, signed)
		for k, e := range []struct {
			keep       queue.Keep
			head, body string
		}{
			{queue.KeepJob, fmt.Sprintf(`{"v":1,"type":"end",%s,"status":"error","tail":%d}`, of, len(tail)), tail},
			{queue.KeepEvents, fmt.Sprintf(`{"v":1,"type":"events",%s,"part":9}`, of), told},
			{queue.KeepCommand, fmt.Sprintf(`{"v":1,"type":"leave",%s}`, of), ""},
			{queue.KeepCommand, fmt.Sprintf(`{"v":1,"type":"drain","on":true,%s}`, of), ""},
			{queue.KeepCommand, fmt.Sprintf(`{"v":1,"type":"join",%s,"member":{"name":"another"}}`, of), ""},
		} {
			if err := attacker.Append(t.Context(), e.keep, fmt.Sprint("forged-", i, k), headed(e.head, e.body+mac)); err != nil {
				t.Fatal(err)
			}
		}
	}
	late := r.put(a) // after all of it
	if list := a.Workers(); len(list) != 1 || list[0].Draining || list[0].Ad.Name != "victim" || list[0].JobID != j.ID {
		t.Errorf("the workers are %+v", list)
	}
	eventually(t, "both jobs end", func() bool { return a.HistoryLen() == 2 })
	a.check(t, j, late)
	if text := string(a.Find(j.ID).Text()); !strings.Contains(text, `"status_str": "success"`) || r.count(j.ID) != 1 {
		t.Errorf("the job ran %d times and ended so: %s", r.count(j.ID), text)
	}
	b := r.server()
	eventually(t, "another server has the history", func() bool { return b.HistoryLen() == 2 })
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, heard := range b.heard {
		if strings.Contains(fmt.Sprint(id, heard), "forged") {
			t.Errorf("a server that started later repeats %v", heard)
		}
	}
}

// TestWorkersCannotReadOthersJobs listens with a worker's credentials to what all workers hear.
func TestWorkersCannotReadOthersJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	attacker := r.open(natslog.RoleWorker)
	defer func() { _ = attacker.Close() }()
	var mu sync.Mutex
	var all []byte
	stop, err := attacker.Receive("to.*", func(data []byte) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, data...)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	r.worker(queue.WorkerAd{Name: "w"})
	j := testJob(queue.Number{}, "text", "for the worker alone")
	j.Secrets = pyjson.NewObject("api_key", "a secret key")
	if err := a.Put(j); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job ends", func() bool { return a.HistoryLen() == 1 })
	a.check(t, j)
	mu.Lock()
	defer mu.Unlock()
	for _, text := range []string{"for the worker alone", "a secret key", j.ID, "PrimitiveInt"} {
		if strings.Contains(string(all), text) {
			t.Errorf("another worker reads %q", text)
		}
	}
}

// TestWorkersCannotBeatForEachOther holds that a worker's credentials do not keep another worker's job from being given to a living one.
func TestWorkersCannotBeatForEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	w := r.worker(queue.WorkerAd{Name: "w"})
	eventually(t, "it has joined", func() bool { return len(a.Workers()) == 1 })
	id := a.Workers()[0].ID
	attacker := r.open(natslog.RoleWorker)
	defer func() { _ = attacker.Close() }()
	_ = w.log.Close() // it dies
	eventually(t, "it counts as lost", func() bool {
		if err := attacker.Send("from."+id, headed(fmt.Sprintf(`{"v":1,"type":"beat","worker":%q}`, id), "")); err != nil {
			t.Error(err)
		}
		return len(a.Workers()) == 0
	})
}

// TestOlderServersKeepTheLevelDown runs a server beside one that understands less: the newer rules wait, and come into force when it is gone.
func TestOlderServersKeepTheLevelDown(t *testing.T) {
	t.Parallel()
	for speaks, works := range map[int]bool{1: false, 2: true} {
		t.Run(fmt.Sprint("version ", speaks), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			elder := r.open(natslog.RoleServer)
			defer func() { _ = elder.Close() }()
			if err := elder.Append(t.Context(), queue.KeepCommand, "first", headed(`{"v":1,"type":"pause"}`, "")); err != nil {
				t.Fatal(err)
			}
			var gone atomic.Bool
			ctx, cancel := context.WithCancel(t.Context())
			var beating sync.WaitGroup
			defer beating.Wait()
			defer cancel()
			beating.Go(func() {
				for ctx.Err() == nil && !gone.Load() {
					_ = elder.Send("srv.0", headed(fmt.Sprintf(`{"v":1,"type":"beat","worker":"0","speaks":%d}`, speaks), ""))
					time.Sleep(100 * time.Millisecond)
				}
			})
			a := r.server()
			hooked := testJob(queue.Number{})
			hooked.Options.Webhook = &queue.Webhook{URL: "https://example.com"}
			var option *queue.OptionError
			if works {
				eventually(t, "it answers", func() bool { return a.Stats().Err == nil })
				time.Sleep(2500 * time.Millisecond) // longer than a server is silent
				if err := a.Put(hooked); !errors.As(err, &option) {
					t.Errorf("a webhook: %v", err)
				}
			} else {
				eventually(t, "it says so", func() bool { err := a.Stats().Err; return err != nil && strings.Contains(err.Error(), "first version") })
				if err := a.Put(testJob(queue.Number{})); !errors.Is(err, queue.ErrUnavailable) {
					t.Errorf("a job beside a server of the first version: %v", err)
				}
			}
			gone.Store(true)
			r.worker(queue.WorkerAd{Name: "w"})
			eventually(t, "the rules are in force", func() bool { list := a.Workers(); return len(list) == 1 && list[0].Keyed })
			if err := a.Put(hooked); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWorkerBesideAnOlderServer starts a worker while an older server runs and this one leads: it joins without a key, and with one when the older
// server is gone.
func TestWorkerBesideAnOlderServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	elder := r.open(natslog.RoleServer)
	defer func() { _ = elder.Close() }()
	if err := elder.Append(t.Context(), queue.KeepCommand, "first", headed(`{"v":1,"type":"free"}`, "")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	beating.Go(func() {
		for ctx.Err() == nil {
			_ = elder.Send("srv.z", headed(`{"v":1,"type":"beat","worker":"z","speaks":2}`, ""))
			time.Sleep(100 * time.Millisecond)
		}
	})
	a := r.server()
	r.worker(queue.WorkerAd{Name: "w"})
	eventually(t, "it joins without a key", func() bool { list := a.Workers(); return len(list) == 1 && !list[0].Keyed })
	first := r.put(a)
	eventually(t, "a job ends", func() bool { return a.HistoryLen() == 1 })
	cancel()
	eventually(t, "it joins with a key", func() bool { list := a.Workers(); return len(list) == 1 && list[0].Keyed })
	second := r.put(a)
	eventually(t, "another job ends", func() bool { return a.HistoryLen() == 2 })
	a.check(t, first, second)
}

// TestWorkersOfBefore holds that a worker that knows no keys works beside others, is told apart, and can speak for none that has a key.
func TestWorkersOfBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	r.put(a) // so that the level is raised
	old := r.open(natslog.RoleWorker)
	defer func() { _ = old.Close() }()
	const id = "20e4ee0c-3b87-45ed-96ba-795d9c1d24cb"
	run := make(chan []byte, 16)
	stop, err := old.Receive("to."+id, func(data []byte) { run <- append([]byte(nil), data...) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := old.Append(t.Context(), queue.KeepCommand, "join", headed(`{"v":1,"type":"join","worker":"`+id+`","member":{"name":"old","classes":["PrimitiveInt"]}}`, "")); err != nil {
		t.Fatal(err)
	}
	select {
	case data := <-run:
		if !strings.Contains(string(data), `"type":"run"`) {
			t.Errorf("it gets %q", data)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it gets no job")
	}
	if w := a.Workers()[0]; w.Keyed || w.Protocol != 1 {
		t.Errorf("the worker is %+v", w)
	}
}

// uncertainLog does not know whether it has the next entry, and has no room for others until it is told so.
type uncertainLog struct {
	queue.Log
	mode atomic.Int32
}

func (l *uncertainLog) Append(ctx context.Context, k queue.Keep, id string, data []byte) error {
	switch l.mode.Load() {
	case 1:
		if !strings.Contains(string(data), `"type":"put"`) {
			break
		}
		l.mode.Store(2)
		return fmt.Errorf("%w: %w", queue.ErrUnavailable, queue.ErrUncertain)
	case 2:
		return fmt.Errorf("%w: %w", queue.ErrUnavailable, queue.ErrFull)
	}
	return l.Log.Append(ctx, k, id, data)
}

// TestFullStoreBehindAnUncertainChange holds that changes are refused for lack of room while one cannot be settled for that reason, and that all goes
// on with more room.
func TestFullStoreBehindAnUncertainChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var log *uncertainLog
	a := r.server(func(c *queue.DistributedConfig) {
		log = &uncertainLog{Log: c.Log}
		c.Log, c.Patience = log, 2*time.Second
	})
	r.put(a)
	log.mode.Store(1)
	first := make(chan error, 1)
	go func() { first <- a.Put(testJob(queue.Number{})) }()
	eventually(t, "the first change is open", func() bool { return log.mode.Load() == 2 })
	for range 3 {
		start := time.Now()
		if err := a.Put(testJob(queue.Number{})); !errors.Is(err, queue.ErrFull) || time.Since(start) > time.Second {
			t.Errorf("a change meanwhile, after %v: %v", time.Since(start), err)
		}
	}
	log.mode.Store(0)
	if err := <-first; !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("the first change: %v", err)
	}
	r.put(a)
	if _, pending := a.Snapshot(); len(pending) != 2 {
		t.Errorf("%d jobs wait, want 2", len(pending))
	}
}

// TestKeysHoldAtAllServers sends requests with one key to two servers at the same time.
func TestKeysHoldAtAllServers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fronts := []*front{r.server(), r.server()}
	results := make(chan error, 16)
	for i := range 16 {
		go func() {
			j := testJob(queue.Number{})
			j.Receipt = &queue.Receipt{Key: "k", Sum: []byte("sum"), Answer: []byte(`{"prompt_id": "` + j.ID + `"}`), At: time.Now()}
			results <- fronts[i%2].Put(j)
		}()
	}
	accepted, ids := 0, map[string]bool{}
	for range 16 {
		err := <-results
		var repeated *queue.RepeatedError
		switch {
		case err == nil:
			accepted++
		case errors.As(err, &repeated):
			ids[string(repeated.Receipt.Answer)] = true
		default:
			t.Error(err)
		}
	}
	if accepted != 1 || len(ids) != 1 {
		t.Errorf("%d were accepted, the others have the answers %v", accepted, ids)
	}
}

// TestWebhooksOfAFleet holds that each message is sent once, by whichever of the servers.
func TestWebhooksOfAFleet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	sent := map[string]int{}
	send := func(_ context.Context, d queue.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		sent[d.JobID+" "+d.ID]++
		return nil
	}
	hooked := func(c *queue.DistributedConfig) { c.Send = send }
	a, b := r.server(hooked), r.server(hooked)
	r.worker(queue.WorkerAd{Name: "w"})
	const jobs = 30
	for i := range jobs {
		j := testJob(queue.Number{})
		j.Options.Webhook = &queue.Webhook{URL: "https://example.com"}
		if err := []*front{a, b}[i%2].Put(j); err != nil {
			t.Fatal(err)
		}
	}
	arrived := func() (n int) {
		events, err := b.Events(0, 10000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Type == queue.EventHookArrived {
				n++
			}
		}
		return n
	}
	eventually(t, "all messages have arrived", func() bool { return arrived() == jobs })
	mu.Lock()
	defer mu.Unlock()
	for id, n := range sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	if len(sent) != jobs {
		t.Errorf("%d messages were sent, want %d", len(sent), jobs)
	}
}
