package latent

import (
	"context"
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LatentComposite{})
	nodes.Register(&LatentBlend{})
}

// LatentComposite puts latents onto others, with a soft edge if asked for.
type LatentComposite struct {
	To      engine.Latent `in:"samples_to" type:"LATENT"`
	From    engine.Latent `in:"samples_from" type:"LATENT"`
	X       int           `in:"x" default:"0" min:"0" max:"16384" step:"8"`
	Y       int           `in:"y" default:"0" min:"0" max:"16384" step:"8"`
	Feather int           `in:"feather" default:"0" min:"0" max:"16384" step:"8"`
}

// Spec implements nodes.Node.
func (*LatentComposite) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentComposite", DisplayName: "Latent Composite", Category: "model/latent",
		SearchAliases: []string{"overlay latent", "layer latent", "paste latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentComposite) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. What sticks out on the right or below is cut off. Video latents [B,C,T,H,W] are put together along
// time and rows, as upstream does, which is why the place in time is x's and y's, too.
func (n *LatentComposite) Run(ctx *nodes.Context) (nodes.Result, error) {
	to, err := samplesOf("samples_to", n.To)
	if err != nil {
		return nodes.Result{}, err
	}
	from, err := samplesOf("samples_from", n.From)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := composable(to, from); err != nil {
		return nodes.Result{}, err
	}
	if n.X < 0 || n.Y < 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "composing latents: the offset %d, %d is negative", n.X, n.Y)
	}
	x, y := n.X/ratio, n.Y/ratio
	h, w := min(from.Shape[2], to.Shape[2]-y), min(from.Shape[3], to.Shape[3]-x)
	out := to.Clone()
	if h <= 0 || w <= 0 {
		return with(n.To, out), nil
	}
	rows := edgeWeights(h, n.Feather/ratio, y != 0, y+h < to.Shape[2])
	cols := edgeWeights(w, n.Feather/ratio, x != 0, x+w < to.Shape[3])
	cell := tensor.Count(to.Shape[4:]) // values at a place: 1, or the columns of a video latent
	for b := range to.Shape[0] {
		for c := range to.Shape[1] {
			if err := context.Cause(ctx); err != nil {
				return nodes.Result{}, err
			}
			src := from.Data[(min(b, from.Shape[0]-1)*from.Shape[1]+min(c, from.Shape[1]-1))*from.Shape[2]*from.Shape[3]*cell:]
			dst := out.Data[(((b*to.Shape[1]+c)*to.Shape[2]+y)*to.Shape[3]+x)*cell:]
			for r := range h {
				mix(dst[r*to.Shape[3]*cell:][:w*cell], src[r*from.Shape[3]*cell:][:w*cell], rows[r], cols, cell)
			}
		}
	}
	return with(n.To, out), nil
}

// composable fails when latents of these shapes cannot be put together.
func composable(to, from *tensor.Tensor) error {
	if len(to.Shape) != len(from.Shape) {
		return nodes.Errorf("RuntimeError", "composing latents: the shapes %v and %v differ in rank", to.Shape, from.Shape)
	}
	for axis := range to.Shape {
		if axis != 2 && axis != 3 && from.Shape[axis] != to.Shape[axis] && (from.Shape[axis] != 1 || axis > 3) {
			return nodes.Errorf("RuntimeError", "composing latents: the shape %v does not fit %v", from.Shape, to.Shape)
		}
	}
	return nil
}

// mix mixes a row of src into dst; each weight of cols is for cell values.
func mix(dst, src []float32, row float32, cols []float32, cell int) {
	for i, s := range src {
		m := row * cols[i/cell]
		dst[i] = float32(s*m) + float32(dst[i]*(1-m))
	}
}

// edgeWeights returns the weights along one axis: 1 inside, rising over feather places at the sides that have an edge.
func edgeWeights(n, feather int, first, last bool) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
	}
	for t := range min(feather, n) {
		rate := float32((1 / float64(feather)) * float64(t+1))
		if first {
			out[t] *= rate
		}
		if last {
			out[n-1-t] *= rate
		}
	}
	return out
}

// LatentBlend mixes two latents.
type LatentBlend struct {
	Samples1 engine.Latent `in:"samples1" type:"LATENT"`
	Samples2 engine.Latent `in:"samples2" type:"LATENT"`
	Factor   float64       `in:"blend_factor" default:"0.5" min:"0" max:"1" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LatentBlend) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentBlend", DisplayName: "Latent Blend", Category: "experimental",
		SearchAliases: []string{"mix latents", "interpolate latents"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentBlend) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. The second latent gets the size of the first.
func (n *LatentBlend) Run(ctx *nodes.Context) (nodes.Result, error) {
	a, err := samplesOf("samples1", n.Samples1)
	if err != nil {
		return nodes.Result{}, err
	}
	b, err := samplesOf("samples2", n.Samples2)
	if err != nil {
		return nodes.Result{}, err
	}
	if !tensor.SameShape(a, b) {
		if b, err = imaging.Upscale(b, a.Dim(-1), a.Dim(-2), "bicubic", "center"); err != nil {
			return nodes.Result{}, fmt.Errorf("mixing latents: %w", err)
		}
	}
	f, rest := float32(n.Factor), float32(1-n.Factor)
	out, err := broadcast(ctx, a, b, func(x, y float32) float32 { return float32(x*f) + float32(y*rest) })
	if err != nil {
		return nodes.Result{}, fmt.Errorf("mixing latents: %w", err)
	}
	return with(n.Samples1, out), nil
}

// broadcast combines tensors element by element, as torch does: axes of size 1 are repeated, and missing ones in front are of size 1. It looks for
// an interrupt after each part of the result.
func broadcast(ctx context.Context, a, b *tensor.Tensor, f func(x, y float32) float32) (*tensor.Tensor, error) {
	rank := max(len(a.Shape), len(b.Shape))
	sa, sb := padded(a.Shape, rank), padded(b.Shape, rank)
	shape := make([]int, rank)
	for i, d := range sa {
		if d != sb[i] && d != 1 && sb[i] != 1 {
			return nil, nodes.Errorf("RuntimeError", "the shapes %v and %v do not fit", a.Shape, b.Shape)
		}
		shape[i] = max(d, sb[i])
	}
	if err := imaging.CheckSize("a latent", shape...); err != nil {
		return nil, err
	}
	out := tensor.New(shape...)
	if len(out.Data) == 0 {
		return out, nil
	}
	row, rows := rank-1, shape[:rank-1]
	stepA, stepB := min(sa[row]-1, 1), min(sb[row]-1, 1)
	return out, imaging.Chunks(ctx, tensor.Count(rows), shape[row], func(from, to int) {
		for r := from; r < to; r++ {
			x, y := a.Data[at(r, rows, sa):], b.Data[at(r, rows, sb):]
			for i := range out.Data[r*shape[row]:][:shape[row]] {
				out.Data[r*shape[row]+i] = f(x[i*stepA], y[i*stepB])
			}
		}
	})
}

// at returns where the n-th row of a tensor begins whose axes but the last have the lengths rows, of which those that are 1 in shape are repeated.
func at(n int, rows, shape []int) int {
	out := 0
	for axis, unit := len(rows)-1, shape[len(rows)]; axis >= 0; axis-- {
		out += min(n%rows[axis], shape[axis]-1) * unit
		n /= rows[axis]
		unit *= shape[axis]
	}
	return out
}

// padded is a shape with axes of size 1 in front.
func padded(shape []int, rank int) []int {
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	copy(out[rank-len(shape):], shape)
	return out
}
