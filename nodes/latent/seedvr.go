package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SeedVR2TemporalMerge{})
}

// SeedVR2TemporalMerge joins chunks of a video latent, blended over their overlaps.
type SeedVR2TemporalMerge struct {
	Latents         []engine.Latent `in:"latents" type:"LATENT" tooltip:"Sampled chunks in their order."`
	TemporalOverlap []int           `in:"temporal_overlap" default:"0" forceInput:"true" min:"0" max:"16384" tooltip:"Number of latent frames by which chunks overlap; 0 joins them without blending."`
}

// Spec implements nodes.Node.
func (*SeedVR2TemporalMerge) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SeedVR2TemporalMerge", DisplayName: "Merge SeedVR2 Latents", Category: "model/latent/batch",
		Module: "comfy_extras.nodes_seedvr", V3: true,
		Outputs:       []nodes.Output{{Type: "LATENT", Name: "latent", Tooltip: "The whole latent."}},
		InputIsList:   true,
		Description:   "Joins sampled chunks of a SeedVR2 latent into one and blends them over their overlaps.",
		SearchAliases: []string{"seedvr2", "merge", "temporal", "hann", "crossfade"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*SeedVR2TemporalMerge) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node. Batch numbers are those of the first chunk; noise masks are left out.
func (n *SeedVR2TemporalMerge) Run(*nodes.Context) (nodes.Result, error) {
	if len(n.TemporalOverlap) == 0 || len(n.Latents) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "merging chunks: latents or temporal_overlap has no value")
	}
	overlap := n.TemporalOverlap[0]
	if overlap < 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "merging chunks: the overlap is %d", overlap)
	}
	chunks := make([]*tensor.Tensor, len(n.Latents))
	for i, l := range n.Latents {
		s := l.Samples
		if s == nil || len(s.Shape) != 5 {
			return nodes.Result{}, nodes.Errorf("ValueError", "merging chunks: chunk %d is no video latent [batch, channels, frames, height, width]", i)
		}
		first := n.Latents[0].Samples.Shape
		same := s.Shape[2] == first[2] || i == len(chunks)-1
		if !same || s.Shape[0] != first[0] || s.Shape[1] != first[1] || s.Shape[3] != first[3] || s.Shape[4] != first[4] {
			return nodes.Result{}, nodes.Errorf("ValueError", "merging chunks: chunk %d has the shape %v, the first one %v; only the last may have another number of frames", i, s.Shape, first)
		}
		chunks[i] = s
	}
	out := n.Latents[0]
	out.NoiseMask, out.AlongMasks = nil, nil
	length := chunks[0].Shape[2]
	step := length - min(overlap, max(0, length-1))
	merged, err := mergedChunks(chunks, step)
	if err != nil {
		return nodes.Result{}, err
	}
	return with(out, merged), nil
}

// mergedChunks lays chunks at multiples of step; where they overlap, the frames go over from one to the next.
func mergedChunks(chunks []*tensor.Tensor, step int) (*tensor.Tensor, error) {
	first := chunks[0]
	shape := append([]int(nil), first.Shape...)
	shape[2] = step*(len(chunks)-1) + chunks[len(chunks)-1].Shape[2]
	if err := imaging.CheckSize("the merged latent", shape...); err != nil {
		return nil, err
	}
	out := tensor.New(shape...)
	cells, filled := shape[3]*shape[4], 0
	for k, chunk := range chunks {
		start, frames := k*step, chunk.Shape[2]
		fade := 0
		if k > 0 {
			fade = min(max(filled-start, 0), frames)
		}
		weights := crossfade(fade)
		for row := range shape[0] * shape[1] {
			for f := range min(frames, shape[2]-start) { // an overlap longer than the last chunk leaves no room for the rest
				from := chunk.Data[(row*frames+f)*cells:][:cells]
				to := out.Data[(row*shape[2]+start+f)*cells:][:cells]
				if f >= fade {
					copy(to, from)
					continue
				}
				for i, v := range from {
					to[i] = float32(to[i]*weights[f]) + float32(v*(1-weights[f]))
				}
			}
		}
		filled = start + frames
	}
	return out, nil
}

// crossfade are the weights of the earlier chunk over n frames: 1 for the first third, a half cosine, 0 for the last third.
func crossfade(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		at := 0.0
		if n > 1 {
			at = float64(i) / float64(n-1)
		}
		ramp := min(max((at-1.0/3)*3, 0), 1)
		out[i] = float32(0.5 + 0.5*math.Cos(math.Pi*ramp))
	}
	return out
}
