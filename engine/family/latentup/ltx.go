// Package latentup contains the upscale models of video latents: those of LTX-Video, in space and time, and those of HunyuanVideo
// 1.5.
package latentup

import (
	"context"
	"encoding/json"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(ltxKind{}) }

// ltxKind is the family of upscale models of LTX-Video.
type ltxKind struct{}

// Name implements family.Family.
func (ltxKind) Name() string { return "LTX-Video latent upscaler" }

// Rank implements family.Family.
func (ltxKind) Rank() int { return 20 }

// ltxConfig is the config of a file, under upstream's names. Upstream: lightricks/latent_upsampler.py LatentUpsampler.
type ltxConfig struct {
	In       int     `json:"in_channels"`
	Hidden   int     `json:"mid_channels"`
	Blocks   int     `json:"num_blocks_per_stage"`
	Axes     int     `json:"dims"`
	Spatial  bool    `json:"spatial_upsample"`
	Temporal bool    `json:"temporal_upsample"`
	Scale    float64 `json:"spatial_scale"`
	Rational bool    `json:"rational_resampler"`
}

// ratio is the scale of a resampler as a fraction.
func (c ltxConfig) ratio() (up, down int, ok bool) {
	r, ok := map[float64][2]int{0.75: {3, 4}, 1.5: {3, 2}, 2: {2, 1}, 4: {4, 1}}[c.Scale]
	return r[0], r[1], ok
}

// ReadLatentUpscaler implements family.LatentUpscaler.
func (ltxKind) ReadLatentUpscaler(src weights.Source) (family.LatentUpscaleNetwork, error) {
	if _, ok := src.Lookup("post_upsample_res_blocks.0.conv2.bias"); !ok {
		return nil, nil
	}
	c := ltxConfig{In: 4, Hidden: 128, Blocks: 4, Axes: 2, Spatial: true, Scale: 2}
	text, ok := src.Metadata()["config"]
	if !ok {
		return nil, fmt.Errorf("the file's metadata has no config, which describes the upscale model: take the file as it was published")
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("reading the metadata entry config: %w", err)
	}
	_, _, known := c.ratio()
	if c.In < 1 || c.Hidden%normGroups != 0 || c.Hidden < 1 || c.Blocks < 1 || c.Axes != 2 && c.Axes != 3 || !c.Spatial && !c.Temporal || c.Temporal && c.Axes != 3 || c.Rational && !known {
		return nil, fmt.Errorf("reading the metadata entry config: %d and %d channels, %d blocks, %d axes, scale %v, larger in space %t and in time %t: not a known form", c.In, c.Hidden, c.Blocks, c.Axes, c.Scale, c.Spatial, c.Temporal)
	}
	return &ltx{ltxConfig: c, network: network{src: src, name: "ltx latent upscaler"}}, nil
}

// network runs a graph on video latents.
type network struct {
	src         weights.Source
	name        string
	activations family.Activations
}

// Weights implements family.LatentUpscaleNetwork.
func (n *network) Weights() weights.Source { return n.src }

// run runs the graph that write writes, with the input z [1,C,T,h,w] and the output out.
func (n *network) run(ctx context.Context, run family.Runner, z *tensor.Tensor, write func(b *nn.Builder, s *weights.Scope)) (*tensor.Tensor, error) {
	g := family.Graph{Part: "latent upscaler", Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build(n.name, n.src, write) }}
	need := n.activations.Of(g, map[string]int{"T": z.Dim(2), "h": z.Dim(3), "w": z.Dim(4)})
	if err := run.Check("enlarging the latent", need); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, g, []family.Value{family.Floats("z", z)}, "out")
	return out["out"], err
}

// input declares the latent.
func input(b *nn.Builder, channels int) *onnx.Value {
	return b.Cast(b.Input("z", dtype.F32, onnx.D(1), onnx.D(channels), onnx.Sym("T"), onnx.Sym("h"), onnx.Sym("w")), b.Target.Compute)
}

// ltx is an upscale model of LTX-Video that was read from a file.
type ltx struct {
	ltxConfig
	network
}

// Channels implements family.LatentUpscaleNetwork.
func (m *ltx) Channels() int { return m.In }

// Upscale implements family.LatentUpscaleNetwork.
func (m *ltx) Upscale(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return m.run(ctx, run, z, func(b *nn.Builder, s *weights.Scope) { (&ltxWriter{b, m.ltxConfig}).write(s) })
}

const (
	normGroups  = 32
	normEpsilon = 1e-5
)

// ltxWriter writes the graph of an upscale model.
type ltxWriter struct {
	*nn.Builder
	ltxConfig
}

func (w *ltxWriter) write(s *weights.Scope) {
	x := input(w.Builder, w.In)
	if w.Axes == 2 {
		x = w.frames(x)
	}
	x = w.SiLU(w.GroupNorm(s.At("initial_norm"), w.conv(s.At("initial_conv"), x, w.Hidden, w.Axes), normGroups, normEpsilon))
	for i := range w.Blocks {
		x = w.residual(s.At("res_blocks").Index(i), x)
	}
	x = w.grow(s.At("upsampler"), x)
	for i := range w.Blocks {
		x = w.residual(s.At("post_upsample_res_blocks").Index(i), x)
	}
	x = w.conv(s.At("final_conv"), x, w.In, w.Axes)
	if w.Axes == 2 {
		x = w.video(x)
	}
	w.Output("out", w.Cast(x, dtype.F32))
}

// conv is a convolution with a kernel of three along the given number of axes that keeps the size.
func (w *ltxWriter) conv(s *weights.Scope, x *onnx.Value, out, axes int) *onnx.Value {
	kernel := []int{3, 3, 3}[:axes]
	return w.ConvND(s, x, out, kernel, 1, onnx.Same(kernel...))
}

// residual is two convolutions around a shortcut. Upstream: ResBlock.
func (w *ltxWriter) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := w.SiLU(w.GroupNorm(s.At("norm1"), w.conv(s.At("conv1"), x, w.Hidden, w.Axes), normGroups, normEpsilon))
	y = w.GroupNorm(s.At("norm2"), w.conv(s.At("conv2"), y, w.Hidden, w.Axes), normGroups, normEpsilon)
	return w.SiLU(w.Add(x, y))
}

// frames shows a video [1,C,T,h,w] as images [T,C,h,w], video does the inverse.
func (w *ltxWriter) frames(x *onnx.Value) *onnx.Value {
	return w.Transpose(w.Squeeze(x, 0), 1, 0, 2, 3)
}

func (w *ltxWriter) video(x *onnx.Value) *onnx.Value {
	return w.Unsqueeze(w.Transpose(x, 1, 0, 2, 3), 0)
}

// grow enlarges x.
func (w *ltxWriter) grow(s *weights.Scope, x *onnx.Value) *onnx.Value {
	switch {
	case w.Temporal:
		side := 1
		if w.Spatial {
			side = 2
		}
		x = w.spread(w.conv(s.Index(0), x, 2*side*side*w.Hidden, 3), side)
		return w.SliceDims(x, 2, onnx.D(1), x.Dim(2)) // the first latent frame represents one frame
	case w.Axes == 3:
		return w.video(w.spatial(s, w.frames(x)))
	}
	return w.spatial(s, x)
}

// spatial enlarges images [T,C,h,w].
func (w *ltxWriter) spatial(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !w.Rational {
		return w.PixelShuffle(w.conv(s.Index(0), x, 4*w.Hidden, 2), 2)
	}
	up, down, _ := w.ratio()
	x = w.PixelShuffle(w.conv(s.At("conv"), x, up*up*w.Hidden, 2), up)
	if down == 1 {
		return x
	}
	// Upstream: BlurDownsample, whose kernel is fixed.
	line := []float32{1, 4, 6, 4, 1}
	kernel := make([]float32, 0, len(line)*len(line))
	for _, a := range line {
		for _, b := range line {
			kernel = append(kernel, a*b/256)
		}
	}
	flat := w.Reshape(x, x.Dim(0).Times(x.Dim(1)), onnx.D(1), x.Dim(2), x.Dim(3))
	weight := w.Cast(w.Floats(kernel, 1, 1, len(line), len(line)), w.Target.Compute)
	y := w.Graph.ConvND(flat, weight, nil, 1, onnx.WindowND{Stride: []int{down, down}, Before: []int{2, 2}, After: []int{2, 2}})
	return w.Reshape(y, x.Dim(0), x.Dim(1), y.Dim(2), y.Dim(3))
}

// spread turns channels (C,p,q,q) of x into two frames p, and side rows and columns each.
func (w *ltxWriter) spread(x *onnx.Value, side int) *onnx.Value {
	const frames = 2
	t, h, c := x.Dim(2), x.Dim(3), onnx.D(w.Hidden)
	n := onnx.D(side)
	apart := w.Reshape(w.Squeeze(x, 0), c, onnx.D(frames), n, n, t, h, x.Dim(4))
	return w.Reshape(w.Transpose(apart, 0, 4, 1, 5, 2, 6, 3), onnx.D(1), c, t.Times(onnx.D(frames)), h.Times(n), x.Dim(4).Times(n))
}
