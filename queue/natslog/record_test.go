package natslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"comfygo/queue"
	"comfygo/queue/natslog"
)

// TestRecordProtocol writes what servers and workers of this version append to the file that PROTOCOL_RECORD names: queue/testdata/protocolN.jsonl, when
// the version is new. TestRecordedProtocols replays it.
func TestRecordProtocol(t *testing.T) {
	path := os.Getenv("PROTOCOL_RECORD")
	if path == "" {
		t.Skip("PROTOCOL_RECORD names no file")
	}
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.Send = func(context.Context, queue.Delivery) error { return nil } })
	w1 := r.worker(queue.WorkerAd{Name: "w1"})
	r.worker(queue.WorkerAd{Name: "w2", Labels: []string{"big"}})
	eventually(t, "both workers have joined", func() bool { return len(a.Workers()) == 2 })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(owner string, pairs ...any) *queue.Job {
		j := testJob(nextNumber(t, a), pairs...)
		j.Owner = owner
		if len(pairs) == 0 {
			j.Options.Webhook = &queue.Webhook{URL: "https://example.com", Secret: "s"}
			j.Receipt = &queue.Receipt{Key: j.ID, Sum: []byte("sum"), Answer: []byte("{}"), At: time.Now()}
		}
		must(a.Put(j))
		return j
	}
	for range 3 {
		put("")
		eventually(t, "it ends", func() bool { return a.Remaining() == 0 })
	}
	last := put("ann", "wait", int64(60000))
	eventually(t, "it runs", func() bool { running, _ := a.Snapshot(); return len(running) == 1 })
	time.Sleep(50 * time.Millisecond) // it tells something
	_, err := a.Cancel(last.ID)
	must(err)
	eventually(t, "it has ended", func() bool { return a.HistoryLen() == 4 })
	_, err = a.Share(last.ID, true)
	must(err)
	must(a.Pause())
	var jobs []*queue.Job
	for _, owner := range []string{"ann", "ann", "ann", "bob", "ann"} {
		jobs = append(jobs, put(owner))
	}
	_, err = a.Delete(jobs[1].ID)
	must(err)
	must(a.SetClass(jobs[4].ID, queue.High))
	must(a.MoveTo(jobs[2].ID, 0))
	w1.stop()
	eventually(t, "one has left", func() bool { return len(a.Workers()) == 1 })
	_, err = a.DrainWorker(a.Workers()[0].ID, true)
	must(err)
	conn, err := natslog.Connect(t.Context(), natslog.Config{URLs: []string{r.url}, Credentials: r.nats.Files[natslog.RoleServer], Role: natslog.RoleServer})
	must(err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(err)
	stream, err := js.Stream(t.Context(), "COMFYGO")
	must(err)
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		must(err)
		must(lines.Encode(map[string]any{"subject": m.Subject, "data": m.Data, "time": m.Time}))
	}
	must(os.WriteFile(path, out.Bytes(), 0o600))
}
