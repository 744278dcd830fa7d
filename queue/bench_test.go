package queue_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// benchQueue makes a queue whose jobs cost nothing; path "" keeps it in memory.
func benchQueue(b *testing.B, path string) *queue.Local {
	b.Helper()
	cfg := queue.Config{Run: func(context.Context, *queue.Job) queue.Outcome { return queue.Outcome{Success: true} }}
	if path != "" {
		cfg.Store = queue.NewFile(path, queue.FileOptions{})
	}
	q, err := queue.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := q.Close(); err != nil {
			b.Error(err)
		}
	})
	return q
}

func benchStores(b *testing.B, bench func(b *testing.B, path string)) {
	b.Run("memory", func(b *testing.B) { bench(b, "") })
	b.Run("file", func(b *testing.B) { bench(b, filepath.Join(b.TempDir(), "q.db")) })
}

func benchJob(n int64) *queue.Job {
	node := pyjson.NewObject("class_type", "PrimitiveInt", "inputs", pyjson.NewObject("value", n))
	return &queue.Job{
		Number: queue.Number{Value: float64(n)}, ID: fmt.Sprintf("%036d", n), Prompt: pyjson.NewObject("1", node, "2", node),
		Extra: pyjson.NewObject("client_id", "bench", "create_time", n), Outputs: []string{"2"},
	}
}

// BenchmarkPut queues jobs from eight clients at once onto 5,000 that wait; nothing runs.
func BenchmarkPut(b *testing.B) {
	benchStores(b, func(b *testing.B, path string) {
		q := benchQueue(b, path)
		var n atomic.Int64
		for range 5000 {
			if err := q.Put(benchJob(n.Add(1))); err != nil {
				b.Fatal(err)
			}
		}
		b.SetParallelism(4)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := q.Put(benchJob(n.Add(1))); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkRun queues jobs that cost nothing and runs them: from Put to history.
func BenchmarkRun(b *testing.B) {
	benchStores(b, func(b *testing.B, path string) {
		q := benchQueue(b, path)
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- q.Work(ctx) }()
		var n atomic.Int64
		b.SetParallelism(4)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := q.Put(benchJob(n.Add(1))); err != nil {
					b.Error(err)
				}
			}
		})
		for q.Remaining() > 0 {
			time.Sleep(100 * time.Microsecond)
		}
		b.StopTimer()
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkOpen starts on a file with 8,000 finished and 5,000 waiting jobs.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "q.db")
	func() {
		q := benchQueue(b, path)
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- q.Work(ctx) }()
		for n := range int64(8000) {
			if err := q.Put(benchJob(n)); err != nil {
				b.Fatal(err)
			}
		}
		for q.Remaining() > 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		for n := range int64(5000) {
			if err := q.Put(benchJob(8000 + n)); err != nil {
				b.Fatal(err)
			}
		}
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	for b.Loop() {
		q := benchQueue(b, path)
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
