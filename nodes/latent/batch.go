package latent

import (
	"fmt"
	"slices"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LatentFromBatch{})
	nodes.Register(&RepeatLatentBatch{})
	nodes.Register(&SetLatentNoiseMask{})
}

// LatentFromBatch takes latents out of a batch; they keep the noise they would have had in it.
type LatentFromBatch struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Index   int           `in:"batch_index" default:"0" min:"-16384" max:"16384"`
	Length  int           `in:"length" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*LatentFromBatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentFromBatch", DisplayName: "Get Latent From Batch", Category: "model/latent/batch",
		SearchAliases: []string{"select from batch", "pick latent", "batch subset"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentFromBatch) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node. A negative index counts from the end; what lies outside is moved in.
func (n *LatentFromBatch) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Length < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "taking latents from a batch: the length is %d", n.Length)
	}
	count, from := s.Shape[0], n.Index
	if from < 0 {
		from += count
	}
	from = max(0, min(count-1, from))
	to := from + min(count-from, n.Length)

	out := n.Samples
	out.Samples = s.Slice(from, to)
	if mask := n.Samples.NoiseMask; mask != nil && mask.Shape[0] != 1 {
		if mask, err = atLeast(mask, count); err != nil {
			return nodes.Result{}, err
		}
		out.NoiseMask = mask.Slice(from, to)
	}
	index := n.Samples.BatchIndex
	if index == nil {
		index = counting(count)
	}
	out.BatchIndex = slices.Clone(index[min(from, len(index)):min(to, len(index))])
	return nodes.Out(out), nil
}

// atLeast repeats a mask to n rows if it has fewer.
func atLeast(mask *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if mask.Shape[0] >= n {
		return mask, nil
	}
	return imaging.RepeatBatch(mask, n)
}

func counting(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// RepeatLatentBatch repeats a batch.
type RepeatLatentBatch struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	Amount  int           `in:"amount" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*RepeatLatentBatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RepeatLatentBatch", DisplayName: "Repeat Latent Batch", Category: "model/latent/batch",
		SearchAliases: []string{"duplicate latent", "clone latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*RepeatLatentBatch) Sizes(s *nodes.Sizing) nodes.Images { return s.RepeatedBy("amount") }

// Run implements nodes.Node. Batch numbers, if there are any, go on counting so that every copy gets noise of its own.
func (n *RepeatLatentBatch) Run(*nodes.Context) (nodes.Result, error) {
	s, err := samplesOf("samples", n.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	out := n.Samples
	if out.Samples, err = imaging.RepeatBatch(s, s.Shape[0]*n.Amount); err != nil {
		return nodes.Result{}, fmt.Errorf("repeating latents: %w", err)
	}
	if mask := n.Samples.NoiseMask; mask != nil && mask.Shape[0] > 1 {
		if out.NoiseMask, err = imaging.RepeatBatch(mask, mask.Shape[0]*n.Amount); err != nil {
			return nodes.Result{}, fmt.Errorf("repeating noise masks: %w", err)
		}
	}
	if index := n.Samples.BatchIndex; len(index) > 0 {
		span := slices.Max(index) - slices.Min(index) + 1
		out.BatchIndex = nil
		for i := range n.Amount {
			for _, x := range index {
				out.BatchIndex = append(out.BatchIndex, x+i*span)
			}
		}
	}
	return nodes.Out(out), nil
}

// SetLatentNoiseMask sets the mask of the part of a latent that a sampler may change.
type SetLatentNoiseMask struct {
	Samples engine.Latent  `in:"samples" type:"LATENT"`
	Mask    *tensor.Tensor `in:"mask" type:"MASK"`
}

// Spec implements nodes.Node.
func (*SetLatentNoiseMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SetLatentNoiseMask", DisplayName: "Set Latent Noise Mask", Category: "model/latent", Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*SetLatentNoiseMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *SetLatentNoiseMask) Run(*nodes.Context) (nodes.Result, error) {
	if n.Mask == nil || len(n.Mask.Shape) < 2 || len(n.Mask.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "the input mask is no mask")
	}
	mask, err := n.Mask.Reshape(-1, 1, n.Mask.Dim(-2), n.Mask.Dim(-1))
	if err != nil {
		return nodes.Result{}, err
	}
	out := n.Samples
	out.NoiseMask = mask
	return nodes.Out(out), nil
}
