package onnx

import "slices"

// arena simulates the memory layout of ONNX Runtime's arena, to estimate its overhead beyond the live values: freed regions
// seldom fit the next request. Source: onnxruntime core/framework/bfc_arena.cc, with its default settings.
type arena struct {
	regions []*region
	// next is the size of the next region, unless a request is larger.
	next int64
	// exact has each region have the size of the request.
	exact bool
}

// region is memory that was taken from the system at once.
type region struct {
	chunks []chunk // by offset, without gaps
	// touched is the end of the used memory: the system allocates pages on first write.
	touched int64
}

type chunk struct {
	offset, size int64
	used         bool
}

// span is memory that the arena gave.
type span struct {
	in     *region
	offset int64
}

// The arena's settings.
const (
	arenaFirst   = 1 << 20   // bytes of the first region
	arenaLargest = 1 << 30   // up to which regions grow by doubling
	arenaUnit    = 256       // to which sizes are rounded
	arenaDead    = 128 << 20 // of a chunk that may stay unused
)

// take gives memory: the smallest chunk that is large enough, cut when most of it would be left.
func (a *arena) take(bytes int64) span {
	bytes = max((bytes+arenaUnit-1)/arenaUnit*arenaUnit, arenaUnit)
	var best *region
	at := -1
	for _, r := range a.regions {
		for i, c := range r.chunks {
			if !c.used && c.size >= bytes && (best == nil || c.size < best.chunks[at].size) {
				best, at = r, i
			}
		}
	}
	if best == nil {
		best, at = a.extend(bytes), 0
	}
	c := &best.chunks[at]
	c.used = true
	if c.size >= 2*bytes || c.size-bytes >= arenaDead {
		rest := chunk{offset: c.offset + bytes, size: c.size - bytes}
		c.size = bytes
		best.chunks = slices.Insert(best.chunks, at+1, rest)
	}
	s := span{best, best.chunks[at].offset}
	best.touched = max(best.touched, s.offset+bytes)
	return s
}

func (a *arena) extend(bytes int64) *region {
	if a.exact {
		r := &region{chunks: []chunk{{size: bytes}}}
		a.regions = append(a.regions, r)
		return r
	}
	a.next = max(a.next, arenaFirst)
	grown := false
	for a.next < bytes {
		a.next, grown = 2*a.next, true
	}
	r := &region{chunks: []chunk{{size: a.next}}}
	if !grown && a.next < arenaLargest {
		a.next *= 2
	}
	a.regions = append(a.regions, r)
	return r
}

// free takes memory back and joins it with free neighbours.
func (s span) free() {
	cs := s.in.chunks
	i, _ := slices.BinarySearchFunc(cs, s.offset, func(c chunk, at int64) int { return int(min(max(c.offset-at, -1), 1)) })
	cs[i].used = false
	if i+1 < len(cs) && !cs[i+1].used {
		cs[i].size += cs[i+1].size
		cs = slices.Delete(cs, i+1, i+2)
	}
	if i > 0 && !cs[i-1].used {
		cs[i-1].size += cs[i].size
		cs = slices.Delete(cs, i, i+1)
	}
	s.in.chunks = cs
}

// touched is the memory that was ever used.
func (a *arena) touched() int64 {
	var n int64
	for _, r := range a.regions {
		n += r.touched
	}
	return n
}
