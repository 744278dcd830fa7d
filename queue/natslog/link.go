package natslog

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// link tells when the connection is lost and when there is a new one: what was asked over the old one gets no answer any more.
type link struct {
	mu         sync.Mutex
	lost, back chan struct{} // closed at the next loss and the next new connection
}

// watch follows the states of conn until it is closed for good.
func (k *link) watch(conn *nats.Conn) {
	k.lost, k.back = make(chan struct{}), make(chan struct{})
	states := conn.StatusChanged(nats.RECONNECTING, nats.CONNECTED, nats.CLOSED)
	go func() {
		for s := range states {
			k.mu.Lock()
			if s == nats.CONNECTED {
				close(k.back)
				k.back = make(chan struct{})
			} else {
				close(k.lost)
				k.lost = make(chan struct{})
			}
			k.mu.Unlock()
			if s == nats.CLOSED {
				return
			}
		}
	}()
}

// next is closed when there is a new connection.
func (k *link) next() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.back
}

// during returns a context for one question: it ends with ctx, after a time, or when the connection that the question went over is lost.
func (k *link) during(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	k.mu.Lock()
	lost := k.lost
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	go func() {
		select {
		case <-lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
