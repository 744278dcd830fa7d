package patch_test

import (
	"fmt"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// targets are all forms in which the layers write themselves. The form for CUDA consists of operators that the CPU has too.
func targets() map[string]nn.Target {
	block := lib.NchwcBlock()
	return map[string]nn.Target{
		"plain":        {Compute: dtype.F32},
		"blocked":      {Compute: dtype.F32, Block: block},
		"lean":         {Compute: dtype.F32, Lean: true},
		"lean blocked": {Compute: dtype.F32, Block: block, Lean: true},
		"linear":       {Compute: dtype.F32, Linear: lib.HasLinear()},
		"linear lean":  {Compute: dtype.F32, Linear: lib.HasLinear(), Lean: true},
		"rounded":      {Compute: dtype.F32, Block: block, Weights: dtype.F8E4M3},
		"cuda":         {Compute: dtype.F32, CUDA: true},
	}
}

// layerCase is one layer of a network with the adapters of its weight "l.weight".
type layerCase struct {
	name   string
	weight []int
	x      []int
	write  write
	// adapters lists, file by file, the tensors of the layer, without its name.
	adapters [][]weights.Entry
	target   patch.Target
}

func lowRank(t *testing.T, file string, out, rank int, down ...int) []weights.Entry {
	t.Helper()
	up := []int{out, rank}
	if len(down) == 3 {
		up = append(up, 1, 1)
	}
	return []weights.Entry{
		random(t, file+".lora_up.weight", dtype.F16, up...),
		random(t, file+".lora_down.weight", dtype.F16, append([]int{rank}, down...)...),
		stored(t, file+".alpha", dtype.F32, []float32{float32(rank) / 2}),
	}
}

func tucker(t *testing.T, file string, out, rank, in, k int) []weights.Entry {
	t.Helper()
	return append(lowRank(t, file, out, rank, in, 1, 1), random(t, file+".lora_mid.weight", dtype.F16, rank, rank, k, k))
}

func layerCases(t *testing.T) []layerCase {
	t.Helper()
	linear := func(out int) write {
		return func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value { return b.Linear(s.At("l"), x, out) }
	}
	conv := func(out, k int, w onnx.Window) write {
		return func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
			return b.Conv2d(s.At("l"), x, out, k, w)
		}
	}
	residual := func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return b.Conv2dAdd(s.At("l"), x, x, 32, 3, onnx.Pad1())
	}
	up := func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return b.UpsampleConv(s.At("l"), x, 32)
	}
	rows := func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		var parts []*onnx.Value
		for i := range 3 {
			parts = append(parts, b.LinearRows(s.At("l"), x, 48, 16*i, 16))
		}
		return b.Concat(-1, parts...)
	}
	one, half, whole := onnx.Window{Stride: 1}, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}}, patch.Target{Key: "m.l.weight"}
	tokens, image := []int{2, 7, 24}, []int{2, 32, 6, 4}
	a := func(es ...[]weights.Entry) [][]weights.Entry { return es }
	return []layerCase{
		{"linear", []int{40, 24}, tokens, linear(40), a(lowRank(t, "a", 40, 3, 24)), whole},
		{"linear stack", []int{40, 24}, tokens, linear(40), a(lowRank(t, "a", 40, 3, 24), lowRank(t, "b", 40, 16, 24)), whole},
		{"linear of 1x1 convolution", []int{40, 24, 1, 1}, tokens, linear(40), a(lowRank(t, "a", 40, 3, 24, 1, 1)), whole},
		{"linear rows", []int{48, 24}, tokens, linear(48), a(lowRank(t, "a", 16, 3, 24), lowRank(t, "b", 16, 2, 24)), patch.Target{Key: "m.l.weight", From: 16, Rows: 16}},
		{"rows of fused", []int{48, 24}, tokens, rows, a(lowRank(t, "a", 48, 3, 24), lowRank(t, "b", 48, 2, 24)), whole},
		{"rows across fused", []int{48, 24}, tokens, rows, a(lowRank(t, "a", 20, 3, 24)), patch.Target{Key: "m.l.weight", From: 9, Rows: 20}},
		{"swapped halves", []int{40, 24}, tokens, linear(40), a(lowRank(t, "a", 40, 3, 24)), patch.Target{Key: "m.l.weight", SwapHalves: true}},
		{"conv", []int{48, 32, 3, 3}, image, conv(48, 3, onnx.Pad1()), a(lowRank(t, "a", 48, 3, 32, 3, 3)), whole},
		{"conv of rank of a block", []int{48, 32, 3, 3}, image, conv(48, 3, onnx.Pad1()), a(lowRank(t, "a", 48, 32, 32, 3, 3)), whole},
		{"conv stack", []int{48, 32, 3, 3}, image, conv(48, 3, onnx.Pad1()), a(lowRank(t, "a", 48, 3, 32, 3, 3), tucker(t, "b", 48, 5, 32, 3)), whole},
		{"conv tucker", []int{48, 32, 3, 3}, image, conv(48, 3, onnx.Pad1()), a(tucker(t, "a", 48, 4, 32, 3)), whole},
		{"conv stride", []int{32, 32, 3, 3}, image, conv(32, 3, half), a(lowRank(t, "a", 32, 3, 32, 3, 3), tucker(t, "b", 32, 4, 32, 3)), whole},
		{"conv 1x1", []int{32, 32, 1, 1}, image, conv(32, 1, one), a(lowRank(t, "a", 32, 3, 32, 1, 1)), whole},
		{"conv residual", []int{32, 32, 3, 3}, image, residual, a(lowRank(t, "a", 32, 3, 32, 3, 3), lowRank(t, "b", 32, 4, 32, 3, 3)), whole},
		{"first conv", []int{32, 4, 3, 3}, []int{1, 4, 6, 4}, conv(32, 3, onnx.Pad1()), a(lowRank(t, "a", 32, 3, 4, 3, 3), tucker(t, "b", 32, 4, 4, 3)), whole},
		{"last conv", []int{4, 32, 3, 3}, image, conv(4, 3, onnx.Pad1()), a(lowRank(t, "a", 4, 3, 32, 3, 3)), whole},
		{"odd channels", []int{30, 20, 3, 3}, []int{2, 20, 6, 4}, conv(30, 3, onnx.Pad1()), a(lowRank(t, "a", 30, 3, 20, 3, 3), tucker(t, "b", 30, 4, 20, 3)), whole},
		{"conv given as matrices", []int{48, 32, 3, 3}, image, conv(48, 3, onnx.Pad1()), a(lowRank(t, "a", 48, 3, 288)), whole},
		{"conv 1-D", []int{40, 24, 3}, []int{2, 24, 9}, func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
			return b.Conv1d(s.At("l"), x, 40, 3, 1, onnx.WindowND{Stride: []int{2}, Before: []int{2}})
		}, a(lowRank(t, "a", 40, 3, 24, 3)), whole},
		{"conv 3-D", []int{20, 8, 3, 3, 3}, []int{1, 8, 4, 5, 6}, func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
			return b.CausalConv3d(s.At("l"), x, 20, [3]int{3, 3, 3}, onnx.Edge)
		}, a(lowRank(t, "a", 20, 3, 8, 3, 3, 3), append(lowRank(t, "b", 20, 2, 8, 1, 1, 1), random(t, "b.lora_mid.weight", dtype.F16, 2, 2, 3, 3, 3))), whole},
		{"upsampling", []int{32, 32, 3, 3}, image, up, a(lowRank(t, "a", 32, 3, 32, 3, 3), tucker(t, "b", 32, 4, 32, 3)), whole},
	}
}

// files reads the adapters of a case, matched with the model.
func (c layerCase) files(t *testing.T, model weights.Source, baked bool) []*patch.File {
	t.Helper()
	var out []*patch.File
	for i, es := range c.adapters {
		file := string("ab"[i])
		var keys patch.KeyMap
		target := c.target
		target.Baked = baked
		keys.Add(file, target)
		f, err := patch.Read(source(t, file, es...), &keys, shapes("m.", model))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func stack(files []*patch.File, strengths []float64) patch.Stack {
	var s patch.Stack
	for i, f := range files {
		s = s.With(f, strengths[i])
	}
	return s
}

// TestBranchesEqualChangedWeights compares, for every layer in every form, the graph with branches to the graph whose
// weights were changed beforehand; one session serves all strengths.
func TestBranchesEqualChangedWeights(t *testing.T) {
	t.Parallel()
	for name, target := range targets() {
		for _, c := range layerCases(t) {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				d := dtype.F16
				if target.Weights != dtype.Invalid {
					d = dtype.F32
				}
				model := source(t, "model", random(t, "l.weight", d, c.weight...), random(t, "l.bias", dtype.F32, c.weight[0]))
				x := values(t, random(t, "x", dtype.F32, c.x...))
				files := c.files(t, model, false)
				branched := session(t, target, model, stack(files, []float64{1, 1}).Part("m.").Adapters(), c.x, c.write)
				plain := compute(t, session(t, target, model, nil, c.x, c.write), x, c.x, nil)
				for _, strengths := range [][]float64{{0, 0}, {0.75, -0.5}, {-1.25, 2}} {
					part := stack(files, strengths).Part("m.")
					got := compute(t, branched, x, c.x, part.Adapters())
					if strengths[0] == 0 {
						near(t, "without strength", got, plain)
						continue
					}
					near(t, fmt.Sprint(strengths), got, c.changed(t, target, model, x, strengths))
				}
			})
		}
	}
}

// changed computes the layer with changed weights. Where weights are rounded, the model's own are and the change is not.
func (c layerCase) changed(t *testing.T, target nn.Target, model weights.Source, x []float32, strengths []float64) []float32 {
	t.Helper()
	if target.Weights != dtype.Invalid {
		e, _ := model.Lookup("l.weight")
		bias, _ := model.Lookup("l.bias")
		v, b := values(t, e), values(t, bias)
		for _, w := range [][]float32{v, b} {
			if err := weights.Round(w, target.Weights); err != nil {
				t.Fatal(err)
			}
		}
		model = source(t, "rounded", stored(t, "l.weight", dtype.F32, v, c.weight...), stored(t, "l.bias", dtype.F32, b, c.weight[0]))
		target.Weights = dtype.Invalid
	}
	part := stack(c.files(t, model, true), strengths).Part("m.")
	if part.Adapters().Strengths() != nil {
		t.Fatal("baked adapters became branches")
	}
	src, err := part.Source(model)
	if err != nil {
		t.Fatal(err)
	}
	return compute(t, session(t, target, src, nil, c.x, c.write), x, c.x, nil)
}
