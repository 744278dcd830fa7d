package queue

import (
	"context"
	"crypto/ecdh"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// greet gets the fleet's key from a server, and a name for the worker: its own key or, where servers do not know keys yet, a UUID. It waits for a
// server. stop ends the receiving of messages to that name.
func (w *RemoteWorker) greet(ctx context.Context) (id string, stop func(), err error) {
	key, err := newKey()
	if err != nil {
		return "", nil, err
	}
	id = workerID(key.PublicKey())
	w.begin(id, nil)
	if stop, err = w.receive(ctx, id); err != nil {
		return "", nil, err
	}
	answer, err := w.awaitServer(ctx, id)
	if err != nil {
		stop()
		return "", nil, err
	}
	if answer.Type == messageWelcome {
		c, err := channelToFleet(id, key, answer.Key)
		if err != nil {
			stop()
			return "", nil, err
		}
		w.begin(id, c)
		return id, stop, nil
	}
	stop()
	id = uuid.NewString()
	w.log.Warn("the servers of this fleet are older than this worker: it joins without a key", "worker", id)
	w.begin(id, nil)
	stop, err = w.receive(ctx, id)
	return id, stop, err
}

// channelToFleet is the channel from the worker's side.
func channelToFleet(id string, own *ecdh.PrivateKey, fleet []byte) (*channel, error) {
	key, err := ecdh.X25519().NewPublicKey(fleet)
	if err != nil {
		return nil, fmt.Errorf("reading the fleet's key: %w", err)
	}
	return newChannel(id, key, own, key)
}

// awaitServer greets servers until one answers or ctx ends.
func (w *RemoteWorker) awaitServer(ctx context.Context, id string) (entry, error) {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	for n := int64(1); ; n++ {
		if n == tellAfter {
			w.log.Info("waiting for a server of the fleet")
		}
		w.send(id, entry{Type: messageBeat, Worker: id, Joined: true, Speaks: Protocol, Request: n})
		select {
		case <-ctx.Done():
			return entry{}, context.Cause(ctx)
		case <-tick.C:
		case e := <-w.greeted:
			return e, nil
		}
	}
}

const (
	greetEvery = 250 * time.Millisecond
	// tellAfter is after how many beats without an answer a worker tells what it waits for.
	tellAfter = 12
)

// begin gives the worker a name and the channel that goes with it.
func (w *RemoteWorker) begin(id string, c *channel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.id, w.joined, w.next, w.channel = id, time.Time{}, nil, c
	select {
	case <-w.greeted:
	default:
	}
}

func (w *RemoteWorker) receive(ctx context.Context, id string) (stop func(), err error) {
	return w.cfg.Log.Receive(toWorker+id, func(data []byte) { w.heard(ctx, id, data) })
}

// hear reads a message of a server. Where the worker has a key only an encrypted one counts, and a welcome, which says that it is not of the fleet.
func (w *RemoteWorker) hear(id string, data []byte) (*entry, error) {
	c := w.channelOf(id)
	if c == nil || !strings.HasPrefix(string(data[:min(len(data), len(sealedMark))]), sealedMark) {
		e, err := decodeEntry(data)
		if err == nil && c != nil && e.Type != messageWelcome {
			err = errNotSealed
		}
		return e, err
	}
	plain, err := c.open(data)
	if err != nil {
		return nil, err
	}
	return decodeEntry(plain)
}

// channelOf is the channel of the worker under a name that it has, or nil.
func (w *RemoteWorker) channelOf(id string) *channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channel != nil && w.channel.id == id {
		return w.channel
	}
	return nil
}
