package geometry

import (
	"cmp"
	"context"
	"slices"
)

// Sort sorts a list as slices.Sort does, and looks for an interrupt on the way.
func Sort[T cmp.Ordered](ctx context.Context, list []T) error {
	err := Chunks(ctx, len(list), func(from, to int) { slices.Sort(list[from:to]) })
	if err != nil || len(list) <= chunk {
		return err
	}
	from, to := list, make([]T, len(list))
	for size := chunk; size < len(list); size *= 2 {
		for at := 0; at < len(list); at += 2 * size {
			middle, end := min(at+size, len(list)), min(at+2*size, len(list))
			if err := merge(ctx, to[at:end], from[at:middle], from[middle:end]); err != nil {
				return err
			}
		}
		from, to = to, from
	}
	copy(list, from)
	return nil
}

// merge merges two sorted lists.
func merge[T cmp.Ordered](ctx context.Context, to, a, b []T) error {
	return Chunks(ctx, len(to), func(at, end int) {
		for ; at < end; at++ {
			if len(b) == 0 || len(a) > 0 && !cmp.Less(b[0], a[0]) {
				to[at], a = a[0], a[1:]
			} else {
				to[at], b = b[0], b[1:]
			}
		}
	})
}
