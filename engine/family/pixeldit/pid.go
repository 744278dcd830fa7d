package pixeldit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(pid{}) }

// pid registers PiD: PixelDiT with a latent of another model, which it decodes to an image of four times the size.
type pid struct{}

// Name implements family.Family.
func (pid) Name() string { return "PiD" }

// Rank implements family.Family.
func (pid) Rank() int { return 490 }

// latentConfig describes what reads the latent.
type latentConfig struct {
	// channels are the channels of the latent, unpatch the side of a cell that its channels hold, hidden the width of the
	// convolutions.
	channels, unpatch, hidden int
	// gates is the number of blocks with a gate before them, one every interval.
	gates, interval int
	// second reports that the network is of version 1.5: padding repeats the edge, and there is a gate before the blocks of
	// pixels.
	second bool
	// single reports that a gate has one value a token.
	single bool
	// reference is the number of patches along a side for which the frequencies of positions are stated.
	reference int
}

const (
	latentScope  = "lq_proj"
	alphaWeight  = "log_alpha"
	latentInput  = "latent"
	offsetsInput = "offsets"
	// groups is the number of groups of the norms between the convolutions, groupEpsilon their epsilon.
	groups, groupEpsilon = 4, 1e-5
)

// Read implements family.Diffusion. Upstream: model_detection.py, "pid".
func (pid) Read(src, _ weights.Source) (family.Denoiser, error) {
	if _, ok := src.Lookup(latentScope + ".latent_proj.0.weight"); !ok {
		return nil, nil
	}
	src = dit.Rename(src, func(n string) string { return strings.TrimPrefix(strings.TrimPrefix(n, corePrefix), "net.") })
	s := weights.NewScope(src)
	c, err := read(s)
	if err != nil {
		return nil, err
	}
	first, gate := s.Shape(latentScope+".latent_proj.0.weight"), s.Shape(latentScope+".gate_modules.0.content_proj.weight")
	l := &latentConfig{gates: s.Count(latentScope + ".gate_modules"), second: s.Has(latentScope + ".pit_head.weight"), unpatch: 1}
	if len(first) != 4 || len(gate) != 2 || c.side > 32 || first[0]%groups != 0 {
		return nil, fmt.Errorf("its shapes make no network: %s.latent_proj.0.weight is %v, %s.gate_modules.0.content_proj.weight %v, patches of %d", latentScope, first, latentScope, gate, c.side)
	}
	l.channels, l.hidden, l.reference, l.single = first[1], first[0], 1024/c.side, gate[0] == 1
	if l.second {
		l.reference = 2048 / c.side
		if l.channels != 16 && l.channels != 32 {
			return nil, fmt.Errorf("its shapes make no network: a latent of %d channels in version 1.5; of Flux.1 and Qwen-Image it has 16, of Flux.2 32", l.channels)
		}
		if l.channels == 32 {
			l.channels, l.unpatch = 128, 2
		}
	}
	blocks := s.Count("patch_blocks")
	l.interval = (blocks + l.gates - 1) / l.gates
	c.latent = l
	return c.model(src, 1.5), nil
}

// base is the base of the frequencies of n patches along a side, in half as many values as a head has. Upstream: precompute_freqs_cis_2d,
// ref_grid_h.
func (c config) base(n, half int) float64 {
	const plain = 10000
	if c.latent == nil || half <= 2 {
		return plain
	}
	return plain * math.Pow(float64(n)/float64(c.latent.reference), float64(half)/float64(half-2))
}

// inputs are the latent and its noise of an entry. Upstream: model_base.py PiD.extra_conds.
func (l *latentConfig) inputs(c *sampling.Cond) ([]sampling.Input, error) {
	latent, err := sampling.Value[*tensor.Tensor](c, sampling.KeyDecodedLatent)
	if err != nil {
		return nil, err
	}
	sigma, err := sampling.Value[*tensor.Tensor](c, sampling.KeyDecodedSigma)
	switch {
	case err != nil:
		return nil, err
	case latent == nil || sigma == nil || sigma.Len() == 0:
		return nil, fmt.Errorf("conditioning PiD: it decodes a latent and the conditioning has none: put PiDConditioning between the text and the sampler")
	case len(latent.Shape) != 4 || latent.Dim(1) != l.channels || latent.Len() == 0:
		return nil, fmt.Errorf("conditioning PiD: the latent has shape %v, this model reads %d channels: take the file that was made for the latent's model", latent.Shape, l.channels)
	}
	return []sampling.Input{{Name: sampling.KeyDecodedLatent, Value: latent, Rule: sampling.ByRows}, {Name: sampling.KeyDecodedSigma, Value: sigma, Rule: sampling.ByRows}}, nil
}

// Needs implements family.Needing.
func (m *model) Needs([]int) map[string]any {
	if m.latent == nil {
		return nil
	}
	return map[string]any{sampling.KeyDecodedLatent: tensor.New(1, m.latent.channels, 1, 1), sampling.KeyDecodedSigma: tensor.New(1)}
}

// latentValues are the inputs of the graph from the latent: its cells on the grid of patches, and the part of each gate that the
// noise removes.
func (m *model) latentValues(run family.Runner, c family.Call) ([]family.Value, error) {
	latent, sigma, rows := c.Inputs.Get(sampling.KeyDecodedLatent), c.Inputs.Get(sampling.KeyDecodedSigma), c.X.Dim(0)
	if latent == nil || sigma == nil || latent.Dim(0) != rows || sigma.Dim(0) != rows {
		return nil, fmt.Errorf("it needs a latent for each row")
	}
	src, err := run.Patched(m.Source)
	if err != nil {
		return nil, err
	}
	scopes := make([]string, 0, m.latent.gates+1)
	for i := range m.latent.gates {
		scopes = append(scopes, fmt.Sprintf("%s.gate_modules.%d", latentScope, i))
	}
	if m.latent.second {
		scopes = append(scopes, "pit_lq_gate")
	}
	offsets := tensor.New(rows, len(scopes))
	for i, scope := range scopes {
		e, ok := src.Lookup(scope + "." + alphaWeight)
		if !ok {
			return nil, fmt.Errorf("%s.%s is missing", scope, alphaWeight)
		}
		alpha, err := weights.Float32s(e)
		if err != nil {
			return nil, err
		}
		for b := range rows {
			offsets.Data[b*len(scopes)+i] = float32(math.Exp(float64(alpha[0]))) * sigma.Index(b).Data[0]
		}
	}
	return []family.Value{family.Floats(latentInput, m.latent.align(latent, dit.GridOf(c.X.Shape, m.side))), family.Floats(offsetsInput, offsets)}, nil
}

// align spreads a latent [N,C,H,W] over the grid of patches, by the nearest cell. Upstream: LQProjection2D._align_latent_to_patch_grid.
func (l *latentConfig) align(x *tensor.Tensor, g dit.Grid) *tensor.Tensor {
	f, h, w := l.unpatch, x.Dim(2), x.Dim(3)
	from := func(in, out int) []int {
		places := make([]int, out)
		for i := range places {
			places[i] = min(int(float32(i)*(float32(in)/float32(out))), in-1)
		}
		return places
	}
	ys, xs := from(h*f, g.Height), from(w*f, g.Width)
	out := tensor.New(x.Dim(0), x.Dim(1)/(f*f), g.Height, g.Width)
	i := 0
	for b := range x.Dim(0) {
		row := x.Index(b).Data
		for c := range out.Dim(1) {
			for _, y := range ys {
				for _, at := range xs {
					out.Data[i] = row[((c*f*f+y%f*f+at%f)*h+y/f)*w+at/f]
					i++
				}
			}
		}
	}
	return out
}

// latentWriter adds features of the latent to the tokens of an image. A nil writer leaves them unchanged.
type latentWriter struct {
	*writer
	s *weights.Scope
	// features are read before a block, last before the blocks of pixels; offsets [B,1,1] belong to each of their gates.
	features []*onnx.Value
	last     *onnx.Value
	offsets  []*onnx.Value
}

// readLatent declares the inputs latent [B,C,h,w], whose cells are the image's patches, and offsets [B,gates], and writes the layers that
// read them. Upstream: ldm/pixeldit/pid.py LQProjection2D.
func (w *writer) readLatent(s *weights.Scope, rows, images onnx.Dim) *latentWriter {
	l, p := w.latent, s.At(latentScope)
	out, gates := &latentWriter{writer: w, s: s}, l.gates
	if l.second {
		gates++
	}
	x := dit.Input(w.Builder, latentInput, rows, onnx.D(l.channels/(l.unpatch*l.unpatch)), onnx.Sym("h"), onnx.Sym("w"))
	offsets := dit.Input(w.Builder, offsetsInput, rows, onnx.D(gates))
	for _, v := range w.Split(offsets, 1, slices.Repeat([]int{1}, gates)...) {
		out.offsets = append(out.offsets, w.Unsqueeze(v, 2))
	}
	body := p.At("latent_proj")
	x = w.convolve(body.At("2"), w.SiLU(w.convolve(body.At("0"), x)))
	for i := 3; body.Has(fmt.Sprintf("%d.block.0.weight", i)); i++ {
		block := body.Index(i).At("block")
		y := w.convolve(block.At("2"), w.GroupNormSiLU(block.At("0"), x, groups, groupEpsilon))
		x = w.Add(x, w.convolve(block.At("5"), w.GroupNormSiLU(block.At("3"), y, groups, groupEpsilon)))
	}
	tokens := w.Declare(w.ToTokens(x), onnx.Shape{rows, images, onnx.D(l.hidden)})
	for i := range l.gates {
		out.features = append(out.features, w.Linear(p.At("output_heads").Index(i), tokens, w.width))
	}
	if l.second {
		out.last = w.Linear(p.At("pit_head"), tokens, w.width)
	}
	return out
}

// convolve is a convolution of three by three cells that keeps the size.
func (w *writer) convolve(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !w.latent.second {
		return w.Conv2d(s, x, w.latent.hidden, 3, onnx.Pad1())
	}
	at := []int{0, 0, 1, 1}
	return w.Conv2d(s, w.PadAxes(x, onnx.Edge, at, at), w.latent.hidden, 3, onnx.Window{Stride: 1})
}

// before adds what belongs before a block of patches.
func (w *latentWriter) before(block int, x *onnx.Value) *onnx.Value {
	if w == nil || block%w.latent.interval != 0 || block/w.latent.interval >= len(w.features) {
		return x
	}
	i := block / w.latent.interval
	return w.gate(w.s.At(latentScope, "gate_modules").Index(i), x, w.features[i], w.offsets[i])
}

// behind adds what belongs after the blocks of patches.
func (w *latentWriter) behind(x *onnx.Value) *onnx.Value {
	if w == nil || w.last == nil {
		return x
	}
	return w.gate(w.s.At("pit_lq_gate"), x, w.last, w.offsets[len(w.offsets)-1])
}

// gate adds a feature as far as both and the noise of the latent let it. Upstream: SigmaAwareGate.
func (w *latentWriter) gate(s *weights.Scope, x, feature, offset *onnx.Value) *onnx.Value {
	n := w.width
	if w.latent.single {
		n = 1
	}
	s.Ignore(alphaWeight) // which the host reads
	open := w.Sigmoid(w.Sub(w.Linear(s.At("content_proj"), w.Concat(2, x, feature), n), offset))
	return w.Gated(x, feature, open)
}
