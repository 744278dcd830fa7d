package unwrap

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"comfygo/internal/geometry"
	"comfygo/internal/imaging/codec"
)

// Options configure the unwrapping of a mesh.
type Options struct {
	// Adaptive grows charts from seeds instead of joining pairs of them.
	Adaptive bool
	// Resolution is the side of the atlas in pixels that is aimed at, Padding the pixels between charts.
	Resolution, Padding int
	// WeldDistance is the distance within which vertices are merged, in parts of the diagonal; 0 chooses one.
	WeldDistance float64

	Reserve func(what string, bytes int64) error
	// Next is Reserve for another stage, which may give up what was reserved before: it is allocated by then, or not needed any more.
	Next     func(what string, bytes int64) error
	Progress func(done, total int)
}

// Parts of the work in thousandths: segmentation, then flattening, then packing.
const (
	afterWeld    = 20
	afterSegment = 350
	afterFlatten = 650
	allDone      = 1000
)

// fill is the part of an atlas that charts cover, about.
const fill = 0.62

// defaultSide is the default side of the texture.
const defaultSide = 1024

// Mesh returns a mesh with texture coordinates in 0…1, v upward. Vertices on seams are repeated for each chart; faces that are degenerate
// are left out. Colors are carried on, other attributes dropped.
func Mesh(ctx context.Context, it *geometry.Item, o Options) (geometry.Item, error) {
	if err := o.Reserve("unwrapping a mesh", 150*int64(it.VertexCount())+400*int64(it.FaceCount())); err != nil {
		return geometry.Item{}, err
	}
	distance := 0.0
	if o.WeldDistance > 0 {
		lo, hi := it.Bounds()
		distance = o.WeldDistance * float64(geometry.Vec(hi).Sub(geometry.Vec(lo)).Len())
	}
	s, err := newSurface(ctx, it, distance)
	if err != nil {
		return geometry.Item{}, err
	}
	o.Progress(afterWeld, allDone)
	segment := s.parallel
	if o.Adaptive {
		segment = s.adaptive
	}
	of, err := segment(ctx, func(done, total int) { o.Progress(afterWeld+(afterSegment-afterWeld)*done/max(total, 1), allDone) })
	if err != nil {
		return geometry.Item{}, err
	}
	count := 0
	for _, c := range of {
		count = max(count, int(c)+1)
	}
	if err := o.Reserve("the charts of a mesh", chartBytes*int64(count)); err != nil {
		return geometry.Item{}, err
	}
	charts, err := s.split(ctx, of, count)
	if err != nil {
		return geometry.Item{}, err
	}
	if err := o.Next("flattening charts", equationBytes*int64(runtime.GOMAXPROCS(0))*int64(largestOf(charts))); err != nil {
		return geometry.Item{}, err
	}
	large, err := flattenAll(ctx, charts, o.Progress)
	if err != nil {
		return geometry.Item{}, err
	}
	if len(large) > 0 {
		if charts, err = s.divide(ctx, charts, large, of, o.Progress); err != nil {
			return geometry.Item{}, err
		}
	}
	uvs, err := layOut(ctx, charts, o)
	if err != nil {
		return geometry.Item{}, err
	}
	o.Progress(allDone, allDone)
	return s.assemble(ctx, it, charts, uvs)
}

// About the memory of the equations of a face with their factor, and of a chart beside its faces.
const (
	equationBytes = 2500
	chartBytes    = 800
)

// largestOf is the number of faces of the largest chart that is not surely projected.
func largestOf(charts []*chart) int {
	most := 0
	for _, c := range charts {
		if n := len(c.original); n > alwaysFlat {
			most = max(most, min(n, 2*largestSolved))
		}
	}
	return most
}

// flattenAll flattens the charts side by side and returns the numbers of those that are too large for it.
func flattenAll(ctx context.Context, charts []*chart, progress func(done, total int)) (large []int, err error) {
	const step = 256
	for from := 0; from < len(charts); from += step {
		part := charts[from:min(from+step, len(charts))]
		errs, done := make([]error, len(part)), make([]bool, len(part))
		codec.Parallel(len(part), 1<<16, func(a, b int) {
			for i := a; i < b; i++ {
				done[i], errs[i] = part[i].flatten(ctx)
			}
		})
		for i, err := range errs {
			if err != nil {
				return nil, err
			}
			if !done[i] {
				large = append(large, from+i)
			}
		}
		progress(afterSegment+(afterFlatten-afterSegment)*(from+len(part))/len(charts), allDone)
	}
	return large, nil
}

// atlasBytes is about the memory of the atlas for each pixel of the charts' bounds.
const atlasBytes = 12

// layOut packs the charts and returns their texture coordinates.
func layOut(ctx context.Context, charts []*chart, o Options) ([][][2]float32, error) {
	total := 0.0
	for _, c := range charts {
		total += float64(c.area)
	}
	if total == 0 {
		total = 1
	}
	side := float64(defaultSide)
	if o.Resolution > 0 {
		side = float64(o.Resolution)
	}
	density := math.Sqrt(side * side * fill / total)
	plans := make([]*tilePlan, len(charts))
	pixels := int64(0)
	for i, c := range charts {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var err error
		if plans[i], err = c.plan(ctx, density, o.Padding, o.Reserve); err != nil {
			return nil, err
		}
		pixels += int64(plans[i].w * plans[i].h)
	}
	if err := o.Next("packing charts", atlasBytes*pixels); err != nil {
		return nil, err
	}
	w, h, err := pack(ctx, plans, func(done int) {
		o.Progress(afterFlatten+(allDone-10-afterFlatten)*done/len(charts), allDone)
	})
	if err != nil {
		return nil, err
	}
	out := make([][][2]float32, len(charts))
	for i, c := range charts {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		out[i] = plans[i].placed(c, max(w, h, 1))
	}
	return out, nil
}

// assemble joins the charts into one mesh with the faces in their order.
func (s *surface) assemble(ctx context.Context, it *geometry.Item, charts []*chart, uvs [][][2]float32) (geometry.Item, error) {
	count := 0
	for _, c := range charts {
		count += len(c.vertices)
	}
	source := make([]int32, 0, count)
	out := geometry.Item{UVs: make([]float32, 0, 2*count), Faces: make([]int32, len(s.faces)), Channels: it.Channels}
	for i, c := range charts {
		if err := context.Cause(ctx); err != nil {
			return geometry.Item{}, err
		}
		first := int32(len(source))
		for k, v := range c.vertices {
			source = append(source, s.source[v])
			out.UVs = append(out.UVs, uvs[i][k][0], 1-uvs[i][k][1])
		}
		for k, f := range c.original {
			for corner := range int32(3) {
				out.Faces[3*f+corner] = first + c.faces[3*int32(k)+corner]
			}
		}
	}
	var err error
	if out.Vertices, err = geometry.Gather(ctx, it.Vertices, source, 3); err != nil {
		return geometry.Item{}, err
	}
	out.Colors, err = geometry.Gather(ctx, it.Colors, source, it.Channels)
	return out, err
}

// Check reports options that no node offers.
func (o Options) Check() error {
	const mostResolution, mostPadding = 8192, 64
	if o.Resolution < 0 || o.Resolution > mostResolution {
		return fmt.Errorf("the resolution is %d, want 0 to %d", o.Resolution, mostResolution)
	}
	if o.Padding < 0 || o.Padding > mostPadding {
		return fmt.Errorf("the padding is %d pixels, want 0 to %d", o.Padding, mostPadding)
	}
	if !(o.WeldDistance >= 0 && o.WeldDistance <= 1) {
		return fmt.Errorf("the weld_distance is %g, want 0 to 1", o.WeldDistance)
	}
	return nil
}
