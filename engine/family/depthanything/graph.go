package depthanything

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family/dino"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The ways in which the view is chosen that the others are placed by: one that the inputs name, or one that the graph finds by the class tokens.
const (
	given    = "given"
	balanced = "saddle_balanced"
	farthest = "saddle_sim_range"
)

// fewest is the number of views from which on one is chosen. Upstream: reference_view_selector.py.
const fewest = 3

// form is what distinguishes the graphs of a network.
type form struct {
	anchor             string
	withRays, withPose bool
}

// writer writes a graph.
type writer struct {
	*nn.Builder
	*model
	form
}

// write writes the network. Inputs: those of dino.Net, of turns, of choice and of the head. Outputs: main [B,values,h·P,w·P], the logarithms of depth
// and of confidence less one; sky [B,1,h·P,w·P]; rays [B,7,h·8,w·8]; pose [B,9]. Upstream: DepthAnything3Net.forward.
func (w writer) write(s *weights.Scope) {
	features, class := w.backbone(s.At("backbone"))
	w.head(s.At("head"), features)
	if w.withPose {
		w.writePose(s.At("cam_dec"), class)
	}
}

// rotations turn queries and keys by the places of their patches, within a view and across all views.
type rotations struct{ within, across *nn.Rotary }

// turns declares the angles of rotations.
func (w writer) turns(tokens onnx.Dim, rows onnx.Dim) rotations {
	pairs := onnx.D(w.config.Width / w.config.Heads / 2)
	table := func(name string) *onnx.Value { return dit.Input(w.Builder, name, onnx.D(1), tokens, pairs) }
	all := func(v *onnx.Value) *onnx.Value {
		return w.Reshape(w.Expand(v, rows, tokens, pairs), onnx.D(1), rows.Times(tokens), pairs)
	}
	r := rotations{within: &nn.Rotary{Cos: table("cos"), Sin: table("sin")}}
	r.across = &nn.Rotary{Cos: all(table("cos across")), Sin: all(table("sin across"))}
	return r
}

// rotated turns x [B,S,heads·D]. A head has one half for rows and one for columns, each of which pairs its own halves; the pairs of both are brought
// together first, which changes no product of a query and a key. Upstream: RotaryPositionEmbedding2D.
func (w writer) rotated(r *nn.Rotary) func(x *onnx.Value) *onnx.Value {
	const axes, parts = 2, 2
	heads := w.config.Heads
	quarter := w.config.Width / heads / (axes * parts)
	return func(x *onnx.Value) *onnx.Value {
		y := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(axes), onnx.D(parts), onnx.D(quarter))
		return w.Rotate(w.Reshape(w.Transpose(y, 0, 1, 2, 4, 3, 5), x.Dim(0), x.Dim(1), x.Dim(2)), r, heads)
	}
}

// backbone writes the backbone and returns the patches [B,h·w,C] of the layers that the head reads, and the first token [B,1,C] of the last one.
// Upstream: dino2.py get_intermediate_layers_da3.
func (w writer) backbone(s *weights.Scope) (features []*onnx.Value, class *onnx.Value) {
	n := dino.Net{Builder: w.Builder, Config: w.config}
	pixels, positions := n.Inputs()
	x := n.Embed(s.At("embeddings"), pixels, positions)
	rows, tokens, width := x.Dim(0), x.Dim(1), onnx.D(w.config.Width)
	var turn rotations
	var chosen *onnx.Value // [B,1,2], one for the chosen view and one for the others
	if w.cameras {
		turn = w.turns(tokens, rows)
		if w.anchor == given {
			chosen = dit.Input(w.Builder, "anchor", rows, onnx.D(1), onnx.D(2))
		}
	}
	local := x
	for i := 0; i <= w.read[levels-1]; i++ {
		layer := s.At("encoder.layer").Index(i)
		if w.cameras && i == w.alternate-1 && chosen == nil {
			chosen = w.choice(x)
		}
		if w.cameras && i == w.alternate {
			camera := w.MatMul(chosen, w.Table(s.At("embeddings").Weight("camera_token", 1, 2, w.config.Width)))
			x = w.Concat(1, camera, w.SliceDims(x, 1, onnx.D(1), tokens))
		}
		switch {
		case !w.cameras || i < w.alternate:
			x = n.Layer(layer, x, nil)
			local = x
		case i%2 == 1:
			y := w.Reshape(x, onnx.D(1), rows.Times(tokens), width)
			x = w.Reshape(n.Layer(layer, y, w.rotated(turn.across)), rows, tokens, width)
		default:
			x = n.Layer(layer, x, w.rotated(turn.within))
			local = x
		}
		if len(features) < levels && i == w.read[len(features)] {
			y := w.SliceDims(n.Norm(s, x), 1, onnx.D(1), tokens)
			class = w.Slice(x, 1, 0, 1)
			if w.cameras {
				y = w.Concat(2, w.SliceDims(local, 1, onnx.D(1), tokens), y)
				class = w.Concat(2, w.Slice(local, 1, 0, 1), class)
			}
			features = append(features, y)
		}
	}
	return features, class
}

// choice finds the view that the others are placed by from the class tokens of x [B,S,C], in float32. Upstream: reference_view_selector.py
// select_reference_view; views keep their order here, because layers that look at all of them do not notice it. Of the two views that are most alike,
// which saddle_sim_range often finds, the first is taken: upstream leaves it to rounding.
func (w writer) choice(x *onnx.Value) *onnx.Value {
	rows, tiny := x.Dim(0), w.Scalar(dtype.F32, 1e-8)
	apart := w.Input("apart", dtype.F32, rows, rows) // 0 for a view and itself, 1 for others
	numbers := w.Input("numbers", dtype.F32, rows)
	others := w.Input("others", dtype.F32, onnx.D(1))
	class := w.Cast(w.Squeeze(w.Slice(x, 1, 0, 1), 1), dtype.F32)
	norm := w.ReduceL2(class, true, 1)
	unit := w.Div(class, norm)
	alike := w.Mul(w.MatMul(unit, w.Transpose(unit, 1, 0)), apart)
	var worst *onnx.Value // the view with the least is chosen
	if w.anchor == farthest {
		worst = w.Sub(w.ReduceMin(alike, false, 1), w.ReduceMax(alike, false, 1))
	} else {
		from := w.Sub(unit, w.ReduceMean(unit, true, 1))
		spread := w.Div(w.ReduceSum(w.Mul(from, from), false, 1), w.Scalar(dtype.F32, float32(w.config.Width-1)))
		for _, v := range []*onnx.Value{w.Div(w.ReduceSum(alike, false, 1), others), w.Squeeze(norm, 1), spread} {
			low, high := w.ReduceMin(v, true, 0), w.ReduceMax(v, true, 0)
			v = w.Div(w.Sub(v, low), w.Add(w.Sub(high, low), tiny))
			v = w.Abs(w.Sub(v, w.Scalar(dtype.F32, 0.5)))
			if worst == nil {
				worst = v
			} else {
				worst = w.Add(worst, v)
			}
		}
	}
	_, at := w.TopK(w.Neg(worst), 0, 1)
	one := w.Reshape(w.Cast(w.Equal(numbers, w.Cast(at, dtype.F32)), dtype.F32), rows, onnx.D(1), onnx.D(1))
	return w.Cast(w.Concat(2, one, w.Sub(w.Scalar(dtype.F32, 1), one)), w.Target.Compute)
}

// writePose writes the decoder of cameras for class [B,1,C]. Upstream: camera.py CameraDec.
func (w writer) writePose(s *weights.Scope, class *onnx.Value) {
	x, width := w.Squeeze(class, 1), w.tokenWidth()
	for _, layer := range []string{"backbone.0", "backbone.2"} {
		x = w.Relu(w.Linear(s.At(layer), x, width))
	}
	const place, turn, angles = 3, 4, 2
	dit.Output(w.Builder, "pose", w.Concat(1, w.Linear(s.At("fc_t"), x, place), w.Linear(s.At("fc_qvec"), x, turn), w.Relu(w.Linear(s.At("fc_fov.0"), x, angles))))
}
