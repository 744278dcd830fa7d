package svd

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

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

// Read implements family.VAE. Upstream: sd.py VAE, detected by decoder.mid.block_1.mix_factor.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.mid.block_1.mix_factor") {
		return nil, nil
	}
	image, err := kl.Read(src)
	if image == nil || err != nil {
		return nil, err
	}
	v := &vae{VAE: image, src: src}
	v.blocks = blocksOf(s)
	for i, b := range v.blocks {
		if c := v.channels(s, i); c < groups || c%groups != 0 {
			return nil, fmt.Errorf("its shapes make no VAE: %s has %d channels, no multiple of %d", b.path, c, groups)
		}
	}
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
// the mean and the variance over all frames, and the neighbouring frames. The state of a video is thus two sets of features
// in host memory. Each frame is normalised once and then serves its neighbours and itself.
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

// SequenceMemory implements family.Sequential: two sets of features of the last level for all frames, the normalised frames that a
// layer reads, and the memory of a frame while the network runs on it.
func (v *vae) SequenceMemory(latent []int) int64 {
	const sets, working = 2, 18
	cells := family.Product(latent[2], v.Downscale, latent[3], v.Downscale, v.width, 4)
	return cells * int64(sets*latent[0]+working)
}

// sequence are the features of all frames, [1,C,H,W] each, with the mean and the variance of each group of channels.
type sequence struct {
	frames []*tensor.Tensor
	stats  [][]moments
}

// moments are the mean and the variance of one group of channels of one frame.
type moments struct{ mean, variance float64 }

// decoder decodes one video.
type decoder struct {
	*vae
	ctx context.Context
	run family.Runner
	// garbage counts the bytes of features that were dropped since they were last collected.
	garbage int64
}

// drop forgets a frame. Features are the largest values by far, and are collected before they add up to much: otherwise the
// memory of a video would double until the next collection.
func (d *decoder) drop(frame **tensor.Tensor) {
	if *frame == nil {
		return
	}
	const most = 128 << 20
	d.garbage += int64(4 * (*frame).Len())
	*frame = nil
	if d.garbage > most {
		d.garbage = 0
		runtime.GC()
	}
}

// out runs a graph that gives one frame.
func (d *decoder) out(g family.Graph, in []family.Value) (*tensor.Tensor, error) {
	out, err := d.run.Run(d.ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	return out["out"], nil
}

// add appends a frame of features and its moments.
func (s *sequence) add(x *tensor.Tensor) {
	s.frames, s.stats = append(s.frames, x), append(s.stats, momentsOf(x))
}

// first runs the part before the first layer along the time axis.
func (d *decoder) first(z *tensor.Tensor) (sequence, error) {
	var out sequence
	for i := range z.Dim(0) {
		x, err := d.out(d.firstGraph(), []family.Value{family.Floats("z", z.Slice(i, i+1))})
		if err != nil {
			return out, err
		}
		out.add(x)
	}
	return out, nil
}

// along runs the first convolution along the time axis of block i.
func (d *decoder) along(i int, x sequence) (sequence, error) {
	var out sequence
	g := d.alongGraph(i)
	err := d.windows(len(x.frames), d.normalised(i, 0, x), func(_ int, in []family.Value) error {
		y, err := d.out(g, in)
		if err != nil {
			return err
		}
		out.add(y)
		return nil
	})
	return out, err
}

// onward runs the second convolution along the time axis of block i, mixes the result with the features in space, and
// continues to the next layer along the time axis or the end of the network. It uses up both sets of features.
func (d *decoder) onward(i int, spatial, hidden sequence) (sequence, error) {
	var out sequence
	g := d.onwardGraph(i)
	normal := d.normalised(i, 1, hidden)
	frame := func(t int) (*tensor.Tensor, error) {
		x, err := normal(t)
		d.drop(&hidden.frames[t])
		return x, err
	}
	err := d.windows(len(spatial.frames), frame, func(t int, in []family.Value) error {
		y, err := d.out(g, append(in, family.Floats("spatial", spatial.frames[t])))
		if err != nil {
			return err
		}
		d.drop(&spatial.frames[t])
		if i < len(d.blocks)-1 {
			out.add(y)
		} else {
			out.frames = append(out.frames, y)
		}
		return nil
	})
	return out, err
}

// last runs the last convolution along the time axis.
func (d *decoder) last(x sequence, frame func(i int, y *tensor.Tensor)) error {
	g := d.lastGraph()
	read := func(t int) (*tensor.Tensor, error) { return x.frames[t], nil }
	return d.windows(len(x.frames), read, func(t int, in []family.Value) error {
		y, err := d.out(g, in)
		if err == nil {
			frame(t, y)
		}
		return err
	})
}

// windows calls use for each of n frames with the graph inputs of the frame and its neighbours, which read gives once each, in
// order. Beyond the ends of the video there are zeros.
func (d *decoder) windows(n int, read func(t int) (*tensor.Tensor, error), use func(t int, in []family.Value) error) error {
	x, err := read(0)
	if err != nil {
		return err
	}
	zeros := tensor.New(x.Shape...)
	before := zeros
	for t := range n {
		after := zeros
		if t+1 < n {
			if after, err = read(t + 1); err != nil {
				return err
			}
		}
		if err = use(t, []family.Value{family.Floats("before", before), family.Floats("x", x), family.Floats("after", after)}); err != nil {
			return err
		}
		d.drop(&before)
		before, x = x, after
	}
	return nil
}

// normalised gives what a layer of block i along the time axis reads of frame t of x.
func (d *decoder) normalised(i, layer int, x sequence) func(t int) (*tensor.Tensor, error) {
	mean, inverse := x.normalisation()
	g := d.normalGraph(i, layer)
	return func(t int) (*tensor.Tensor, error) {
		return d.out(g, []family.Value{family.Floats("x", x.frames[t]), family.Floats("mean", mean), family.Floats("inverse", inverse)})
	}
}

// normalisation is the mean and the inverse deviation of each group of channels over all frames, which are of equal size,
// [groups,1].
func (s sequence) normalisation() (mean, inverse *tensor.Tensor) {
	const epsilon = 1e-5
	mean, inverse = tensor.New(groups, 1), tensor.New(groups, 1)
	n := float64(len(s.stats))
	for g := range groups {
		var sum, variance float64
		for _, m := range s.stats {
			sum += m[g].mean
		}
		centre := sum / n
		for _, m := range s.stats {
			off := m[g].mean - centre
			variance += m[g].variance + off*off
		}
		mean.Data[g], inverse.Data[g] = float32(centre), float32(1/math.Sqrt(variance/n+epsilon))
	}
	return mean, inverse
}

// momentsOf computes the moments of a frame [1,C,H,W]. The sums are float64, so the sum of squares keeps the variance of
// float32 values far from zero.
func momentsOf(x *tensor.Tensor) []moments {
	out := make([]moments, groups)
	n := x.Len() / groups
	var all sync.WaitGroup
	for g := range out {
		all.Go(func() {
			// Four sums each, as one would wait for every addition.
			var sum, squares [4]float64
			values := x.Data[g*n : (g+1)*n]
			for ; len(values) >= 4; values = values[4:] {
				for k, v := range (*[4]float32)(values) {
					f := float64(v)
					sum[k] += f
					squares[k] += f * f
				}
			}
			for _, v := range values {
				f := float64(v)
				sum[0] += f
				squares[0] += f * f
			}
			mean := (sum[0] + sum[1] + sum[2] + sum[3]) / float64(n)
			out[g] = moments{mean, max((squares[0]+squares[1]+squares[2]+squares[3])/float64(n)-mean*mean, 0)}
		})
	}
	all.Wait()
	return out
}
