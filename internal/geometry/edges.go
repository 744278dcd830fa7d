package geometry

import (
	"cmp"
	"context"
	"slices"
)

// Half is a half-edge: the side of a face from corner Half%3 to the next one, of face Half/3.
type Half struct {
	// Key is the same for all half-edges between two vertices: the smaller index in the upper half.
	Key  uint64
	Half int32
}

// Ends returns the smaller and the larger vertex.
func (h Half) Ends() (lo, hi int32) { return int32(h.Key >> 32), int32(h.Key) }

// EdgeKey is the key of the edge between two vertices.
func EdgeKey(a, b int32) uint64 {
	return uint64(min(a, b))<<32 | uint64(max(a, b))
}

// SortedEdges returns the half-edges of faces [M,3] sorted by their vertices, those of one edge by their number.
func SortedEdges(ctx context.Context, faces []int32) ([]Half, error) {
	out := make([]Half, len(faces))
	for i, a := range faces {
		b := faces[i-i%3+(i+1)%3]
		out[i] = Half{EdgeKey(a, b), int32(i)}
	}
	return out, SortHalves(ctx, out)
}

// SortHalves sorts half-edges by key, then number. It sorts runs and merges them, so that an interrupt ends it soon.
func SortHalves(ctx context.Context, list []Half) error {
	const run = 1 << 18
	less := func(a, b Half) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Half, b.Half)) }
	for i := 0; i < len(list); i += run {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		slices.SortFunc(list[i:min(i+run, len(list))], less)
	}
	if len(list) <= run {
		return nil
	}
	from, to := list, make([]Half, len(list))
	for width := run; width < len(list); width *= 2 {
		for i := 0; i < len(list); i += 2 * width {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			merge(to[i:min(i+2*width, len(list))], from[i:min(i+width, len(list))], from[min(i+width, len(list)):min(i+2*width, len(list))], less)
		}
		from, to = to, from
	}
	if &from[0] != &list[0] {
		copy(list, from)
	}
	return nil
}

func merge(to, a, b []Half, less func(a, b Half) int) {
	for k := range to {
		if len(b) == 0 || len(a) > 0 && less(a[0], b[0]) <= 0 {
			to[k], a = a[0], a[1:]
			continue
		}
		to[k], b = b[0], b[1:]
	}
}

// Sets are disjoint sets of the numbers 0…n-1; each is named by its smallest number.
type Sets struct{ parent []int32 }

// NewSets returns n sets of one number each.
func NewSets(n int) *Sets {
	s := &Sets{make([]int32, n)}
	for i := range s.parent {
		s.parent[i] = int32(i)
	}
	return s
}

// Find returns the smallest number of x's set.
func (s *Sets) Find(x int32) int32 {
	for s.parent[x] != x {
		s.parent[x] = s.parent[s.parent[x]]
		x = s.parent[x]
	}
	return x
}

// Join unites the sets of two numbers.
func (s *Sets) Join(a, b int32) {
	a, b = s.Find(a), s.Find(b)
	s.parent[max(a, b)] = min(a, b)
}
