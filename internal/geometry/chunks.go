package geometry

import "context"

// chunk is the number of things after which an interrupt is looked for: some milliseconds of work.
const chunk = 1 << 16

// Chunks calls do for consecutive parts of 0…n-1 and looks for an interrupt before each. It returns the cause of the context's end.
func Chunks(ctx context.Context, n int, do func(from, to int)) error {
	for from := 0; from < n; from += chunk {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		do(from, min(from+chunk, n))
	}
	return context.Cause(ctx)
}

// Each calls do for each of 0…n-1, as Chunks does for parts.
func Each(ctx context.Context, n int, do func(i int)) error {
	return Chunks(ctx, n, func(from, to int) {
		for i := from; i < to; i++ {
			do(i)
		}
	})
}
