package codec

import (
	"context"
	"runtime/debug"
	"sync"
)

// tracker counts work that continues after a decoder has returned.
type tracker struct{ sync.WaitGroup }

type trackerKey struct{}

// Detach runs work that cannot be interrupted, such as another library's decoder, on a goroutine of its own, and returns
// when it is done or ctx has ended, in that case with the cause. Limits bound such work; its charge is kept until it
// ends, see File.Settle. A panic of work is passed on to the caller.
func Detach(ctx context.Context, work func() error) error {
	type outcome struct {
		err      error
		panicked any
	}
	done := make(chan outcome, 1)
	t, tracked := ctx.Value(trackerKey{}).(*tracker)
	if tracked {
		t.Add(1)
	}
	go func() {
		var o outcome
		defer func() {
			o.panicked = recover()
			done <- o
			if tracked {
				t.Done()
			}
		}()
		o.err = work()
	}()
	select {
	case o := <-done:
		if o.panicked != nil {
			panic(o.panicked)
		}
		return o.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Settle calls release when all decoding of the file has ended, which is at once unless a library still ran when the
// context ended.
func (f *File) Settle(release func()) {
	if !f.detached {
		release()
		return
	}
	go func() {
		f.tracker.Wait()
		release()
	}()
}

// large is the number of bytes from which it pays to return unused memory at once.
const large = 16 << 20

// Reclaim returns unused memory to the operating system after the given number of bytes has become garbage, so that the
// peak of large images is that of the estimate rather than twice of it.
func Reclaim(garbage int64) {
	if garbage >= large {
		debug.FreeOSMemory()
	}
}
