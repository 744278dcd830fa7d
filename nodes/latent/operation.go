package latent

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LatentApplyOperation{})
	nodes.Register(&LatentApplyOperationCFG{})
	nodes.Register(&LatentOperationTonemapReinhard{})
	nodes.Register(&LatentOperationSharpen{})
}

// Operation is the value of LATENT_OPERATION links: it makes new samples from samples [B,C,…] and does not change
// those.
type Operation func(ctx context.Context, samples *tensor.Tensor) (*tensor.Tensor, error)

func operationSpec(name, output string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: "model/latent/advanced/operations", Module: moduleLatent, V3: true, Experimental: true,
		SearchAliases: aliases, Outputs: nodes.Outputs(output),
	}
}

// LatentApplyOperation changes latents by an operation.
type LatentApplyOperation struct {
	Samples   engine.Latent `in:"samples" type:"LATENT"`
	Operation Operation     `in:"operation" type:"LATENT_OPERATION"`
}

// Spec implements nodes.Node.
func (*LatentApplyOperation) Spec() nodes.Spec {
	return operationSpec("LatentApplyOperation", "LATENT", "transform latent")
}

func (*LatentApplyOperation) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentApplyOperation) Run(ctx *nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Operation == nil {
		return nodes.Result{}, errNoOperation()
	}
	out, err := n.Operation(ctx, s)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(n.Samples, out), nil
}

func errNoOperation() error {
	return nodes.Errorf("TypeError", "changing latents: the input operation is none")
}

// LatentApplyOperationCFG applies an operation to what guidance adds to the negative side, at every prediction.
type LatentApplyOperationCFG struct {
	Model     *engine.Model `in:"model" type:"MODEL"`
	Operation Operation     `in:"operation" type:"LATENT_OPERATION"`
}

// Spec implements nodes.Node.
func (*LatentApplyOperationCFG) Spec() nodes.Spec {
	return operationSpec("LatentApplyOperationCFG", "MODEL")
}

// Run implements nodes.Node.
func (n *LatentApplyOperationCFG) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "changing guidance: there is no diffusion model")
	}
	if n.Operation == nil {
		return nodes.Result{}, errNoOperation()
	}
	return nodes.Out(n.Model.WithHooks(func(h sampling.Hooks) sampling.Hooks { return h.WithBefore(onGuidance(n.Operation)) })), nil
}

// onGuidance returns the hook. Guiders with two sides have their difference changed, others the positive side alone.
func onGuidance(op Operation) sampling.BeforeFunc {
	return func(ctx context.Context, _ sampling.Guidance, sides []*tensor.Tensor) ([]*tensor.Tensor, error) {
		out := append([]*tensor.Tensor(nil), sides...)
		var err error
		if len(sides) != 2 {
			out[0], err = op(ctx, sides[0])
			return out, err
		}
		difference := tensor.New(sides[0].Shape...)
		for i, v := range sides[0].Data {
			difference.Data[i] = v - sides[1].Data[i]
		}
		changed, err := op(ctx, difference)
		if err != nil {
			return nil, err
		}
		out[0] = tensor.New(sides[0].Shape...)
		for i, v := range changed.Data {
			out[0].Data[i] = v + sides[1].Data[i]
		}
		return out, nil
	}
}

// LatentOperationTonemapReinhard is the operation that compresses the lengths of a latent's vectors, the long ones most
// (Reinhard et al., "Photographic Tone Reproduction for Digital Images").
type LatentOperationTonemapReinhard struct {
	Multiplier float64 `in:"multiplier" default:"1.0" min:"0.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LatentOperationTonemapReinhard) Spec() nodes.Spec {
	return operationSpec("LatentOperationTonemapReinhard", "LATENT_OPERATION", "hdr latent")
}

// Run implements nodes.Node.
func (n *LatentOperationTonemapReinhard) Run(*nodes.Context) (nodes.Result, error) {
	multiplier := float32(n.Multiplier)
	return nodes.Out(Operation(func(_ context.Context, s *tensor.Tensor) (*tensor.Tensor, error) {
		out := tensor.New(s.Shape...)
		for b := range s.Shape[0] {
			tonemap(out.Index(b), s.Index(b), multiplier)
		}
		return out, nil
	})), nil
}

// tonemap maps one latent [C,…]: nothing gets longer than five deviations above the mean length, times the multiplier.
func tonemap(dst, src *tensor.Tensor, multiplier float32) {
	channels, cells := src.Shape[0], tensor.Count(src.Shape[1:])
	lengths := make([]float32, cells)
	var sum float64
	for i := range lengths {
		lengths[i] = length(src.Data[i:], channels, cells) + 1e-10
		sum += float64(lengths[i])
	}
	mean := sum / float64(cells)
	var squares float64
	for _, l := range lengths {
		squares += (float64(l) - mean) * (float64(l) - mean)
	}
	deviation := float32(math.Sqrt(squares / float64(cells-1)))
	top := (deviation*5 + float32(mean)) * multiplier
	for i, l := range lengths {
		short := l * (1 / top)
		short = short / (short + 1) * top
		for c := range channels {
			dst.Data[c*cells+i] = src.Data[c*cells+i] / l * short
		}
	}
}

// LatentOperationSharpen is the operation that sharpens the directions of a latent's vectors.
type LatentOperationSharpen struct {
	Radius int     `in:"sharpen_radius" default:"9" min:"1" max:"31" step:"1" advanced:"true"`
	Sigma  float64 `in:"sigma" default:"1.0" min:"0.1" max:"10.0" step:"0.1" advanced:"true"`
	Alpha  float64 `in:"alpha" default:"0.1" min:"0.0" max:"5.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*LatentOperationSharpen) Spec() nodes.Spec {
	return operationSpec("LatentOperationSharpen", "LATENT_OPERATION")
}

// Run implements nodes.Node.
func (n *LatentOperationSharpen) Run(*nodes.Context) (nodes.Result, error) {
	if n.Radius < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "sharpening latents: the radius is %d", n.Radius)
	}
	kernel := sharpening(2*n.Radius+1, n.Sigma, n.Alpha)
	return nodes.Out(Operation(func(ctx context.Context, s *tensor.Tensor) (*tensor.Tensor, error) {
		return sharpened(ctx, s, kernel, n.Radius)
	})), nil
}

// sharpening is a kernel that takes the blurred image away ten times alpha, and sums to 1.
func sharpening(side int, sigma, alpha float64) []float32 {
	kernel := imaging.Gaussian(side, sigma)
	var sum float64
	for i := range kernel {
		kernel[i] *= float32(alpha * -10)
		sum += float64(kernel[i])
	}
	kernel[len(kernel)/2] += -float32(sum) + 1
	return kernel
}

func sharpened(ctx context.Context, s *tensor.Tensor, kernel []float32, radius int) (*tensor.Tensor, error) {
	if len(s.Shape) != 4 {
		return nil, nodes.Errorf("RuntimeError", "sharpening latents: shape %v, wanted [B,C,H,W]", s.Shape)
	}
	channels, cells := s.Shape[1], s.Shape[2]*s.Shape[3]
	lengths := make([]float32, s.Shape[0]*cells)
	directions := tensor.New(s.Shape[0]*channels, s.Shape[2], s.Shape[3], 1)
	for i := range lengths {
		base := i/cells*channels*cells + i%cells
		lengths[i] = length(s.Data[base:], channels, cells) + 1e-6
		for c := range channels {
			directions.Data[base+c*cells] = s.Data[base+c*cells] / lengths[i]
		}
	}
	filtered, err := imaging.Convolve(ctx, directions, kernel, radius)
	if err != nil {
		return nil, fmt.Errorf("sharpening latents: %w", err)
	}
	out := tensor.New(s.Shape...)
	for i, v := range filtered.Data {
		out.Data[i] = lengths[i/(channels*cells)*cells+i%cells] * v
	}
	return out, nil
}
