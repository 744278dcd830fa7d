// Package memory keeps the one budget of bytes that everything in the process shares: image decoding, previews, uploads
// and jobs. It knows the machine's free memory, the limit of --max-memory and what is promised to work that is under way;
// it must not know what the memory is for.
package memory

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// SizeError is the error of something too big for the free memory.
type SizeError struct {
	// What names the thing to be allocated, such as "an image of 16384x16384".
	What string
	// Need and Free are bytes; Need is the largest number when it does not fit one.
	Need, Free uint64
}

// Error names the thing to be allocated, the memory that it needs and the free memory.
func (e *SizeError) Error() string {
	return fmt.Sprintf("allocating %s: it needs %s of memory, %s are free", e.What, gib(e.Need), gib(e.Free))
}

// ExceptionType is the name that clients see.
func (e *SizeError) ExceptionType() string { return "MemoryError" }

func gib(n uint64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }

// Margin is the number of bytes that is never promised: it is left to everything else that the process does.
const Margin = 64 << 20

// Budget promises bytes to work that is about to take them. The zero value has no limit but the machine's free memory.
type Budget struct {
	// Free returns the machine's free bytes; nil asks the operating system.
	Free func() uint64
	// Resident returns the bytes that the process occupies; nil asks the operating system.
	Resident func() uint64

	mu       sync.Mutex
	limit    uint64
	reserved uint64
	waiting  uint64        // part of reserved, held by those that wait
	freed    chan struct{} // closed when a reservation ends
	cleaned  time.Time
}

// Process is the budget of this process.
var Process = &Budget{}

// SetLimit bounds the bytes that the process may occupy; 0 lifts the bound.
func (b *Budget) SetLimit(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = bytes
}

// Available returns the bytes that can still be promised. What is promised and already taken counts twice until the
// promise ends, so that the answer errs on the safe side.
func (b *Budget) Available() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return less(b.headroom(), b.reserved)
}

// headroom returns the memory that the machine and the limit leave, not counting reservations.
func (b *Budget) headroom() uint64 {
	free := b.Free
	if free == nil {
		free = freeMemory
	}
	left := free()
	if b.limit > 0 {
		resident := b.Resident
		if resident == nil {
			resident = residentMemory
		}
		left = min(left, less(b.limit, resident()))
	}
	return less(left, Margin)
}

// less is a-b, 0 when b is larger.
func less(a, b uint64) uint64 { return a - min(a, b) }

// small is the size that is granted without asking the operating system.
const small = 1 << 20

// Check fails with a *SizeError when need bytes cannot be promised now. what describes them for the message.
func (b *Budget) Check(what string, need uint64) error {
	if need <= small {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.fits(what, need, 0); err != nil {
		return err
	}
	return nil
}

// Reserve is ReserveMore for a caller without promises.
func (b *Budget) Reserve(ctx context.Context, what string, bytes int64) (release func(), err error) {
	return b.ReserveMore(ctx, what, bytes, 0)
}

// ReserveMore promises bytes until release is called, which may be called several times. held are the bytes that the caller was promised before and
// holds while it waits. It waits while the bytes would fit if the promises of others that do not wait ended, and fails with a *SizeError when they would
// not even then, or with the cause of ctx's end.
func (b *Budget) ReserveMore(ctx context.Context, what string, bytes, held int64) (release func(), err error) {
	need := uint64(max(bytes, 0))
	if need <= small {
		return func() {}, nil
	}
	own := uint64(max(held, 0))
	for {
		b.mu.Lock()
		others, err := b.fits(what, need, b.waiting+own)
		switch {
		case err == nil:
			b.reserved += need
			b.mu.Unlock()
			return sync.OnceFunc(func() { b.release(need) }), nil
		case !others:
			b.mu.Unlock()
			return nil, err
		}
		if b.freed == nil {
			b.freed = make(chan struct{})
		}
		freed := b.freed
		b.waiting += own
		b.mu.Unlock()
		var ended error
		select {
		case <-freed:
		case <-ctx.Done():
			ended = fmt.Errorf("waiting for memory for %s: %w", what, context.Cause(ctx))
		}
		b.mu.Lock()
		b.waiting = less(b.waiting, own)
		b.mu.Unlock()
		if ended != nil {
			return nil, ended
		}
	}
}

func (b *Budget) release(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved = less(b.reserved, bytes)
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// fits fails with a *SizeError if bytes do not fit beside all reservations; others reports that they would once those but held ended.
func (b *Budget) fits(what string, need, held uint64) (others bool, err error) {
	left := b.headroom()
	if need > less(left, b.reserved) && b.clean() {
		left = b.headroom()
	}
	free := less(left, b.reserved)
	if need <= free {
		return false, nil
	}
	theirs := less(b.reserved, held)
	return theirs > 0 && need <= less(saturated(left, theirs), held), &SizeError{What: what, Need: need, Free: free}
}

// saturated is a+b, the largest number when the sum does not fit.
func saturated(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// cleanInterval bounds how often unused memory is handed back to the operating system.
const cleanInterval = time.Second

// clean returns unused memory to the operating system, which counts it as taken until then.
func (b *Budget) clean() bool {
	if time.Since(b.cleaned) < cleanInterval {
		return false
	}
	debug.FreeOSMemory()
	b.cleaned = time.Now()
	return true
}

func residentMemory() uint64 {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return 0
	}
	used, err := p.MemoryInfo()
	if err != nil {
		return 0
	}
	return used.RSS
}
