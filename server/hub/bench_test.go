package hub_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

// BenchmarkBroadcast sends to 1,000 clients and measures how long it takes until each has the message.
func BenchmarkBroadcast(b *testing.B) {
	const clients = 1000
	h, addr := serve(b, hub.Config{})
	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conn, _, err := websocket.Dial(b.Context(), addr+fmt.Sprint("/?clientId=c", i), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.CloseNow() })
		if _, _, err := conn.Read(b.Context()); err != nil { // the greeting
			b.Fatal(err)
		}
		conns[i] = conn
	}
	data := pyjson.NewObject("text", strings.Repeat("x", 500))
	var all []time.Duration
	for b.Loop() {
		took := make([]time.Duration, clients)
		var readers sync.WaitGroup
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		begin := time.Now()
		for i, conn := range conns {
			readers.Go(func() {
				if _, _, err := conn.Read(ctx); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(begin)
			})
		}
		h.Send("test", data, hub.Everyone)
		readers.Wait()
		cancel()
		all = append(all, took...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-p50")
}
