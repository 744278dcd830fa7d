package imaging

import (
	"context"

	"comfygo/internal/imaging/codec"
)

// parallel calls work for disjoint ranges that cover [0,n) and returns when all calls have; see codec.Parallel.
func parallel(n, cost int, work func(from, to int)) { codec.Parallel(n, cost, work) }

// Chunks calls work for consecutive ranges that cover [0,n) and looks for an interrupt before each and at the end. cost is about the number of
// operations of one item; a range takes some milliseconds. It returns the cause of the context's end.
func Chunks(ctx context.Context, n, cost int, work func(from, to int)) error {
	const operations = 1 << 22
	size := max(operations/max(cost, 1), 1)
	for from := 0; from < n; from += size {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		work(from, min(from+size, n))
	}
	return context.Cause(ctx)
}
