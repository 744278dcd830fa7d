package prompts

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

const (
	// keyHeader names a request, so that a client that did not hear the answer can send it again without a second job.
	keyHeader = "Idempotency-Key"
	// maxKeyLength is the longest name. The number of remembered keys is bounded like the queue's receipts.
	maxKeyLength = 255
)

// onceEntry is a request with a key: being worked on, or accepted.
type onceEntry struct {
	name string
	sum  [sha256.Size]byte
	at   time.Time
	done chan struct{} // closed when it is decided
	job  *queue.Job    // nil when it was refused; read after done
	text *pyjson.Object
	// jobID is the id of the job of a request that gives none. It is that of a request before, with again, if it is not known whether that one was
	// accepted: the queue then makes one job of both.
	jobID string
	again bool
	// open reports that it is not known whether the request was accepted. Guarded by the mutex of the keys.
	open bool
}

// onceKeys are the requests that came with a key.
type onceKeys struct {
	mu    sync.Mutex
	byKey map[string]*onceEntry
	order []*onceEntry
}

// claim returns the entry of a key and whether it is new, so that the caller has to decide it.
func (k *onceKeys) claim(name string, sum [sha256.Size]byte, now time.Time) (e *onceEntry, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.order) > 0 && (len(k.order) >= queue.ReceiptLimit || now.Sub(k.order[0].at) > queue.ReceiptLifetime) {
		if k.byKey[k.order[0].name] == k.order[0] {
			delete(k.byKey, k.order[0].name)
		}
		k.order = k.order[1:]
	}
	before := k.byKey[name]
	if before != nil && (!before.open || before.sum != sum) {
		return before, false
	}
	e = &onceEntry{name: name, sum: sum, at: now, done: make(chan struct{}), jobID: uuid.NewString()}
	if before != nil {
		e.jobID, e.again = before.jobID, true
	}
	if k.byKey == nil {
		k.byKey = map[string]*onceEntry{}
	}
	k.byKey[name] = e
	k.order = append(k.order, e)
	return e, true
}

// decide records the outcome of a claimed key; one that was refused is free again.
func (k *onceKeys) decide(e *onceEntry, job *queue.Job, text *pyjson.Object, err error) {
	var uncertain *queue.UncertainError
	k.mu.Lock()
	defer k.mu.Unlock()
	e.job, e.text = job, text
	e.open = job == nil && (e.again || errors.As(err, &uncertain))
	if job == nil && !e.open {
		delete(k.byKey, e.name)
	}
	close(e.done)
}

// Restore loads the requests of the program's last run, oldest first.
func (k *onceKeys) restore(receipts []queue.Receipt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range receipts {
		text, err := pyjson.UnmarshalObject(r.Answer)
		if err != nil || len(r.Sum) != sha256.Size {
			continue // the file has been changed
		}
		e := &onceEntry{name: r.Key, sum: [sha256.Size]byte(r.Sum), at: r.At, done: make(chan struct{}), job: r.Job, text: text}
		close(e.done)
		if k.byKey == nil {
			k.byKey = map[string]*onceEntry{}
		}
		k.byKey[e.name] = e
		k.order = append(k.order, e)
	}
}

// once handles a prompt unless one with the same key was accepted before: then the answer is the same, and nothing is
// queued.
func (s *Service) once(c echo.Context, body []byte, patience time.Duration, put func(*queue.Receipt) (*queue.Job, *pyjson.Object, error)) error {
	key := c.Request().Header.Get(keyHeader)
	if key == "" {
		job, reply, err := put(nil)
		if err != nil || job == nil {
			return err
		}
		return s.Jobs.Accepted(c, job, reply, patience)
	}
	if len(key) > maxKeyLength {
		return s.Reply.Complain(c, http.StatusBadRequest, fmt.Sprintf("%s has more than %d characters", keyHeader, maxKeyLength))
	}
	name := s.Access.Who(c).ID + "\x00" + c.Request().Header.Get("Comfy-User") + "\x00" + key
	sum := sha256.Sum256(body)
	for {
		e, fresh := s.keys.claim(name, sum, time.Now())
		if e.sum != sum {
			return s.Reply.Complain(c, http.StatusUnprocessableEntity, keyHeader+" was used for another prompt")
		}
		if fresh {
			return s.first(c, e, patience, put)
		}
		select {
		case <-e.done:
		case <-c.Request().Context().Done():
			return nil // the client has gone
		}
		if e.job != nil {
			c.Response().Header().Set("Idempotency-Replayed", "true")
			return s.Jobs.Accepted(c, e.job, e.text, patience)
		}
	}
}

// first handles the first request with a key.
func (s *Service) first(c echo.Context, e *onceEntry, patience time.Duration, put func(*queue.Receipt) (*queue.Job, *pyjson.Object, error)) error {
	var job *queue.Job
	var reply *pyjson.Object
	decided := false
	defer func() { // also when put panics
		if !decided {
			s.keys.decide(e, nil, nil, nil)
		}
	}()
	job, reply, err := put(&queue.Receipt{Key: e.name, Sum: e.sum[:], At: e.at, JobID: e.jobID})
	var repeated *queue.RepeatedError
	if errors.As(err, &repeated) { // another server has accepted it
		if !bytes.Equal(repeated.Receipt.Sum, e.sum[:]) {
			return s.Reply.Complain(c, http.StatusUnprocessableEntity, keyHeader+" was used for another prompt")
		}
		job = repeated.Receipt.Job
		if reply, err = pyjson.UnmarshalObject(repeated.Receipt.Answer); err != nil {
			return fmt.Errorf("reading the answer to the request before: %w", err)
		}
		c.Response().Header().Set("Idempotency-Replayed", "true")
	}
	decided = true
	s.keys.decide(e, job, reply, err)
	if err != nil || job == nil {
		return err
	}
	return s.Jobs.Accepted(c, job, reply, patience)
}

// RestoreKeys loads the keys of requests that were accepted before the start, oldest first.
func (s *Service) RestoreKeys(receipts []queue.Receipt) { s.keys.restore(receipts) }
