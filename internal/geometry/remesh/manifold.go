package remesh

import (
	"sync"

	"comfygo/internal/geometry"
	"comfygo/internal/imaging/codec"
)

// sheets says, for each pattern of corners outside (bit k: corner k), how many sheets cross a cell and to which sheet each edge
// belongs, -1 for edges that are not crossed.
type sheets struct {
	count [256]int
	of    [256][12]int8
}

// patterns are the sheets of all patterns. A sheet lies between a connected part of the corners inside and one outside.
var patterns = sync.OnceValue(func() *sheets {
	s := &sheets{}
	for pattern := range 256 {
		outside := func(c int) bool { return pattern>>c&1 != 0 }
		parts := geometry.NewSets(8)
		for _, e := range edges {
			if outside(e[0]) == outside(e[1]) {
				parts.Join(int32(e[0]), int32(e[1]))
			}
		}
		known := map[[2]int32]int8{}
		for i, e := range edges {
			s.of[pattern][i] = -1
			if outside(e[0]) == outside(e[1]) {
				continue
			}
			in, out := parts.Find(int32(e[0])), parts.Find(int32(e[1]))
			if outside(e[0]) {
				in, out = out, in
			}
			if _, ok := known[[2]int32{in, out}]; !ok {
				known[[2]int32{in, out}] = int8(len(known))
			}
			s.of[pattern][i] = known[[2]int32{in, out}]
		}
		s.count[pattern] = len(known)
	}
	return s
})

// contourManifold is contour with a vertex for each sheet of a cell.
func (r *remesher) contourManifold() (geometry.Item, error) {
	table := patterns()
	if err := r.Reserve("the vertices of a mesh", 64*int64(len(r.cells))); err != nil {
		return geometry.Item{}, err
	}
	pattern := make([]uint8, len(r.cells))
	codec.Parallel(len(r.cells), 1<<11, func(from, to int) {
		for i := from; i < to && (i&0xfff != 0 || r.ctx.Err() == nil); i++ {
			for k, d := range r.field.around(r.cells[i]) {
				if d > 0 {
					pattern[i] |= 1 << k
				}
			}
		}
	})
	first := make([]int32, len(r.cells)+1)
	for i, p := range pattern {
		first[i+1] = first[i] + int32(table.count[p])
	}
	out := geometry.Item{Vertices: make([]float32, 3*first[len(r.cells)])}
	codec.Parallel(len(r.cells), 1<<11, func(from, to int) {
		for i := from; i < to && (i&0xfff != 0 || r.ctx.Err() == nil); i++ {
			r.placeSheets(r.cells[i], &table.of[pattern[i]], out.Vertices[3*first[i]:3*first[i+1]])
		}
	})
	for _, s := range shared {
		var squares []square
		err := geometry.Each(r.ctx, len(r.cells), func(i int) {
			if table.of[pattern[i]][s.own] < 0 {
				return
			}
			if q, ok := r.sheetSquare(r.cells[i], s.cells, s.edge, pattern, first, table); ok {
				q.flip = pattern[i]>>edges[s.own][0]&1 != 0
				squares = append(squares, q)
			}
		})
		if err != nil {
			return out, err
		}
		out.Faces = split(out.Faces, squares)
	}
	return out, nil
}

// sheetSquare finds the vertices of the four cells around an edge that belong to the sheet that crosses it.
func (r *remesher) sheetSquare(c [3]int32, cells [4][3]int32, edge [4]int, pattern []uint8, first []int32, table *sheets) (q square, ok bool) {
	for k, o := range cells {
		n := r.field.cell([3]int32{c[0] + o[0], c[1] + o[1], c[2] + o[2]})
		if n < 0 {
			return q, false
		}
		sheet := table.of[pattern[n]][edge[k]]
		if sheet < 0 {
			return q, false
		}
		q.v[k] = first[n] + int32(sheet)
	}
	return q, true
}

// placeSheets puts the vertex of each sheet at the mean of its crossings.
func (r *remesher) placeSheets(c [3]int32, of *[12]int8, vertices []float32) {
	d := r.field.around(c)
	var count [4]float32
	for i, e := range edges {
		if of[i] < 0 {
			continue
		}
		a, b := d[e[0]], d[e[1]]
		t := float32(0)
		if abs(a-b) > 1e-20 {
			t = min(max(a/(a-b), 0), 1)
		}
		sheet := int32(of[i])
		geometry.At(vertices, sheet).Add(r.crossing(c, e, t)).Put(vertices, sheet)
		count[sheet]++
	}
	for s := range int32(len(vertices) / 3) {
		v := geometry.At(vertices, s)
		geometry.Vec{v[0] / count[s], v[1] / count[s], v[2] / count[s]}.Put(vertices, s)
	}
}
