package latent

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SeedVR2TemporalChunk{})
}

// SeedVR2TemporalChunk cuts a video latent into chunks that overlap.
type SeedVR2TemporalChunk struct {
	Latent          engine.Latent `in:"latent" type:"LATENT" tooltip:"SeedVR2 latent of a video."`
	TemporalOverlap int           `in:"temporal_overlap" default:"0" min:"0" max:"16384" tooltip:"Latent frames that neighbouring chunks share; they are crossfaded when merged."`
	ChunkingMode    nodes.Choice  `in:"chunking_mode" tooltip:"manual takes frames_per_chunk as it is; auto takes the longest chunk that fits into the free memory."`
}

// chunkLength are the inputs of SeedVR2TemporalChunk for manual chunks.
type chunkLength struct {
	FramesPerChunk int `in:"frames_per_chunk" default:"21" min:"1" max:"16384" step:"4" tooltip:"Video frames of a chunk, 4n+1: 1, 5, 9, 13 and so on."`
}

// DynamicOptions implements nodes.Dynamic.
func (*SeedVR2TemporalChunk) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "auto"}, {Key: "manual", Inputs: &chunkLength{}}}
}

// Spec implements nodes.Node. The result of auto depends on the memory that is free.
func (*SeedVR2TemporalChunk) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SeedVR2TemporalChunk", DisplayName: "Split SeedVR2 Latent", Category: "model/latent/batch",
		Module: "comfy_extras.nodes_seedvr", V3: true,
		Outputs: []nodes.Output{
			{Type: "LATENT", Name: "latents", List: true, Tooltip: "The chunks in their order."},
			{Type: "INT", Name: "temporal_overlap", Tooltip: "Overlap of the chunks, for Merge SeedVR2 Latents."},
		},
		Description:   "Splits a SeedVR2 latent along time into overlapping chunks that are sampled one by one and joined by Merge SeedVR2 Latents.",
		SearchAliases: []string{"seedvr2", "split", "chunk", "temporal", "video upscale", "rebatch"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: overlapping chunks have up to the number of frames of a chunk for each frame of the latent.
func (*SeedVR2TemporalChunk) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In
	p.Lists = nodes.UnknownImages().Lists
	if s.Number("temporal_overlap") != 0 {
		p.Count = nodes.UnknownImages().Count
	}
	return p
}

// seedChannels and seedStride are those of SeedVR2's latent: its channels, and video frames for each latent frame after the first.
const (
	seedChannels = 16
	seedStride   = 4
)

// Run implements nodes.Node.
func (n *SeedVR2TemporalChunk) Run(ctx *nodes.Context) (nodes.Result, error) {
	samples := n.Latent.Samples
	if samples == nil || len(samples.Shape) != 5 || samples.Shape[1] != seedChannels || len(samples.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "splitting a latent: it is no video latent of SeedVR2, [batch, %d, frames, height, width]", seedChannels)
	}
	if n.TemporalOverlap < 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "splitting a latent: temporal_overlap is %d", n.TemporalOverlap)
	}
	total := samples.Shape[2]
	length, err := n.length(ctx, samples)
	if err != nil {
		return nodes.Result{}, err
	}
	if total <= length {
		return nodes.Out([]engine.Latent{n.Latent}, int64(0)), nil
	}
	overlap := min(n.TemporalOverlap, length-1)
	count := (total-length+length-overlap-1)/(length-overlap) + 1
	if err := imaging.CheckSize("chunks of a latent", count, samples.Shape[0], seedChannels, length, samples.Shape[3], samples.Shape[4]); err != nil {
		return nodes.Result{}, err
	}
	chunks := make([]engine.Latent, count)
	for i := range chunks {
		start := i * (length - overlap)
		chunks[i] = n.Latent
		chunks[i].Samples = frames(samples, start, min(start+length, total))
	}
	return nodes.Out(chunks, int64(overlap)), nil
}

// length returns the number of latent frames of a chunk.
func (n *SeedVR2TemporalChunk) length(ctx *nodes.Context, samples *tensor.Tensor) (int, error) {
	if manual, ok := n.ChunkingMode.Inputs.(*chunkLength); ok {
		if f := manual.FramesPerChunk; f < 1 || (f-1)%seedStride != 0 {
			return 0, nodes.Errorf("ValueError", "splitting a latent: frames_per_chunk is %d, want 1, 5, 9 or another 4n+1", f)
		}
		return (manual.FramesPerChunk-1)/seedStride + 1, nil
	}
	if n.ChunkingMode.Key != "auto" {
		return 0, nodes.Errorf("ValueError", "splitting a latent: chunking_mode is %q, want auto or manual", n.ChunkingMode.Key)
	}
	// Upstream measured that sampling takes 0.55 GiB for each latent frame and megapixel beside 8.5 GiB for the model, and
	// 2.2 GiB of reserve.
	const perFrame, reserved, pixels = 0.55, 8.5 + 2.2, 8 * 8
	megapixels := float64(samples.Shape[0]*samples.Shape[3]*samples.Shape[4]) * pixels / 1e6
	return max(1, int((float64(freeMemory(ctx))/(1<<30)-reserved)/(perFrame*megapixels))), nil
}

// frames copies frames of a video latent.
func frames(t *tensor.Tensor, from, to int) *tensor.Tensor {
	shape := append([]int(nil), t.Shape...)
	shape[2] = to - from
	out := tensor.New(shape...)
	cells := shape[3] * shape[4]
	for row := range shape[0] * shape[1] {
		copy(out.Data[row*shape[2]*cells:][:shape[2]*cells], t.Data[(row*t.Shape[2]+from)*cells:])
	}
	return out
}

// freeMemory returns the number of bytes that sampling may use, or 0 if it is unknown.
func freeMemory(ctx *nodes.Context) int64 {
	if ctx.Engine == nil {
		return 0
	}
	return max(ctx.Engine.FreeMemory(), 0)
}
