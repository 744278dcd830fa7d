package latent

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleLatent = "comfy_extras.nodes_latent"

func init() {
	nodes.Register(&LatentAdd{})
	nodes.Register(&LatentSubtract{})
	nodes.Register(&LatentMultiply{})
	nodes.Register(&LatentInterpolate{})
}

// advanced is the spec that the classes of nodes_latent.py share.
func advanced(name string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: "model/latent/advanced", Module: moduleLatent, V3: true, SearchAliases: aliases,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// pair returns the samples of two latents, the second in the size (bilinear, cut to the proportions) and batch of the
// first.
func pair(first, second engine.Latent) (a, b *tensor.Tensor, err error) {
	if a, err = samplesOf("samples1", first); err != nil {
		return nil, nil, err
	}
	if b, err = samplesOf("samples2", second); err != nil {
		return nil, nil, err
	}
	if b, err = sized(b, a); err != nil {
		return nil, nil, err
	}
	b, err = imaging.RepeatBatch(b, a.Shape[0])
	return a, b, err
}

func sized(t, like *tensor.Tensor) (*tensor.Tensor, error) {
	if slices.Equal(t.Shape[1:], like.Shape[1:]) {
		return t, nil
	}
	out, err := imaging.Upscale(t, like.Dim(-1), like.Dim(-2), "bilinear", "center")
	if err != nil {
		return nil, fmt.Errorf("scaling a latent: %w", err)
	}
	return out, nil
}

func combined(ctx context.Context, first, second engine.Latent, f func(x, y float32) float32) (nodes.Result, error) {
	a, b, err := pair(first, second)
	if err != nil {
		return nodes.Result{}, err
	}
	out, err := broadcast(ctx, a, b, f)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("combining latents: %w", err)
	}
	return with(first, out), nil
}

// LatentAdd adds latents.
type LatentAdd struct {
	Samples1 engine.Latent `in:"samples1" type:"LATENT"`
	Samples2 engine.Latent `in:"samples2" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*LatentAdd) Spec() nodes.Spec { return advanced("LatentAdd", "combine latents", "sum latents") }

func (*LatentAdd) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentAdd) Run(ctx *nodes.Context) (nodes.Result, error) {
	return combined(ctx, n.Samples1, n.Samples2, func(x, y float32) float32 { return x + y })
}

// LatentSubtract subtracts latents.
type LatentSubtract struct {
	Samples1 engine.Latent `in:"samples1" type:"LATENT"`
	Samples2 engine.Latent `in:"samples2" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*LatentSubtract) Spec() nodes.Spec {
	return advanced("LatentSubtract", "difference latent", "remove features")
}

func (*LatentSubtract) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentSubtract) Run(ctx *nodes.Context) (nodes.Result, error) {
	return combined(ctx, n.Samples1, n.Samples2, func(x, y float32) float32 { return x - y })
}

// LatentMultiply multiplies latents by a number.
type LatentMultiply struct {
	Samples    engine.Latent `in:"samples" type:"LATENT"`
	Multiplier float64       `in:"multiplier" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LatentMultiply) Spec() nodes.Spec {
	return advanced("LatentMultiply", "scale latent", "amplify latent", "latent gain")
}

func (*LatentMultiply) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentMultiply) Run(ctx *nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	out, by := tensor.New(s.Shape...), float32(n.Multiplier)
	err = imaging.Chunks(ctx, len(s.Data), 1, func(from, to int) {
		for i, v := range s.Data[from:to] {
			out.Data[from+i] = v * by
		}
	})
	return with(n.Samples, out), err
}

// LatentInterpolate mixes latents by direction and by length, each on its own.
type LatentInterpolate struct {
	Samples1 engine.Latent `in:"samples1" type:"LATENT"`
	Samples2 engine.Latent `in:"samples2" type:"LATENT"`
	Ratio    float64       `in:"ratio" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LatentInterpolate) Spec() nodes.Spec {
	return advanced("LatentInterpolate", "blend latent", "mix latent", "lerp latent", "transition")
}

func (*LatentInterpolate) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. Every place of every latent is a vector of its channels.
func (n *LatentInterpolate) Run(ctx *nodes.Context) (nodes.Result, error) {
	a, b, err := pair(n.Samples1, n.Samples2)
	if err != nil {
		return nodes.Result{}, err
	}
	ratio, rest := float32(n.Ratio), float32(1-n.Ratio)
	weighed := func(x, y float32) float32 { return float32(x*ratio) + float32(y*rest) }
	var failed error
	op := func(a, b *tensor.Tensor, f func(x, y float32) float32) *tensor.Tensor {
		if failed != nil {
			return nil
		}
		out, err := broadcast(ctx, a, b, f)
		failed = err
		return out
	}
	lengths := func(t *tensor.Tensor) *tensor.Tensor {
		if failed != nil {
			return nil
		}
		out, err := lengthsOf(ctx, t)
		failed = err
		return out
	}
	la, lb := lengths(a), lengths(b)
	mixed := op(op(a, la, divide), op(b, lb, divide), weighed)
	if failed != nil {
		return nodes.Result{}, fmt.Errorf("mixing latents: %w", failed)
	}
	out := op(op(mixed, lengths(mixed), divide), op(la, lb, weighed), func(x, y float32) float32 { return x * y })
	if failed != nil {
		return nodes.Result{}, fmt.Errorf("mixing latents: %w", failed)
	}
	return with(n.Samples1, out), nil
}

func divide(x, y float32) float32 { return finite(x / y) }

// lengthsOf returns the lengths of the vectors of channels of t [B,C,…]: [B,1,…], or [1,B,…] if the number of latents equals
// that of channels. There upstream, which drops the axis of channels, divides each channel by the length of another latent.
func lengthsOf(ctx context.Context, t *tensor.Tensor) (*tensor.Tensor, error) {
	n, channels := t.Shape[0], t.Shape[1]
	shape := append([]int{n, 1}, t.Shape[2:]...)
	if n == channels {
		shape[0], shape[1] = 1, n
	}
	out := tensor.New(shape...)
	plane := tensor.Count(t.Shape[2:])
	return out, imaging.Chunks(ctx, len(out.Data), channels, func(from, to int) {
		for i := from; i < to; i++ {
			out.Data[i] = length(t.Data[i/plane*channels*plane+i%plane:], channels, plane)
		}
	})
}

func length(v []float32, n, step int) float32 {
	var sum float64
	for i := range n {
		sum += float64(v[i*step]) * float64(v[i*step])
	}
	return float32(math.Sqrt(sum))
}

// finite turns NaN into 0 and infinities into the largest numbers, as torch.nan_to_num does.
func finite(v float32) float32 {
	switch {
	case v != v:
		return 0
	case v > math.MaxFloat32:
		return math.MaxFloat32
	case v < -math.MaxFloat32:
		return -math.MaxFloat32
	}
	return v
}

// axisOf returns the axis that x, y or t names.
func axisOf(t *tensor.Tensor, name string) int {
	return len(t.Shape) - 1 - strings.Index("xyt", strings.TrimPrefix(name, "-"))
}
