// Package remesh makes a new mesh of even triangles from the distance field of another, as upstream does: cells of a grid near the
// surface, dual contouring (Ju et al. 2002; Schaefer, Ju and Warren 2007 for the manifold kind), then cleaning.
//
// The grid fills the cube from -0.5 to 0.5 and a little more.
package remesh

import (
	"context"
	"fmt"
	"math"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/geometry/nearest"
	"comfygo/internal/imaging/codec"
)

// Options configure the remeshing.
type Options struct {
	// Resolution is the number of cells along an axis.
	Resolution int
	// Signed takes the side of the surface into account, which needs consistent winding; else the result encloses the surface at a
	// distance of the band.
	Signed bool
	// Sharp places vertices by quadratic error functions, which keeps edges sharp.
	Sharp bool
	// Manifold makes several vertices in cells that several sheets cross. Signed only; it has no sharp edges.
	Manifold bool
	// Band is the width of the searched band in cells.
	Band float64
	// ProjectBack moves vertices toward the surface: 0 not, 1 onto it.
	ProjectBack float64
	FixPoles    bool
	// SmoothIterations is the number of steps of Taubin's filter.
	SmoothIterations int
	// DropSmall drops pieces of less than this part of the faces of the largest one.
	DropSmall float64
	// DropInverted drops pieces that are turned inside out, DropEnclosed those within the largest one.
	DropInverted, DropEnclosed bool

	Reserve  func(what string, bytes int64) error
	Progress func(done, total int)
}

// candidates is the number of triangles, by the distance of their centers, that are searched for the nearest one.
const candidates = 8

// remesher is one call.
type remesher struct {
	Options
	ctx     context.Context //nolint:containedctx // a remesher lives as long as one call
	it      *geometry.Item
	centers *nearest.Tree
	tree    *bvh.Tree
	normals []float32 // unit normals of the faces
	scale   float32
	band    float64

	cells [][3]int32
	field field

	done, steps int
}

// Mesh makes a mesh anew. Colors are interpolated, other attributes dropped. The result has no faces where the mesh lies outside the
// grid.
func Mesh(ctx context.Context, it *geometry.Item, o Options) (geometry.Item, error) {
	if it.FaceCount() == 0 {
		return geometry.Item{}, fmt.Errorf("remeshing: the mesh has no faces")
	}
	r := &remesher{Options: o, ctx: ctx, it: it}
	scale := (float64(o.Resolution) + 3*o.Band) / float64(o.Resolution)
	r.scale, r.band = float32(scale), o.Band*scale/float64(o.Resolution)
	r.steps = levels(o.Resolution) + 3 + o.SmoothIterations
	if err := r.prepare(); err != nil {
		return geometry.Item{}, err
	}
	if err := r.findCells(scale); err != nil {
		return geometry.Item{}, err
	}
	empty := geometry.Item{Vertices: []float32{}, Faces: []int32{}, Channels: it.Channels}
	if it.Colors != nil {
		empty.Colors = []float32{}
	}
	if len(r.cells) == 0 {
		return empty, nil
	}
	if err := r.measure(); err != nil {
		return geometry.Item{}, err
	}
	contour := r.contour
	if o.Manifold && o.Signed {
		contour = r.contourManifold
	}
	out, err := contour()
	if err != nil {
		return geometry.Item{}, err
	}
	r.tick()
	if out, err = r.finish(out, scale); err != nil || len(out.Faces) == 0 {
		return empty, err
	}
	return out, nil
}

func (r *remesher) tick() {
	r.done++
	r.Progress(r.done, r.steps)
}

// prepare builds what finds the nearest triangles.
func (r *remesher) prepare() error {
	n := r.it.FaceCount()
	if err := r.Reserve("remeshing a mesh", 80*int64(n)+bvh.Bytes(n)); err != nil {
		return err
	}
	centers := make([]float32, 3*n)
	r.normals = make([]float32, 3*n)
	err := geometry.Each(r.ctx, n, func(f int) {
		a, b, c := r.corners(int32(f))
		sum := a.Add(b).Add(c)
		geometry.Vec{sum[0] / 3, sum[1] / 3, sum[2] / 3}.Put(centers, int32(f))
		b.Sub(a).Cross(c.Sub(a)).Unit(1e-12).Put(r.normals, int32(f))
	})
	if err != nil {
		return err
	}
	if r.centers, err = nearest.New(r.ctx, centers); err != nil {
		return err
	}
	r.tree, err = bvh.New(r.ctx, r.it.Vertices, r.it.Faces)
	return err
}

func (r *remesher) corners(f int32) (a, b, c geometry.Vec) {
	i, j, k := r.it.Corner(int(f))
	return geometry.At(r.it.Vertices, i), geometry.At(r.it.Vertices, j), geometry.At(r.it.Vertices, k)
}

// closest returns the nearest point of the surface, looking at the triangles with the nearest centers, the distance and the triangle.
func (r *remesher) closest(p geometry.Vec) (q geometry.Vec, distance float32, face int32) {
	var list [candidates]int32
	least := float32(math.Inf(1))
	for _, f := range r.centers.FindSome(list[:0], p[0], p[1], p[2], candidates) {
		a, b, c := r.corners(f)
		if near, d := bvh.Closest(p, a, b, c); d < least {
			q, least, face = near, d, f
		}
	}
	return q, float32(math.Sqrt(float64(least))), face
}

// coarse is the resolution at which the search begins: halved while it is even and above 32.
func coarse(resolution int) int {
	for resolution > 32 && resolution%2 == 0 {
		resolution /= 2
	}
	return resolution
}

func levels(resolution int) int {
	n := 1
	for b := coarse(resolution); b < resolution; b *= 2 {
		n++
	}
	return n
}

// octants are the eight halves of a cell.
var octants = [8][3]int32{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {0, 0, 1}, {1, 0, 1}, {0, 1, 1}, {1, 1, 1}}

// reach is how far a cell's center may lie from the surface, in cells, beside the band: half of its diagonal.
const reach = 0.87

// findCells lists the cells near the surface, from coarse to fine.
func (r *remesher) findCells(scale float64) error {
	resolution := coarse(r.Resolution)
	if err := r.firstCells(resolution, scale); err != nil {
		return err
	}
	for {
		if err := r.keepNear(resolution, scale); err != nil {
			return err
		}
		r.tick()
		if resolution >= r.Resolution {
			return nil
		}
		resolution *= 2
		if err := r.Reserve("the cells of a mesh", 12*8*int64(len(r.cells))); err != nil {
			return err
		}
		fine := make([][3]int32, 0, 8*len(r.cells))
		err := geometry.Each(r.ctx, len(r.cells), func(i int) {
			c := r.cells[i]
			for _, o := range octants {
				fine = append(fine, [3]int32{2*c[0] + o[0], 2*c[1] + o[1], 2*c[2] + o[2]})
			}
		})
		if err != nil {
			return err
		}
		r.cells = fine
	}
}

func limit(resolution int, scale, band float64) float64 {
	return reach*(scale/float64(resolution)) + band
}

// center is the center of a cell.
func (r *remesher) center(c [3]int32, resolution int) (p geometry.Vec) {
	for k := range p {
		p[k] = ((float32(c[k])+0.5)/float32(resolution) - 0.5) * r.scale
	}
	return p
}

// firstCells lists the cells of the coarsest grid, in order, but for blocks that are certainly too far away.
func (r *remesher) firstCells(resolution int, scale float64) error {
	const side = 16
	size := scale / float64(resolution)
	far := limit(resolution, scale, r.band) + math.Sqrt(3)*size*side/2 + 1e-5
	blocks := (resolution + side - 1) / side
	near := make([]bool, blocks*blocks*blocks)
	codec.Parallel(len(near), 1<<12, func(from, to int) {
		for i := from; i < to && r.ctx.Err() == nil; i++ {
			var p geometry.Vec
			for k, b := range [3]int{i / (blocks * blocks), i / blocks % blocks, i % blocks} {
				p[k] = float32((float64(b*side)+side/2)/float64(resolution)-0.5) * r.scale
			}
			_, face, _ := r.tree.ClosestWithin(p, float32(far*far))
			near[i] = face >= 0
		}
	})
	n := int32(resolution)
	for x := range n {
		if err := context.Cause(r.ctx); err != nil {
			return err
		}
		for y := range n {
			row := (int(x)/side*blocks + int(y)/side) * blocks
			for z := int32(0); z < n; z += side {
				if !near[row+int(z)/side] {
					continue
				}
				for k := z; k < min(z+side, n); k++ {
					r.cells = append(r.cells, [3]int32{x, y, k})
				}
			}
		}
	}
	return nil
}

// keepNear leaves out cells that are too far away.
func (r *remesher) keepNear(resolution int, scale float64) error {
	most := float32(limit(resolution, scale, r.band))
	keep := make([]bool, len(r.cells))
	codec.Parallel(len(keep), 1<<12, func(from, to int) {
		for i := from; i < to; i++ {
			if i&0xfff == 0 && r.ctx.Err() != nil {
				return
			}
			_, d, _ := r.closest(r.center(r.cells[i], resolution))
			keep[i] = d < most
		}
	})
	kept := r.cells[:0]
	for i, c := range r.cells {
		if keep[i] {
			kept = append(kept, c)
		}
	}
	r.cells = kept
	return context.Cause(r.ctx)
}
