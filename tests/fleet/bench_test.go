package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// BenchmarkPrompts sends prompts that cost next to nothing by eight clients and waits for the last one's end: to one process with its queue in
// SQLite, and to a server with one worker and NATS.
func BenchmarkPrompts(b *testing.B) {
	b.Run("local", func(b *testing.B) {
		p := &process{t: b, name: "local", port: freePort(b)}
		p.args = []string{"--port", strconv.Itoa(p.port), "--base-directory", b.TempDir(), "--cpu", "--no-models", "--disable-all-custom-nodes"}
		p.start()
		defer p.kill()
		flood(b, p)
	})
	b.Run("nats", func(b *testing.B) {
		f := newFleet(b, 1, 1)
		flood(b, f.servers[0])
	})
}

func flood(b *testing.B, p *process) {
	b.Helper()
	c := &client{f: &fleet{servers: []*process{p}}, rnd: rand.New(rand.NewPCG(1, 2))}
	ctx := context.Background()
	prompt := func(i int) {
		body := fmt.Appendf(nil, `{"client_id": "bench", "prompt_id": %q, "prompt": {"1": {"class_type": "PrimitiveInt", "inputs": {"value": %d}},
			"2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}}`, uuid.NewString(), i)
		if status, answer, err := c.do(ctx, http.MethodPost, c.url(p, "/prompt"), body); err != nil || status != http.StatusOK {
			b.Errorf("%d %s %v", status, answer, err)
		}
	}
	ended := func() int {
		var state struct{ Running, Pending, History int }
		_, answer, err := c.do(ctx, http.MethodGet, c.url(p, "/api/v1/queue"), nil)
		if err != nil || json.Unmarshal(answer, &state) != nil {
			return 0
		}
		return state.History
	}
	eventually(b, "the server answers", func() bool {
		status, _, err := c.do(ctx, http.MethodGet, c.url(p, "/api/v1/queue"), nil)
		return err == nil && status == http.StatusOK
	})
	prompt(-1)
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
				prompt(i)
			}
		})
	}
	clients.Wait()
	for ended() < b.N+1 {
		time.Sleep(2 * time.Millisecond)
	}
}
