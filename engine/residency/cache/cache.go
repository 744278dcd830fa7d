// Package cache keeps costly values, such as sessions, under a budget of bytes.
//
// A value is built once for any number of requests, stays while it is used, and the one used longest ago is closed
// when room is needed. The package must not know the meaning of the values.
package cache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
)

// Cache maps keys to values that were built on demand. Its methods may be called concurrently.
type Cache[K comparable, V any] struct {
	close func(V)

	mu      sync.Mutex
	budget  int64
	used    int64
	present int // values that were taken and not closed yet, also forgotten ones still in use
	closed  bool
	empty   *sync.Cond // signalled when present becomes 0
	entries map[K]*entry[K, V]
	idle    *list.List // of *entry, the one used longest ago in front
	stats   Stats
	// clock is the rank of the value that was evicted last.
	clock float64
}

// Stats are figures since the cache was made.
type Stats struct {
	Entries   int   // values held, in use or not
	InUse     int   // values in use or being built
	Bytes     int64 // what the held values said they need
	Budget    int64
	Hits      int64
	Misses    int64
	Evictions int64
}

type entry[K comparable, V any] struct {
	key    K
	bytes  int64
	value  V
	users  int
	ready  chan struct{} // closed when building has ended
	failed bool
	doomed bool          // close it when the last user leaves
	place  *list.Element // in idle; nil while in use
	// cost is what building it again costs. rank orders idle values: it grows with cost, and with the time of their last use.
	cost, rank float64
}

// ErrClosed is returned by Get on a closed cache.
var ErrClosed = errors.New("the cache is closed")

// New makes a cache that closes idle values when the sum of their bytes and those in use is over budget.
// A budget of 0 or less keeps nothing that is not in use. closeValue is never called with a lock held.
func New[K comparable, V any](budget int64, closeValue func(V)) *Cache[K, V] {
	c := &Cache[K, V]{close: closeValue, budget: budget, entries: map[K]*entry[K, V]{}, idle: list.New()}
	c.empty = sync.NewCond(&c.mu)
	return c
}

// Get returns the value of key, building it if it is missing. bytes is its estimated size: idle values make room before
// building begins, so that the old and the new are not there together. Values in use are never closed, so the cache can be
// over its budget while they are. Concurrent calls for one key build once; when that fails, each of the others retries. done
// must be called when the value is no longer used; further calls have no effect.
func (c *Cache[K, V]) Get(ctx context.Context, key K, bytes int64, build func(context.Context) (V, error)) (value V, done func(), err error) {
	for {
		e, mine, closing, err := c.take(key, bytes)
		c.closeAll(closing)
		if err != nil {
			return value, nil, err
		}
		if mine {
			return c.build(ctx, e, build)
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			c.leave(e)
			return value, nil, fmt.Errorf("waiting for a cached value: %w", context.Cause(ctx))
		}
		if !e.failed {
			return e.value, c.leaver(e), nil
		}
	}
}

// take finds or makes the entry of key and counts the caller as its user. mine reports that the caller has to build it.
func (c *Cache[K, V]) take(key K, bytes int64) (e *entry[K, V], mine bool, closing []V, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, nil, ErrClosed
	}
	if e = c.entries[key]; e != nil {
		c.stats.Hits++
		c.use(e)
		return e, false, nil, nil
	}
	c.stats.Misses++
	e = &entry[K, V]{key: key, bytes: bytes, users: 1, ready: make(chan struct{})}
	closing = c.shrink(bytes)
	c.entries[key] = e
	c.used += bytes
	c.present++
	return e, true, closing, nil
}

// Charge adds bytes to the size of the value of key. The function that builds the value calls it once it knows the size:
// idle values are evicted as for Get.
func (c *Cache[K, V]) Charge(key K, bytes int64) {
	c.mu.Lock()
	var closing []V
	if e := c.entries[key]; e != nil {
		closing = c.shrink(bytes)
		e.bytes += bytes
		c.used += bytes
	}
	c.mu.Unlock()
	c.closeAll(closing)
}

// ChargeMore is Charge for a value that is built and in use: bytes, which may be negative, are charged unless the value was
// taken out of the table, which ended its account. is distinguishes the value from one that replaced it.
func (c *Cache[K, V]) ChargeMore(key K, bytes int64, is func(V) bool) {
	c.mu.Lock()
	var closing []V
	if e := c.entries[key]; e != nil && e.built() && is(e.value) {
		closing = c.shrink(bytes)
		e.bytes += bytes
		c.used += bytes
	}
	c.mu.Unlock()
	c.closeAll(closing)
}

// Cost sets what building the value of key again costs, in any unit. Idle values are evicted in the order of the GreedyDual-Size rule: those
// that cost little for their size and were not used for long come first, in the order of their last use where costs are 0.
func (c *Cache[K, V]) Cost(key K, cost float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		e.cost = cost
	}
}

// victim is the idle value to evict next.
func (c *Cache[K, V]) victim() *list.Element {
	best := c.idle.Front()
	for p := best; p != nil; p = p.Next() {
		if p.Value.(*entry[K, V]).rank < best.Value.(*entry[K, V]).rank {
			best = p
		}
	}
	return best
}

// built reports that the building of the value has ended, after which it may be read.
func (e *entry[K, V]) built() bool {
	select {
	case <-e.ready:
		return !e.failed
	default:
		return false
	}
}

func (c *Cache[K, V]) use(e *entry[K, V]) {
	e.users++
	if e.place != nil {
		c.idle.Remove(e.place)
		e.place = nil
	}
}

// build fills an entry. A panic in build counts as a failure before it continues.
func (c *Cache[K, V]) build(ctx context.Context, e *entry[K, V], build func(context.Context) (V, error)) (value V, done func(), err error) {
	built := false
	defer func() {
		c.mu.Lock()
		if !built {
			e.failed = true
			c.forget(e)
			c.used -= e.bytes
			c.gone(1)
		}
		c.mu.Unlock()
		close(e.ready)
	}()
	if e.value, err = build(ctx); err != nil {
		return value, nil, err
	}
	built = true
	return e.value, c.leaver(e), nil
}

// leaver returns a function that ends one use of e, once.
func (c *Cache[K, V]) leaver(e *entry[K, V]) func() {
	var once sync.Once
	return func() { once.Do(func() { c.leave(e) }) }
}

func (c *Cache[K, V]) leave(e *entry[K, V]) {
	c.mu.Lock()
	var closing []V
	e.users--
	if e.users == 0 && !e.failed {
		if e.doomed {
			c.used -= e.bytes
			closing = append(closing, e.value)
		} else {
			e.place = c.idle.PushBack(e)
			e.rank = c.clock
			if e.bytes > 0 {
				e.rank += e.cost / float64(e.bytes)
			}
			closing = c.shrink(0)
		}
	}
	c.mu.Unlock()
	c.closeAll(closing)
}

// forget takes an entry out of the table. A doomed one may have been replaced under its key already.
func (c *Cache[K, V]) forget(e *entry[K, V]) {
	if c.entries[e.key] == e {
		delete(c.entries, e.key)
	}
}

// shrink takes idle values out until need more bytes fit, and returns them for closing.
func (c *Cache[K, V]) shrink(need int64) []V {
	var closing []V
	for c.idle.Len() > 0 && c.used+need > c.budget {
		closing = append(closing, c.evict(c.victim()))
	}
	return closing
}

func (c *Cache[K, V]) evict(place *list.Element) V {
	e := c.idle.Remove(place).(*entry[K, V])
	e.place = nil
	c.forget(e)
	c.used -= e.bytes
	c.stats.Evictions++
	c.clock = max(c.clock, e.rank)
	return e.value
}

// closeAll closes values that are out of the table.
func (c *Cache[K, V]) closeAll(values []V) {
	if len(values) == 0 {
		return
	}
	for _, v := range values {
		c.close(v)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone(len(values))
}

// gone counts removed values.
func (c *Cache[K, V]) gone(n int) {
	if c.present -= n; c.present == 0 {
		c.empty.Broadcast()
	}
}

// Free closes idle values, in the order of Cost, until their bytes add up to at least want or none is left.
// It returns the number of freed bytes.
func (c *Cache[K, V]) Free(want int64) int64 {
	c.mu.Lock()
	before := c.used
	var closing []V
	for c.idle.Len() > 0 && before-c.used < want {
		closing = append(closing, c.evict(c.victim()))
	}
	freed := before - c.used
	c.mu.Unlock()
	c.closeAll(closing)
	return freed
}

// EvictAll closes all idle values, and lets those in use be closed by their last user instead of being kept.
func (c *Cache[K, V]) EvictAll() {
	c.mu.Lock()
	var closing []V
	for c.idle.Len() > 0 {
		closing = append(closing, c.evict(c.idle.Front()))
	}
	for k, e := range c.entries {
		e.doomed = true
		delete(c.entries, k) // the next Get builds anew
		c.stats.Evictions++
	}
	c.mu.Unlock()
	c.closeAll(closing)
}

// Doom has the value of key, which the caller uses, closed when its last user leaves; the next Get builds it anew.
func (c *Cache[K, V]) Doom(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil && e.users > 0 {
		e.doomed = true
		delete(c.entries, key)
		c.stats.Evictions++
	}
}

// Close closes all values, waiting for those in use, and rejects further calls of Get.
func (c *Cache[K, V]) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.EvictAll()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.present > 0 {
		c.empty.Wait()
	}
}

// SetBudget changes the budget and closes what no longer fits.
func (c *Cache[K, V]) SetBudget(bytes int64) {
	c.mu.Lock()
	c.budget = bytes
	closing := c.shrink(0)
	c.mu.Unlock()
	c.closeAll(closing)
}

// Stats returns the present figures.
func (c *Cache[K, V]) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries, s.InUse = len(c.entries), len(c.entries)-c.idle.Len()
	s.Bytes, s.Budget = c.used, c.budget
	return s
}
