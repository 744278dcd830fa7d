package cosmos

import (
	"strconv"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// lite is a ControlNet-LLLite while a graph is written: small networks that change what projections read. Upstream:
// ldm/anima/lllite.py AnimaLLLiteModule.
type lite struct {
	s *weights.Scope
	// hint is the network's result for an image [B,S,E].
	hint, strength *onnx.Value
}

// lites declares the inputs of model patches; each reads the given number of values per token.
func (w *writer) lites(s *weights.Scope, tokens onnx.Dim) {
	for k, width := range w.v.Lites {
		l := lite{s: s.At(dit.AttachedName(k))}
		l.hint, l.strength = dit.AttachedInputs(w.Builder, k, onnx.Sym("B"), tokens, onnx.D(width))
		w.patches = append(w.patches, l)
	}
}

// lit is x [B,S,C] changed by the networks for a projection of block i.
func (w *writer) lit(x *onnx.Value, i int, projection string) *onnx.Value {
	for _, l := range w.patches {
		s := l.s.At("lllite_dit_blocks_" + strconv.Itoa(i) + "_" + projection)
		down := s.Shape("down.weight")
		if len(down) != 2 {
			continue
		}
		inner, width := down[0], l.hint.Dim(2).N
		hint := w.Add(l.hint, w.Table(s.Weight("depth_embed", width)))
		scaleShift := w.Chunks(w.Linear(s.At("cond_to_film"), hint, 2*inner), 2)
		y := w.Linear(s.At("mid"), w.Concat(2, hint, w.SiLU(w.Linear(s.At("down"), x, inner))), inner)
		y = w.SiLU(w.Add(w.Mul(y, w.Add(scaleShift[0], w.Const(1))), scaleShift[1]))
		x = w.Add(x, w.Mul(w.Linear(s.At("up"), y, w.Hidden), l.strength))
	}
	return x
}

// attach returns the graph inputs of model patches, for rows of the given number of tokens.
func (v *variant) attach(list []family.Attached, rows int) []family.Value {
	var in []family.Value
	for k, a := range list {
		hint := tensor.New(rows, a.Input.Dim(1), a.Input.Dim(2))
		for i := range rows {
			copy(hint.Index(i).Data, a.Input.Index(i%a.Input.Dim(0)).Data)
		}
		a.Input = hint
		v.Lites = append(v.Lites, hint.Dim(2))
		in = append(in, dit.AttachedValues(k, a)...)
	}
	return in
}
