package lm

import (
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The further inputs and the output of the vision tower's graph.
const (
	inPatches  = "patches"
	inSeen     = "seen"
	outVectors = "vectors"
)

// flat shows the patch embedding, which is stored as a convolution over frames, as a matrix.
type flat struct{ weights.Source }

// Lookup implements weights.Source.
func (f flat) Lookup(name string) (weights.Entry, bool) {
	e, ok := f.Source.Lookup(name)
	if !ok || name != visionEmbed || len(e.Shape) != 5 {
		return e, ok
	}
	m, err := e.Reshape(e.Shape[0], e.Count()/max(e.Shape[0], 1))
	return m, err == nil
}

func (v *Vision) graph(src weights.Source) family.Graph {
	return family.Graph{Part: "vision tower", Variant: family.Digest(*v), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("vision tower", flat{src}, func(b *nn.Builder, s *weights.Scope) { (&visionWriter{Builder: b, cfg: *v}).write(s.At("visual")) })
	}}
}

type visionWriter struct {
	*nn.Builder
	cfg Vision
	// inWindows and overall are what attention within windows and over all patches needs.
	inWindows, overall attention
}

// attention is how patches attend to each other: laid out in shape, rotated and hidden by a mask.
type attention struct {
	batch, tokens onnx.Dim
	rope          *nn.Rotary
	seen          *onnx.Value
}

// write writes the tower: inputs "patches" [W,64,values] by windows, "seen" [W,64], 1 for patches of the image, with cosines
// and sines [W,64,D/2]; output "vectors" [W,16,out].
func (w *visionWriter) write(s *weights.Scope) {
	windows, patches := onnx.Sym("W"), onnx.D(windowPatches)
	half := onnx.D(w.cfg.Width / w.cfg.Heads / 2)
	x := w.Cast(w.Input(inPatches, dtype.F32, windows, patches, onnx.D(patchValues)), w.Target.Compute)
	seen := w.Cast(w.Input(inSeen, dtype.I64, windows, patches), dtype.I32)
	cos := w.Cast(w.Input(inCos(0), dtype.F32, windows, patches, half), w.Target.Compute)
	sin := w.Cast(w.Input(inSin(0), dtype.F32, windows, patches, half), w.Target.Compute)
	w.inWindows = attention{windows, patches, &nn.Rotary{Cos: cos, Sin: sin}, seen}
	one, all := onnx.D(1), windows.Times(patches)
	w.overall = attention{one, all, &nn.Rotary{Cos: w.Reshape(cos, one, all, half), Sin: w.Reshape(sin, one, all, half)}, w.Reshape(seen, one, all)}

	h := w.Linear(s.At("patch_embed", "proj"), x, w.cfg.Width)
	for i := range w.cfg.Layers {
		a := w.inWindows
		if i%layersToAll == layersToAll-1 {
			a = w.overall
		}
		h = w.block(s.At("blocks").Index(i), h, a)
	}
	m := s.At("merger")
	width := w.cfg.Width * unitPatches
	h = w.Reshape(w.RMSNorm(m.At("ln_q"), h, visionEpsilon), windows, onnx.D(windowUnits), onnx.D(width))
	h = w.Linear(m.At("mlp", "2"), w.Gelu(w.Linear(m.At("mlp", "0"), h, width), false), w.cfg.Out)
	w.Output(outVectors, w.Cast(h, dtype.F32))
}

const visionEpsilon = 1e-6

func (w *visionWriter) block(s *weights.Scope, x *onnx.Value, a attention) *onnx.Value {
	c := w.cfg
	n, p := w.RMSNorm(s.At("norm1"), x, visionEpsilon), s.At("attn")
	as := func(v *onnx.Value) *onnx.Value { return w.Reshape(v, a.batch, a.tokens, onnx.D(c.Width)) }
	part := func(i int) *onnx.Value { return as(w.LinearRows(p.At("qkv"), n, 3*c.Width, i*c.Width, c.Width)) }
	y := w.Attend(w.Rotate(part(0), a.rope, c.Heads), w.Rotate(part(1), a.rope, c.Heads), part(2), onnx.Attention{
		Heads: c.Heads, Scale: float32(1 / math.Sqrt(float64(c.Width/c.Heads))), KeyMask: a.seen,
	})
	x = w.Add(x, w.Linear(p.At("proj"), w.Reshape(y, x.Shape...), c.Width))
	n = w.RMSNorm(s.At("norm2"), x, visionEpsilon)
	m := s.At("mlp")
	h := w.Mul(w.SiLU(w.Linear(m.At("gate_proj"), n, c.MLP)), w.Linear(m.At("up_proj"), n, c.MLP))
	return w.Add(x, w.Linear(m.At("down_proj"), h, c.Width))
}
