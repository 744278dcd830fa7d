package svd

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"comfygo/engine/family"
	"comfygo/engine/family/kl"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of VAEs.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Stable Video Diffusion VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 65 }

// Read implements family.VAE. Upstream: sd.py VAE, told by decoder.mid.block_1.mix_factor.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.mid.block_1.mix_factor") {
		return nil, nil
	}
	image, err := kl.Read(src)
	if image == nil || err != nil {
		return nil, err
	}
	v := &vae{VAE: image, src: flatTime{src}}
	v.blocks = blocksOf(weights.NewScope(src))
	if out := s.Shape("decoder.up.0.block.0.conv2.weight"); len(out) == 4 {
		v.width = out[0]
	}
	if v.width == 0 {
		return nil, fmt.Errorf("its shapes make no VAE: decoder.up.0.block.0.conv2.weight is missing")
	}
	return v, nil
}

// vae is a VAE of images whose decoder has layers along the time axis between those in space (upstream:
// ldm/modules/temporal_ae.py VideoDecoder). The decoder runs frame by frame in stages: each layer along the time axis needs
// the mean and the variance over all frames, and the neighbouring frames. What is kept of a video is thus two sets of
// features, in the host's memory.
type vae struct {
	*kl.VAE
	src    weights.Source
	blocks []block
	width  int // channels of the last level
}

var _ family.Sequential = (*vae)(nil)

// Decode implements family.Autoencoder: a video of one frame.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	var out *tensor.Tensor
	err := v.DecodeSequence(ctx, run, z, func(_ int, y *tensor.Tensor) { out = y })
	return out, err
}

// DecodeSequence implements family.Sequential.
func (v *vae) DecodeSequence(ctx context.Context, run family.Runner, z *tensor.Tensor, frame func(i int, y *tensor.Tensor)) error {
	if len(z.Shape) != 4 || z.Dim(1) != v.LatentChannels || z.Dim(0) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels", z.Shape, v.LatentChannels)
	}
	d := &decoder{vae: v, ctx: ctx, run: run}
	spatial, err := d.first(z)
	if err != nil {
		return err
	}
	for i := range v.blocks {
		var hidden sequence
		if hidden, err = d.along(i, spatial); err != nil {
			return err
		}
		if spatial, err = d.onward(i, spatial, hidden); err != nil {
			return err
		}
	}
	return d.last(spatial, frame)
}

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 { return v.SequenceMemory(latent) }

// SequenceMemory implements family.Sequential: two sets of features of the last level for all frames, and what a frame
// takes while the network runs on it.
func (v *vae) SequenceMemory(latent []int) int64 {
	const sets, working = 2, 14
	cells := family.Product(latent[2], v.Downscale, latent[3], v.Downscale, v.width, 4)
	return cells * int64(sets*latent[0]+working)
}

// sequence are the features of all frames, [1,C,H,W] each, with the mean and the variance of each group of channels.
type sequence struct {
	frames []*tensor.Tensor
	stats  []moments
}

// moments are the mean and the variance of each group of channels of one frame, [1,groups,1].
type moments struct{ mean, variance *tensor.Tensor }

// decoder decodes one video.
type decoder struct {
	*vae
	ctx context.Context
	run family.Runner
	// garbage counts the bytes of features that were dropped since they were last collected.
	garbage int64
}

// drop forgets features. They are the largest values by far, and are collected before they add up to more than a frame or
// two of the last level: otherwise the memory of a video would double until the next collection.
func (d *decoder) drop(s sequence, i int) {
	if i < 0 || i >= len(s.frames) || s.frames[i] == nil {
		return
	}
	const most = 128 << 20
	d.garbage += int64(4 * s.frames[i].Len())
	s.frames[i] = nil
	if d.garbage > most {
		d.garbage = 0
		runtime.GC()
	}
}

// collect runs a graph that gives features and their moments.
func (d *decoder) collect(g family.Graph, in []family.Value, to *sequence) error {
	out, err := d.run.Run(d.ctx, g, in, "out", "out.mean", "out.variance")
	if err != nil {
		return err
	}
	to.frames, to.stats = append(to.frames, out["out"]), append(to.stats, moments{out["out.mean"], out["out.variance"]})
	return nil
}

// first runs what comes before the first layer along the time axis.
func (d *decoder) first(z *tensor.Tensor) (sequence, error) {
	var out sequence
	for i := range z.Dim(0) {
		if err := d.collect(d.firstGraph(), []family.Value{family.Floats("z", z.Slice(i, i+1))}, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// along runs the first convolution along the time axis of block i.
func (d *decoder) along(i int, x sequence) (sequence, error) {
	var out sequence
	norm := x.normalisation()
	for t := range x.frames {
		if err := d.collect(d.alongGraph(i), append(x.window(t), norm...), &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// onward runs the second convolution along the time axis of block i, mixes the result with the features in space, and goes
// on to the next layer along the time axis or the end of the network. It uses up both sets of features.
func (d *decoder) onward(i int, spatial, hidden sequence) (sequence, error) {
	var out sequence
	norm := hidden.normalisation()
	g := d.onwardGraph(i)
	for t := range spatial.frames {
		in := append(append(hidden.window(t), norm...), family.Floats("spatial", spatial.frames[t]))
		if i < len(d.blocks)-1 {
			if err := d.collect(g, in, &out); err != nil {
				return out, err
			}
		} else {
			y, err := d.run.Run(d.ctx, g, in, "out")
			if err != nil {
				return out, err
			}
			out.frames = append(out.frames, y["out"])
		}
		d.drop(spatial, t)
		d.drop(hidden, t-1)
	}
	return out, nil
}

// last runs the last convolution along the time axis.
func (d *decoder) last(x sequence, frame func(i int, y *tensor.Tensor)) error {
	for t := range x.frames {
		out, err := d.run.Run(d.ctx, d.lastGraph(), x.window(t), "out")
		if err != nil {
			return err
		}
		frame(t, out["out"])
		d.drop(x, t-1)
	}
	return nil
}

// window are the graph inputs for a frame and its neighbours. Beyond the ends of the video there are zeros: there the frame
// itself stands in, times zero.
func (s sequence) window(t int) []family.Value {
	before, after := max(t-1, 0), min(t+1, len(s.frames)-1)
	keep := func(is bool) []float32 {
		if is {
			return []float32{1}
		}
		return []float32{0}
	}
	return []family.Value{
		family.Floats("before", s.frames[before]), family.Floats("x", s.frames[t]), family.Floats("after", s.frames[after]),
		family.Vector("has.before", keep(t > 0)), family.Vector("has.after", keep(t < len(s.frames)-1)),
	}
}

// normalisation are the graph inputs for the mean and the inverse deviation of each group of channels over all frames, which
// are of equal size.
func (s sequence) normalisation() []family.Value {
	const epsilon = 1e-5
	shape := s.stats[0].mean.Shape
	mean, inverse := tensor.New(shape...), tensor.New(shape...)
	n := float64(len(s.stats))
	for g := range mean.Data {
		var sum, variance float64
		for _, m := range s.stats {
			sum += float64(m.mean.Data[g])
		}
		centre := sum / n
		for _, m := range s.stats {
			off := float64(m.mean.Data[g]) - centre
			variance += float64(m.variance.Data[g]) + off*off
		}
		mean.Data[g], inverse.Data[g] = float32(centre), float32(1/math.Sqrt(variance/n+epsilon))
	}
	return []family.Value{family.Floats("mean", mean), family.Floats("inverse", inverse)}
}
