package moge

import (
	"comfygo/engine/family/dino"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// epsilon is that of group norms.
const epsilon = 1e-5

// writer writes a graph. Its images are [B,C,H,W].
type writer struct {
	*nn.Builder
	*model
}

// features writes the backbone and returns the sum of what the layers at s make of the states of the given layers of it, [B,out,h,w], and the class
// token [B,C] of the last one. Inputs: those of dino.Net.
func (w writer) features(s, projections *weights.Scope, layers []int) (x, class *onnx.Value) {
	n := dino.Net{Builder: w.Builder, Config: w.config}
	at := s.At(w.backbone[:len(w.backbone)-1])
	pixels, positions := n.Inputs()
	state := n.Embed(at.At("embeddings"), pixels, positions)
	rows, h, width := pixels.Dim(0), onnx.Sym("h"), onnx.Sym("w")
	found := 0
	for i := 0; i <= layers[len(layers)-1]; i++ {
		state = n.Layer(at.At("encoder.layer").Index(i), state, nil)
		if i != layers[found] {
			continue
		}
		normed := n.Norm(at, state)
		class = w.Squeeze(w.Slice(normed, 1, 0, 1), 1)
		p := projections.Index(found)
		y := w.Linear(p, w.SliceDims(normed, 1, onnx.D(1), normed.Dim(1)), outOf(p))
		if x == nil {
			x = y
		} else {
			x = w.Add(x, y)
		}
		found++
	}
	return w.Transpose(w.Reshape(x, rows, h, width, x.Dim(2)), 0, 3, 1, 2), class
}

// outOf is the number of channels that the layer at s makes.
func outOf(s *weights.Scope) int { return max(dim(s, 0), 1) } // a missing one is reported when the layer is written

func dim(s *weights.Scope, axis int) int {
	if shape := s.Shape("weight"); axis < len(shape) {
		return shape[axis]
	}
	return 0
}

// grid declares the grid of places [1,2,h,w] of a level as channels of x.
func (w writer) grid(i int, rows, h, width onnx.Dim) *onnx.Value {
	g := dit.Input(w.Builder, gridName(i), onnx.D(1), onnx.D(2), h, width)
	return w.Expand(g, rows, onnx.D(2), h, width)
}

// conv is a convolution of a square kernel that keeps the size and repeats the border.
func (w writer) conv(s *weights.Scope, x *onnx.Value) *onnx.Value {
	k := max(dim(s, 2), 1)
	if pad := []int{0, 0, k / 2, k / 2}; k > 1 {
		x = w.PadAxes(x, onnx.Edge, pad, pad)
	}
	return w.ConvND(s, x, outOf(s), []int{k, k}, 1, onnx.WindowND{})
}

// doubled is an image of twice the size: by a transposed convolution at s.0 where there is one, and a convolution at s.1.
func (w writer) doubled(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if up := s.At("0"); up.Has("weight") {
		x = w.ConvTranspose(up, x, max(dim(up, 1), 1), []int{2, 2}, 1, onnx.WindowND{Stride: []int{2, 2}})
	} else {
		x = w.Upscale(x, onnx.Linear, 1, 1, 2, 2)
	}
	return w.conv(s.At("1"), x)
}

// residual is a block of two convolutions with group norms, where it has any. Upstream: ResidualConvBlock.
func (w writer) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const perGroup = 32
	layers := s.At("layers")
	norm := func(name string, y *onnx.Value, groups int) *onnx.Value {
		if at := layers.At(name); at.Has("weight") {
			y = w.GroupNorm(at, y, groups, epsilon)
		}
		return w.Relu(y)
	}
	y := w.conv(layers.At("2"), norm("0", x, 1))
	y = w.conv(layers.At("5"), norm("3", y, max(y.Dim(1).N/perGroup, 1)))
	return w.Add(y, x)
}

// stack writes images at sizes that double, which begin with features and are joined by those of the next levels, and returns what it makes of each. Upstream: ConvStack.
func (w writer) stack(s *weights.Scope, features []*onnx.Value) []*onnx.Value {
	n := min(s.Count("input_blocks"), len(features))
	var out []*onnx.Value
	var x *onnx.Value
	for i := range n {
		y := w.conv(s.At("input_blocks").Index(i), features[i])
		if i > 0 {
			y = w.Add(x, y)
		}
		x = y
		blocks := s.At("res_blocks").Index(i)
		for k := range blocks.Count("") {
			x = w.residual(blocks.Index(k), x)
		}
		y = x
		if last := s.At("output_blocks").Index(i); last.Has("weight") {
			y = w.conv(last, x)
		}
		if out = append(out, y); i < n-1 {
			x = w.doubled(s.At("resamplers").Index(i), x)
		}
	}
	return out
}

// writeSecond writes version 2. Inputs: those of dino.Net, and grids [1,2,h·2^i,w·2^i]. Outputs: points, normals [B,3,h·16,w·16] and mask [B,1,·,·],
// scale [B,1]. Upstream: MoGeModelV2.
func (w writer) writeSecond(s *weights.Scope) {
	var layers []int
	for i := range read {
		layers = append(layers, w.config.Layers/read*(i+1)-1)
	}
	x, class := w.features(s, s.At("encoder.output_projections"), layers)
	var features []*onnx.Value
	for i := range levels {
		scale := onnx.D(1 << i)
		features = append(features, w.grid(i, x.Dim(0), onnx.Sym("h").Times(scale), onnx.Sym("w").Times(scale)))
	}
	features[0] = w.Concat(1, x, features[0])
	features = w.stack(s.At("neck"), features)
	heads := []string{"points", "mask"}
	if w.normals {
		heads = append(heads, "normal")
	}
	for _, name := range heads {
		y := w.stack(s.At(name+"_head"), features)
		if name == "normal" {
			name = "normals"
		}
		dit.Output(w.Builder, name, y[len(y)-1])
	}
	y := class
	for i := 0; ; i += 2 {
		layer := s.At("scale_head").Index(i)
		if y = w.Linear(layer, y, outOf(layer)); !s.At("scale_head").Index(i + 2).Has("weight") {
			break
		}
		y = w.Relu(y)
	}
	dit.Output(w.Builder, "scale", y)
}

// writeFirst writes version 1. Inputs: those of dino.Net, grids [1,2,h·2^i,w·2^i] and the last one [1,2,H,W]. Outputs: points [B,3,H,W] and mask
// [B,1,H,W]. Upstream: MoGeModelV1.
func (w writer) writeFirst(s *weights.Scope) {
	var layers []int
	for i := range read {
		layers = append(layers, w.config.Layers-read+i)
	}
	head := s.At("head")
	x, _ := w.features(s, head.At("projects"), layers)
	rows := x.Dim(0)
	for i := range w.grids {
		scale := onnx.D(1 << i)
		block := head.At("upsample_blocks").Index(i)
		x = w.doubled(block.At("0"), w.Concat(1, x, w.grid(i, rows, onnx.Sym("h").Times(scale), onnx.Sym("w").Times(scale))))
		for k := 1; block.Index(k).HasAny("layers"); k++ {
			x = w.residual(block.Index(k), x)
		}
	}
	h, width := onnx.Sym("H"), onnx.Sym("W")
	last := w.grid(lastGrid, rows, h, width) // which tells the size
	x = w.Concat(1, w.ResizeTo(x, onnx.Linear, rows, x.Dim(1), h, width), last)
	for i, name := range []string{"points", "mask"} {
		block := head.At("output_block").Index(i)
		dit.Output(w.Builder, name, w.conv(block.At("2"), w.Relu(w.conv(block.At("0"), x))))
	}
}
