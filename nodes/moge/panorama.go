package moge

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry/pointmap"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&MoGePanoramaInference{}) }

// MoGePanoramaInference finds the points of a panorama.
type MoGePanoramaInference struct {
	MogeModel       *engine.PointMapper `in:"moge_model" type:"MOGE_MODEL" tooltip:"Model of LoadMoGeModel."`
	Image           *tensor.Tensor      `in:"image" type:"IMAGE" tooltip:"Equirectangular panorama of any proportions."`
	ResolutionLevel int                 `in:"resolution_level" default:"9" min:"0" max:"9" tooltip:"Level of detail of each view: 0 is the fastest, 9 the most detailed."`
	SplitResolution int                 `in:"split_resolution" default:"512" min:"256" max:"1024" tooltip:"Side of each view in pixels."`
	MergeResolution int                 `in:"merge_resolution" default:"1920" min:"256" max:"8192" tooltip:"Longer side of the joined distances in pixels."`
	BatchSize       int                 `in:"batch_size" default:"4" min:"1" max:"12" tooltip:"Number of the twelve views that are computed together."`
}

// Spec implements nodes.Node.
func (*MoGePanoramaInference) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MoGePanoramaInference", DisplayName: "Run MoGe Panorama Inference", Category: category, Module: module, V3: true,
		Description:   "Estimates the depth of an equirectangular panorama with MoGe, in twelve views that are joined.",
		SearchAliases: []string{"moge", "panorama", "depth", "geometry", "depth estimation", "geometry estimation"},
		Outputs:       []nodes.Output{{Type: typeGeometry, Name: "moge_geometry"}},
		Uses:          nodes.UsesDevice,
	}
}

// viewDegrees is the field of view of each view.
const viewDegrees = 90

// Run implements nodes.Node.
func (n *MoGePanoramaInference) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkModel(n.MogeModel); err != nil {
		return nodes.Result{}, err
	}
	if err := checkImages(n.Image); err != nil {
		return nodes.Result{}, err
	}
	if n.Image.Dim(0) != 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input image: there are %d images, wanted one panorama", n.Image.Dim(0))
	}
	image := colors(n.Image)
	h, w := image.Dim(1), image.Dim(2)
	const least = 32
	scale := min(float64(n.MergeResolution)/float64(max(h, w)), 1)
	mergeH, mergeW := max(int(float64(h)*scale), least), max(int(float64(w)*scale), least)
	views := pointmap.Views()
	// Of each pixel of the joined panorama: its equations, and the vectors of their solution.
	const perPixel = 220
	if err := ctx.Reserve("the geometry of a panorama", family.Product(mergeH, mergeW, perPixel)+family.Product(h, w, 8, 4)+family.Product(len(views), n.SplitResolution, n.SplitResolution, 5, 4)); err != nil {
		return nodes.Result{}, err
	}
	p := newProgress(ctx, len(views), pointmap.Levels(mergeW, mergeH))
	seen, err := n.views(ctx, image, views, p)
	if err != nil {
		return nodes.Result{}, err
	}
	distance, mask, err := pointmap.Merge(ctx, mergeW, mergeH, seen, p.merged)
	if err != nil {
		return nodes.Result{}, err
	}
	if distance, mask, err = resized(distance, mask, w, h); err != nil {
		return nodes.Result{}, err
	}
	farther(distance, mask)
	points := tensor.New(1, h, w, 3)
	for y := range h {
		for x := range w {
			d := pointmap.Direction((float32(x)+0.5)/float32(w), (float32(y)+0.5)/float32(h))
			for k, v := range d {
				points.Data[3*(y*w+x)+k] = v * distance.Data[y*w+x]
			}
		}
	}
	batch := func(t *tensor.Tensor) *tensor.Tensor { return &tensor.Tensor{Shape: []int{1, h, w}, Data: t.Data} }
	return nodes.Out(&pointmap.Map{Points: points, Depth: batch(distance), Mask: batch(mask), Image: image}), nil
}

// views finds the distances that each view shows. Their scales are left as the network has them: metres of different views would not fit.
func (n *MoGePanoramaInference) views(ctx *nodes.Context, image *tensor.Tensor, views []pointmap.View, p *progress) ([]pointmap.Seen, error) {
	split := pointmap.Split(planes(image).Index(0), views, n.SplitResolution)
	var out []pointmap.Seen
	for from := 0; from < len(views); from += n.BatchSize {
		to := min(from+n.BatchSize, len(views))
		maps, err := n.MogeModel.Points(ctx, split.Slice(from, to), n.MogeModel.Tokens(n.ResolutionLevel))
		if err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			s, err := solved(maps, i-from, viewDegrees, true, false)
			if err != nil {
				return nil, nodes.Errorf("ValueError", "%w", err)
			}
			distance := tensor.New(s.Depth.Shape...)
			for k := range distance.Data {
				v := s.Points.Data[3*k : 3*k+3]
				distance.Data[k] = float32(math.Sqrt(float64(v[0])*float64(v[0]) + float64(v[1])*float64(v[1]) + float64(v[2])*float64(v[2])))
			}
			out = append(out, pointmap.Seen{View: views[i], Distance: distance, Mask: s.Mask})
		}
		p.add(to - from)
	}
	return out, nil
}

// resized are distances and their mask at the size of the panorama.
func resized(distance, mask *tensor.Tensor, w, h int) (newDistance, newMask *tensor.Tensor, err error) {
	if distance.Dim(0) == h && distance.Dim(1) == w {
		return distance, mask, nil
	}
	plane := func(t *tensor.Tensor) *tensor.Tensor {
		return &tensor.Tensor{Shape: []int{1, 1, t.Dim(0), t.Dim(1)}, Data: t.Data}
	}
	larger, err := imaging.Upscale(plane(distance), w, h, "bilinear", "")
	if err != nil {
		return nil, nil, err
	}
	if newDistance, err = larger.Reshape(h, w); err != nil {
		return nil, nil, err
	}
	newMask = tensor.New(h, w)
	place := func(i, from, to int) int { return min(int(float32(i)*(float32(from)/float32(to))), from-1) } // torch's nearest interpolation
	for y := range h {
		for x := range w {
			newMask.Data[y*w+x] = mask.Data[place(y, mask.Dim(0), h)*mask.Dim(1)+place(x, mask.Dim(1), w)]
		}
	}
	return newDistance, newMask, nil
}

// farther puts what no view shows behind everything else.
func farther(distance, mask *tensor.Tensor) {
	const part, times = 0.95, 5
	var seen []float32
	for i, m := range mask.Data {
		if m > 0 {
			seen = append(seen, distance.Data[i])
		}
	}
	if len(seen) == 0 || len(seen) == len(mask.Data) {
		return
	}
	far := pointmap.Quantile(seen, part) * times
	for i, m := range mask.Data {
		if m == 0 {
			distance.Data[i] = far
		}
	}
}

// progress counts views, and the solutions of levels by their pixels.
type progress struct {
	ctx       *nodes.Context
	done, all int
}

func newProgress(ctx *nodes.Context, views int, levels [][2]int) *progress {
	p := &progress{ctx: ctx, all: views * (1 + len(levels))}
	for i := range levels {
		p.all += solution(i)
	}
	return p
}

// solution is the work of solving a level, which has four times the pixels of the one before.
func solution(level int) int { return 1 << (2 * level) }

func (p *progress) add(n int) {
	p.done += n
	p.ctx.Progress(float64(p.done), float64(p.all))
}

// merged is told of each view of a level, and of its solution.
func (p *progress) merged(level int, solved bool) {
	if solved {
		p.add(solution(level))
	} else {
		p.add(1)
	}
}
