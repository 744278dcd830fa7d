package natslog_test

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"comfygo/queue"
	"comfygo/queue/natslog"
)

// benchFleet returns a server with workers whose jobs only wait.
func benchFleet(b *testing.B, workers int, wait time.Duration, changed func(remaining int)) queue.Queue {
	b.Helper()
	ns, err := natslog.Serve(natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(ns.Close)
	open := func(role natslog.Role) *natslog.Log {
		l, err := natslog.Open(b.Context(), natslog.Config{URLs: []string{ns.URL()}, Credentials: ns.Files[role], Role: role})
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	q, err := queue.NewDistributed(queue.DistributedConfig{Log: open(natslog.RoleServer), Config: queue.Config{Changed: changed}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = q.Work(ctx) })
	for range workers {
		log := open(natslog.RoleWorker)
		w := queue.NewRemoteWorker(queue.RemoteConfig{
			Log: log, Ad: func() queue.WorkerAd { return queue.WorkerAd{Classes: []string{"PrimitiveInt"}} },
			Run: func(_ context.Context, _ *queue.Job, tell func([]byte, bool)) queue.Outcome {
				tell([]byte(`{"type": "execution_start"}`), false)
				time.Sleep(wait)
				return queue.Outcome{Success: true}
			},
		})
		all.Go(func() { _ = w.Work(ctx); _ = log.Close() })
	}
	for len(q.Workers()) < workers {
		time.Sleep(time.Millisecond)
	}
	b.Cleanup(func() {
		cancel()
		all.Wait()
		if err := q.Close(); err != nil {
			b.Error(err)
		}
	})
	return q
}

// benchLocal is the durable queue of one process.
func benchLocal(b *testing.B, wait time.Duration, changed func(remaining int)) queue.Queue {
	b.Helper()
	q, err := queue.New(queue.Config{
		Changed: changed,
		Store:   queue.NewFile(filepath.Join(b.TempDir(), "q.db"), queue.FileOptions{}),
		Run:     func(context.Context, *queue.Job) queue.Outcome { time.Sleep(wait); return queue.Outcome{Success: true} },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := q.Close(); err != nil {
			b.Error(err)
		}
	})
	return q
}

// drive queues n jobs from eight clients and waits for their ends.
func drive(b *testing.B, q queue.Queue, n int) {
	b.Helper()
	var clients sync.WaitGroup
	jobs := make(chan struct{}, n)
	for range n {
		jobs <- struct{}{}
	}
	close(jobs)
	for range 8 {
		clients.Go(func() {
			for range jobs {
				if err := q.Put(testJob(nextNumber(b, q))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	clients.Wait()
	for q.Remaining() > 0 {
		time.Sleep(200 * time.Microsecond)
	}
}

// BenchmarkJobs runs jobs that cost nothing, from Put to history: the queue of one process on disk beside one in NATS with one worker.
func BenchmarkJobs(b *testing.B) {
	b.Run("local", func(b *testing.B) { q := benchLocal(b, 0, nil); b.ResetTimer(); drive(b, q, b.N) })
	b.Run("nats", func(b *testing.B) { q := benchFleet(b, 1, 0, nil); b.ResetTimer(); drive(b, q, b.N) })
}

// BenchmarkWorkers runs jobs that wait 200 ms by one worker and by 16.
func BenchmarkWorkers(b *testing.B) {
	for name, workers := range map[string]int{"1": 1, "16": 16} {
		b.Run(name, func(b *testing.B) {
			q := benchFleet(b, workers, 200*time.Millisecond, nil)
			b.ResetTimer()
			drive(b, q, b.N)
		})
	}
}

// BenchmarkPutWaiting queues a job onto 5,000 that wait, and reports the 99th percentile.
func BenchmarkPutWaiting(b *testing.B) {
	for name, open := range map[string]func(*testing.B) queue.Queue{
		"local": func(b *testing.B) queue.Queue { return benchLocal(b, 0, nil) },
		"nats":  func(b *testing.B) queue.Queue { return benchFleet(b, 0, 0, nil) },
	} {
		b.Run(name, func(b *testing.B) {
			q := open(b)
			if err := q.Pause(); err != nil {
				b.Fatal(err)
			}
			for range 5000 {
				if err := q.Put(testJob(nextNumber(b, q))); err != nil {
					b.Fatal(err)
				}
			}
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if err := q.Put(testJob(nextNumber(b, q))); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

// BenchmarkStart measures from Put to the beginning of the job, of one job at a time.
func BenchmarkStart(b *testing.B) {
	for name, open := range map[string]func(*testing.B, func(int)) queue.Queue{
		"local": func(b *testing.B, changed func(int)) queue.Queue { return benchLocal(b, 0, changed) },
		"nats":  func(b *testing.B, changed func(int)) queue.Queue { return benchFleet(b, 1, 0, changed) },
	} {
		b.Run(name, func(b *testing.B) {
			empty := make(chan struct{}, 16) // sleeping until the queue is empty would take most of the time
			q := open(b, func(remaining int) {
				if remaining == 0 {
					select {
					case empty <- struct{}{}:
					default:
					}
				}
			})
			for b.Loop() {
				for len(empty) > 0 {
					<-empty
				}
				if err := q.Put(testJob(queue.Number{})); err != nil {
					b.Fatal(err)
				}
				<-empty
			}
		})
	}
}

// BenchmarkWaiting reports a server's memory per waiting job, of 10,000.
func BenchmarkWaiting(b *testing.B) {
	for name, open := range map[string]func(*testing.B) queue.Queue{
		"local": func(b *testing.B) queue.Queue { return benchLocal(b, 0, nil) },
		"nats":  func(b *testing.B) queue.Queue { return benchFleet(b, 0, 0, nil) },
	} {
		b.Run(name, func(b *testing.B) {
			const jobs = 10000
			q := open(b)
			if err := q.Pause(); err != nil {
				b.Fatal(err)
			}
			before := heap()
			for b.Loop() {
				for range jobs {
					if err := q.Put(testJob(queue.Number{})); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(heap()-before)/float64(jobs*b.N), "heap-bytes/job")
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // a heap fits
}
