package decimate

import (
	"math"

	"comfygo/internal/geometry"
)

// incidence lists the faces of each vertex, the first maxDegree of them.
type incidence struct {
	start []int32
	faces []int32 // indexes of the faces' first corners
}

func (s *state) incidence() (*incidence, error) {
	n := len(s.alive)
	t := &incidence{start: make([]int32, n+1), faces: make([]int32, len(s.faces))}
	if err := geometry.Each(s.ctx, len(s.faces), func(i int) { t.start[s.faces[i]+1]++ }); err != nil {
		return nil, err
	}
	for i := range n {
		t.start[i+1] += t.start[i]
	}
	next := make([]int32, n)
	copy(next, t.start)
	return t, geometry.Each(s.ctx, len(s.faces), func(i int) {
		v := s.faces[i]
		t.faces[next[v]] = int32(i - i%3)
		next[v]++
	})
}

func (t *incidence) of(v int32) []int32 {
	from, to := t.start[v], t.start[v+1]
	return t.faces[from:min(to, from+maxDegree)]
}

func has(f []int32, v int32) bool { return f[0] == v || f[1] == v || f[2] == v }

// shape checks the faces around an edge after its collapse: whether any turns over, and how far they are from equilateral on average.
func (s *state) shape(e edge, t *incidence) (flips bool, skinny float32) {
	count := float32(0)
	for _, side := range [2]int32{e.a, e.b} {
		for _, at := range t.of(side) {
			f := s.faces[at : at+3]
			if has(f, e.a) == has(f, e.b) {
				continue
			}
			var before, after [3]geometry.Vec
			for k, v := range f {
				before[k] = geometry.At(s.vertices, v)
				after[k] = before[k]
				if v == e.a || v == e.b {
					after[k] = e.to
				}
			}
			e01, e02, e12 := after[1].Sub(after[0]), after[2].Sub(after[0]), after[2].Sub(after[1])
			next := e01.Cross(e02)
			area := next.Len()
			old := before[1].Sub(before[0]).Cross(before[2].Sub(before[0]))
			if d := old.Len() * area; d > 1e-20 && old.Dot(next)/d < 0 {
				flips = true
			}
			quality := float32(4*math.Sqrt(3)*0.5) * area / max(e01.Dot(e01)+e02.Dot(e02)+e12.Dot(e12), 1e-20)
			skinny += 1 - min(max(quality, 0), 1)
			count++
		}
	}
	return flips, skinny / max(count, 1)
}

// linked reports whether an edge may collapse without changing the topology: its ends have no more common neighbors than the edge has
// faces.
func (s *state) linked(e edge, t *incidence) bool {
	var near, common [2 * maxDegree]int32
	n, m, faces := 0, 0, 0
	for _, at := range t.of(e.b) {
		for _, v := range s.faces[at : at+3] {
			if v != e.a && v != e.b {
				near[n] = v
				n++
			}
		}
	}
	for _, at := range t.of(e.a) {
		f := s.faces[at : at+3]
		if has(f, e.b) {
			faces++
		}
		for _, v := range f {
			if v != e.a && v != e.b && contains(near[:n], v) && !contains(common[:m], v) {
				common[m] = v
				m++
			}
		}
	}
	return m <= faces
}

func contains(list []int32, v int32) bool {
	for _, e := range list {
		if e == v {
			return true
		}
	}
	return false
}
