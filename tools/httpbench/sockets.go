package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// crowd is many WebSocket clients of one server, each with a goroutine that reads.
type crowd struct {
	conns   []*websocket.Conn
	readers sync.WaitGroup
	heard   chan time.Time
	// round counts the broadcasts; a client reports only its first message of each.
	round atomic.Int64
}

func gather(ctx context.Context, t *target, n int) (*crowd, error) {
	c := &crowd{heard: make(chan time.Time, n)}
	for i := range n {
		address := "ws" + strings.TrimPrefix(t.URL, "http") + fmt.Sprintf("/ws?clientId=crowd-%d", i)
		conn, _, err := websocket.Dial(ctx, address, nil)
		if err != nil {
			c.leave()
			return nil, fmt.Errorf("opening socket %d: %w", i, err)
		}
		c.conns = append(c.conns, conn)
		if _, _, err := conn.Read(ctx); err != nil { // the greeting
			c.leave()
			return nil, fmt.Errorf("reading from socket %d: %w", i, err)
		}
		c.readers.Go(func() { c.listen(ctx, conn) })
	}
	return c, nil
}

func (c *crowd) listen(ctx context.Context, conn *websocket.Conn) {
	told := int64(0)
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return // leave has closed it, or it is missed when its time is asked for
		}
		at := time.Now()
		if now := c.round.Load(); now > told {
			told = now
			c.heard <- at
		}
	}
}

func (c *crowd) leave() {
	for _, conn := range c.conns {
		_ = conn.CloseNow()
	}
	c.readers.Wait()
}

// hear calls send and returns after how many milliseconds each client had a message.
func (c *crowd) hear(ctx context.Context, send func() error) ([]float64, error) {
	time.Sleep(quiet)
	c.round.Add(1)
	began := time.Now()
	if err := send(); err != nil {
		return nil, err
	}
	took := make([]float64, len(c.conns))
	late := time.NewTimer(soon)
	defer late.Stop()
	for i := range took {
		select {
		case at := <-c.heard:
			took[i] = at.Sub(began).Seconds() * 1000
		case <-late.C:
			return nil, fmt.Errorf("%d of %d sockets have not heard the message after %v", len(took)-i, len(took), soon)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return took, nil
}

// quiet is the pause before a broadcast, in which what follows the one before arrives.
const quiet = 50 * time.Millisecond

// measureSockets measures how long a broadcast takes to reach all clients, and its cost for the server. The broadcast is the status after a
// prompt was queued, or deleted, in a queue that is paused: one message to all clients for each.
func measureSockets(ctx context.Context, o options, r *report) (err error) {
	t, err := launch(ctx, o.server, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.client.Post(ctx, "/api/v1/queue/pause", nil, nil); err != nil {
		return err
	}
	all, err := gather(ctx, t, o.clients)
	if err != nil {
		return err
	}
	defer all.leave()
	c, err := dial(ctx, t)
	if err != nil {
		return err
	}
	defer c.close()
	p := &prompter{target: t, conn: c}
	id, colour := "", 0
	var half, most []float64 // of each round, with the one that warms up in front
	cpu, err := t.each(o.broadcasts, func(n int) error {
		var times []float64
		for i := range n {
			took, err := all.hear(ctx, func() (err error) {
				if i%2 == 0 {
					colour++
					id, err = p.post(trivial(colour))
					return err
				}
				_, _, err = p.conn.exchange(request(t, http.MethodPost, "/queue", fmt.Appendf(nil, `{"delete": [%q]}`, id)))
				return err
			})
			if err != nil {
				return err
			}
			times = append(times, took...)
		}
		slices.Sort(times)
		half, most = append(half, times[len(times)/2]), append(most, times[len(times)*99/100])
		return nil
	})
	if err != nil {
		return err
	}
	half, most = half[1:], most[1:]
	who := fmt.Sprintf("broadcast to %d sockets", o.clients)
	r.add(row{name: who + ", p50", unit: "ms", value: slices.Min(half), median: median(half), shared: true})
	r.add(row{name: who + ", p99", unit: "ms", value: slices.Min(most), median: median(most), limit: 50, shared: true})
	r.add(row{name: who + ", server's cost", unit: "CPU ms", value: cpu.lowest, median: cpu.median})
	u, err := t.Usage()
	const mib = 1 << 20
	r.add(row{name: fmt.Sprintf("memory with %d sockets", o.clients), unit: "MiB", value: float64(u.RSS) / mib})
	return err
}
