package geometry

import (
	"context"
	"math"
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
	err := Chunks(ctx, len(faces), func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = Half{EdgeKey(faces[i], faces[i-i%3+(i+1)%3]), int32(i)}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, SortHalves(ctx, out)
}

// FloatKey is a key that is ordered as numbers are.
func FloatKey(v float32) uint64 {
	bits := math.Float32bits(v)
	if bits>>31 == 0 {
		return uint64(bits | 1<<31)
	}
	return uint64(^bits)
}

// SortHalves sorts half-edges by key; those of one key keep their order (radix sort, the lowest digits first).
func SortHalves(ctx context.Context, list []Half) error {
	const bits = 11
	if len(list) == 0 {
		return context.Cause(ctx)
	}
	differ := uint64(0)
	for _, h := range list {
		differ |= h.Key ^ list[0].Key
	}
	from, to := list, make([]Half, len(list))
	for shift := 0; shift < 64; shift += bits {
		if differ>>shift&(1<<bits-1) == 0 {
			continue
		}
		var next [1<<bits + 1]int
		err := Chunks(ctx, len(from), func(a, b int) {
			for _, h := range from[a:b] {
				next[h.Key>>shift&(1<<bits-1)+1]++
			}
		})
		if err != nil {
			return err
		}
		for d := range 1 << bits {
			next[d+1] += next[d]
		}
		err = Chunks(ctx, len(from), func(a, b int) {
			for _, h := range from[a:b] {
				d := h.Key >> shift & (1<<bits - 1)
				to[next[d]] = h
				next[d]++
			}
		})
		if err != nil {
			return err
		}
		from, to = to, from
	}
	if &from[0] != &list[0] {
		copy(list, from)
	}
	return nil
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

// EachEdge visits the half-edges of each edge in a sorted list of them.
func EachEdge(ctx context.Context, halves []Half, visit func(group []Half)) error {
	next := chunk
	for i := 0; i < len(halves); {
		if i >= next {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			next = i + chunk
		}
		j := i + 1
		for j < len(halves) && halves[j].Key == halves[i].Key {
			j++
		}
		visit(halves[i:j])
		i = j
	}
	return context.Cause(ctx)
}
