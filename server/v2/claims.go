package v2

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/queue"
)

const (
	keyHeader = "Idempotency-Key"
	// A key is valid for one request. These constants limit the time for which keys are remembered, their number, and the
	// length of a key in bytes.
	keyLifetime    = 24 * time.Hour
	rememberedKeys = 20000
	maxKeyLength   = 255
)

// KeyPrefix begins the keys of the receipts that jobs of this API are queued with.
const KeyPrefix = "api-v2\x00"

// Claims are the idempotency keys that requests have used. The zero value is empty.
type Claims struct {
	mu    sync.Mutex
	taken map[string]time.Time
	order []string
	// open are the job ids of requests of which it is not known whether they were accepted, by key.
	open map[string]string
}

// take claims a key, or returns false if it is taken.
func (k *Claims) take(name string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.order) > 0 {
		at, there := k.taken[k.order[0]]
		if there && len(k.order) < rememberedKeys && now.Sub(at) <= keyLifetime {
			break
		}
		delete(k.taken, k.order[0])
		k.order = k.order[1:]
	}
	if _, there := k.taken[name]; there {
		return false
	}
	if k.taken == nil {
		k.taken = map[string]time.Time{}
	}
	k.taken[name] = now
	k.order = append(k.order, name)
	return true
}

// Restore takes the key of a job that was queued before the server has begun.
func (k *Claims) Restore(r queue.Receipt) {
	if name, ours := strings.CutPrefix(r.Key, KeyPrefix); ours {
		k.take(name, r.At)
	}
}

// release frees the key of a request that came to nothing.
func (k *Claims) release(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.taken, name)
	for i := len(k.order) - 1; i >= 0; i-- { // a released key is one of the last
		if k.order[i] == name {
			k.order = append(k.order[:i], k.order[i+1:]...)
			return
		}
	}
}

// leave frees the key of a request of which it is not known whether it was accepted: the next request with it gives its job the same id, so that the
// queue makes one job of both.
func (k *Claims) leave(name, jobID string) {
	k.release(name)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil || len(k.open) >= rememberedKeys {
		k.open = map[string]string{}
	}
	k.open[name] = jobID
}

// jobID returns the job id for a request with a key, and whether it is that of a request before.
func (k *Claims) jobID(name string) (id string, again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id, again = k.open[name]; again {
		delete(k.open, name)
		return id, true
	}
	return uuid.NewString(), false
}

// once runs do unless its idempotency key was used before. The key stays claimed if do succeeds; it is free again if do
// fails, or panics, without having made anything. do gets the receipt that a job has to be queued with for its key to
// outlive the server, or nil without a key.
func (a *API) once(c echo.Context, what string, do func(*queue.Receipt) error) error {
	key := c.Request().Header.Get(keyHeader)
	if key == "" {
		return do(nil)
	}
	if len(key) > maxKeyLength {
		return invalid("%s has more than %d characters", keyHeader, maxKeyLength)
	}
	owner, err := a.owner(c)
	if err != nil {
		return err
	}
	name := what + "\x00" + owner + "\x00" + key
	now := time.Now()
	used := problem(http.StatusUnprocessableEntity, IdempotencyKeyReuse, "%s was used before; the first request with it is the one that counts", keyHeader)
	if !a.claims.take(name, now) {
		return used
	}
	id, again := a.claims.jobID(name)
	kept := false
	defer func() {
		if !kept {
			a.claims.release(name)
		}
	}()
	var uncertain *queue.UncertainError
	var repeated *queue.RepeatedError
	err = do(&queue.Receipt{Key: KeyPrefix + name, Sum: []byte{}, At: now, JobID: id})
	switch {
	case err == nil:
		kept = true
	case errors.As(err, &repeated), again && errors.Is(err, queue.ErrTakenID): // the request before was accepted, here or by another server
		kept = true
		return used
	case again || errors.As(err, &uncertain):
		kept = true
		a.claims.leave(name, id)
	}
	return err
}
