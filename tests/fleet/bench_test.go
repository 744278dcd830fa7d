package fleet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// BenchmarkPrompts sends prompts that cost next to nothing by eight clients and waits for the last one's end: to one process with its queue in
// SQLite, and to a server with one worker and NATS.
func BenchmarkPrompts(b *testing.B) { onBoth(b, flood) }

// BenchmarkPromptsWaiting sends prompts one after another while 5,000 wait, and reports the 99th percentile of the time of an answer.
func BenchmarkPromptsWaiting(b *testing.B) {
	onBoth(b, func(b *testing.B, p *process) {
		b.Helper()
		const waiting = 5000
		c := benchClient(b, p)
		if status, answer, err := c.do(b.Context(), http.MethodPost, c.url(p, "/api/v1/queue/pause"), nil); err != nil || status != http.StatusOK {
			b.Fatalf("pausing the queue: %d %s %v", status, answer, err)
		}
		for i := range waiting {
			c.prompt(b, p, i)
		}
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			c.prompt(b, p, len(took))
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
	})
}

// onBoth benchmarks one process with its queue in SQLite, and a server with one worker and NATS.
func onBoth(b *testing.B, bench func(*testing.B, *process)) {
	b.Helper()
	b.Run("local", func(b *testing.B) {
		p := &process{t: b, name: "local", port: freePort(b)}
		p.args = []string{"--port", strconv.Itoa(p.port), "--base-directory", b.TempDir(), "--cpu", "--no-models", "--disable-all-custom-nodes"}
		p.start()
		defer p.kill()
		bench(b, p)
	})
	b.Run("nats", func(b *testing.B) {
		f := newFleet(b, 1, 1)
		bench(b, f.servers[0])
	})
}

// benchClient is a client of a server that answers.
func benchClient(b *testing.B, p *process) *client {
	b.Helper()
	c := &client{f: &fleet{servers: []*process{p}}, rnd: rand.New(rand.NewPCG(1, 2))}
	eventually(b, "the server answers", func() bool {
		status, _, err := c.do(b.Context(), http.MethodGet, c.url(p, "/api/v1/queue"), nil)
		return err == nil && status == http.StatusOK
	})
	return c
}

// prompt sends a prompt of two nodes with a value of its own.
func (c *client) prompt(b *testing.B, p *process, i int) {
	b.Helper()
	body := fmt.Appendf(nil, `{"client_id": "bench", "prompt_id": %q, "prompt": {"1": {"class_type": "PrimitiveInt", "inputs": {"value": %d}},
		"2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}}`, uuid.NewString(), i)
	if status, answer, err := c.do(b.Context(), http.MethodPost, c.url(p, "/prompt"), body); err != nil || status != http.StatusOK {
		b.Errorf("%d %s %v", status, answer, err)
	}
}

func flood(b *testing.B, p *process) {
	b.Helper()
	c := benchClient(b, p)
	ended := func() int {
		var state struct{ Running, Pending, History int }
		_, answer, err := c.do(b.Context(), http.MethodGet, c.url(p, "/api/v1/queue"), nil)
		if err != nil || json.Unmarshal(answer, &state) != nil {
			return 0
		}
		return state.History
	}
	c.prompt(b, p, -1)
	eventually(b, "the first prompt has run", func() bool { return ended() == 1 })
	b.ResetTimer()
	work := make(chan int, b.N)
	for i := range b.N {
		work <- i
	}
	close(work)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range work {
				c.prompt(b, p, i)
			}
		})
	}
	clients.Wait()
	for ended() < b.N+1 {
		time.Sleep(2 * time.Millisecond)
	}
}
