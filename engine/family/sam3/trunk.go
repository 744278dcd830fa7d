package sam3

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// trunk is the graph of the image encoder: image [1,3,side,side] to seen [1,width,grid,grid].
func (m *model) trunk() family.Graph {
	return m.graph("segment image", nil, func(w *writer, s *weights.Scope) { w.writeTrunk(s.At(vision, "trunk")) })
}

// window is the side of a window in cells.
func (c config) window() int { return c.grid / windows }

// head is the width of a head of the image encoder.
func (c config) head() int { return c.width / looks }

// angles are the inputs of the image encoder's rotary embeddings: of the whole image, whose places are scaled to those of a window, and of a window.
func (m *model) angles() []family.Value {
	var out []family.Value
	scale := float32(m.window()) / float32(m.grid)
	out = append(out, table("", m.grid, m.head(), scale)...)
	return append(out, table("window ", m.window(), m.head(), 1)...)
}

// table are cosines and sines [1,side²,d/2] for the cells of a square, column and row times scale.
func table(name string, side, d int, scale float32) []family.Value {
	places := make([]float64, 0, 2*side*side)
	for i := range side * side {
		places = append(places, float64(float32(i%side)*scale), float64(float32(i/side)*scale))
	}
	cos, sin := nn.RotaryTable(places, theta, d/2, d/2)
	shape := []int{1, side * side, d / 2}
	return []family.Value{family.Floats(name+"cos", &tensor.Tensor{Shape: shape, Data: cos}), family.Floats(name+"sin", &tensor.Tensor{Shape: shape, Data: sin})}
}

// rotary declares the inputs that table makes.
func (w *writer) rotary(name string, side, d int) *nn.Rotary {
	shape := []onnx.Dim{d1, onnx.D(side * side), onnx.D(d / 2)}
	return &nn.Rotary{Cos: w.in(name+"cos", shape...), Sin: w.in(name+"sin", shape...), Interleaved: true}
}

func (w *writer) writeTrunk(s *weights.Scope) {
	g, c := w.grid, onnx.D(w.width)
	x := w.conv(s.At("patch_embed.proj"), w.in("image", d1, onnx.D(rgb), onnx.D(w.side()), onnx.D(w.side())), w.patch, 0)
	whole, part := w.rotary("", g, w.head()), w.rotary("window ", w.window(), w.head())
	x = w.Add(w.tokens(x), w.Table(w.places(s)))
	x = w.norm(s.At("ln_pre"), x)
	every := w.depth / globals
	for i := range w.depth {
		at := s.At("blocks").Index(i)
		y := w.norm(at.At("norm1"), x)
		if (i+1)%every == 0 {
			y = w.lookAround(at.At("attn"), y, whole)
		} else {
			n, k := onnx.D(windows), onnx.D(w.window())
			y = w.Transpose(w.Reshape(y, n, k, n, k, c), 0, 2, 1, 3, 4)
			y = w.lookAround(at.At("attn"), w.Reshape(y, onnx.D(windows*windows), onnx.D(w.window()*w.window()), c), part)
			y = w.Transpose(w.Reshape(y, n, n, k, k, c), 0, 2, 1, 3, 4)
			y = w.Reshape(y, d1, onnx.D(g*g), c)
		}
		x = w.Add(x, y)
		y = w.Gelu(w.linear(at.At("mlp.fc1"), w.norm(at.At("norm2"), x)), false)
		x = w.LinearAdd(at.At("mlp.fc2"), y, x, w.width)
	}
	w.out("seen", w.spatial(x, g))
}

// lookAround is attention of tokens x [B,N,C] to each other.
func (w *writer) lookAround(s *weights.Scope, x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	var qkv [3]*onnx.Value
	for i := range qkv {
		qkv[i] = w.LinearRows(s.At("qkv"), x, 3*w.width, i*w.width, w.width)
	}
	a := onnx.Attention{Heads: looks, Scale: float32(1 / math.Sqrt(float64(w.head())))}
	y := w.Attend(w.Rotate(qkv[0], rope, looks), w.Rotate(qkv[1], rope, looks), qkv[2], a)
	return w.linear(s.At("proj"), y)
}

// places are the embeddings [grid²,C] of the cells' places: those of a smaller grid over and over, without that of the class token.
func (w *writer) places(s *weights.Scope) *weights.Ref {
	const name = "pos_embed"
	r := s.Weight(name, 1, -1, w.width)
	old := int(math.Sqrt(float64(r.Entry.Shape[1] - 1)))
	if r.Missing() || old < 1 || old*old+1 != r.Entry.Shape[1] {
		return &weights.Ref{Name: r.Name, Entry: weights.Entry{Name: r.Name, Shape: []int{w.cells(), w.width}, Offset: -1}}
	}
	return w.computed(r, fmt.Sprintf("tiled places %d", w.grid), []int{w.cells(), w.width}, func(dst []float32, from int) error {
		whole, err := weights.Float32s(r.Entry)
		for i := range dst {
			if err != nil {
				break
			}
			cell, k := (from+i)/w.width, (from+i)%w.width
			y, x := cell/w.grid%old, cell%w.grid%old
			dst[i] = whole[(1+y*old+x)*w.width+k]
		}
		return err
	})
}

// computed is a weight that is computed of another.
func (w *writer) computed(r *weights.Ref, op string, shape []int, read func(dst []float32, from int) error) *weights.Ref {
	e := weights.Compute(r.Name+" "+op, shape, weights.Computation{Op: op, Parts: []weights.Entry{r.Entry}, Read: read})
	return &weights.Ref{Name: e.Name, Entry: e}
}

// level is the pyramid's level i at s: 0 has four times the sides of seen, 1 twice, 2 the same.
func (w *writer) level(s *weights.Scope, seen *onnx.Value, i int) *onnx.Value {
	s, x := s.Index(i), seen
	switch i {
	case 0:
		x = w.enlarge(s.At("dconv_2x2_1"), w.Gelu(w.enlarge(s.At("dconv_2x2_0"), x), false))
	case 1:
		x = w.enlarge(s.At("dconv_2x2"), x)
	}
	return w.conv(s.At("conv_3x3"), w.conv(s.At("conv_1x1"), x, 1, 0), 1, 1)
}

// sines are embeddings [1,side²,d] of the places in a square. Upstream: PositionEmbeddingSine.
func sines(side, d int) *tensor.Tensor {
	out := tensor.New(1, side*side, d)
	of := func(dst []float32, i int) { sineOf(dst, float32(float64(i)/(float64(side-1)+1e-6))) }
	for i := range side * side {
		row := out.Data[i*d:]
		of(row[:d/2], i/side)
		of(row[d/2:d], i%side)
	}
	return out
}

// sineOf embeds a place in 0…1: sines and cosines in turn.
func sineOf(dst []float32, place float32) {
	n := len(dst)
	for i := range n {
		angle := float64(place) * 2 * math.Pi / math.Pow(theta, 2*float64(i/2)/float64(n))
		if i%2 == 0 {
			dst[i] = float32(math.Sin(angle))
		} else {
			dst[i] = float32(math.Cos(angle))
		}
	}
}
