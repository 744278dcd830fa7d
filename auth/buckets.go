package auth

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// idleBucket is the time after which an unused bucket is dropped: it is full again by then.
const idleBucket = 10 * time.Minute

// bucketKey is the owner of a bucket: a principal or a network.
type bucketKey struct {
	kind  Bucket
	owner string
	from  netip.Prefix
}

type bucketEntry struct {
	limiter *rate.Limiter
	used    time.Time
}

// buckets are token buckets by principal and by address.
type buckets struct {
	mu  sync.Mutex
	all map[bucketKey]*bucketEntry
}

func newBuckets() *buckets { return &buckets{all: map[bucketKey]*bucketEntry{}} }

// of returns the rate and the burst of a kind; a rate of 0 means no limit.
func (l Limits) of(b Bucket) (perSecond float64, burst int) {
	if b == BucketPrompt {
		return l.Prompts, max(1, l.PromptsBurst)
	}
	return l.Requests, max(1, l.RequestsBurst)
}

// take takes one token, or returns the time until there is one.
func (b *buckets) take(key bucketKey, perSecond float64, burst int, now time.Time) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.all[key]
	if e == nil {
		if len(b.all) >= mostAddresses {
			for other := range b.all { // any: a full bucket is forgotten without loss, the others within reason
				delete(b.all, other)
				break
			}
		}
		e = &bucketEntry{limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
		b.all[key] = e
	}
	e.used = now
	if e.limiter.Limit() != rate.Limit(perSecond) || e.limiter.Burst() != burst {
		e.limiter.SetLimitAt(now, rate.Limit(perSecond))
		e.limiter.SetBurstAt(now, burst)
	}
	r := e.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (b *buckets) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, e := range b.all {
		if now.Sub(e.used) >= idleBucket {
			delete(b.all, key)
		}
	}
}

// Take implements Gate. Administrators are not counted.
func (s *Store) Take(b Bucket, p Principal, addr netip.Addr) time.Duration {
	if p.Admin {
		return 0
	}
	now := s.now()
	perSecond, burst := s.o.Address.of(b)
	if wait := s.buckets.take(bucketKey{kind: b, from: network(addr)}, perSecond, burst, now); wait > 0 || p.Anonymous() {
		return wait
	}
	perSecond, burst = s.Limits(p).of(b)
	return s.buckets.take(bucketKey{kind: b, owner: p.ID}, perSecond, burst, now)
}
