package gemma4

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// vision is what reads images for a language model: [1,H,W,3] of sides that token divides, to vectors [tokens,width].
type vision interface {
	look(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error)
}

// patchSide is the side of a patch in pixels, pool the number of patches along both sides that become one token.
const (
	patchSide = 16
	pool      = 3
	token     = patchSide * pool
)

// The most tokens of an image, and of a frame of a video.
const (
	imageTokens = 280
	frameTokens = 70
)

// fit converts an image [1,H,W,C] of values from 0 to 1 to the area of the given number of tokens, by bicubic interpolation of 8-bit
// values (upstream: Gemma4_Tokenizer.tokenize_with_weights).
func fit(image *tensor.Tensor, tokens int) (*tensor.Tensor, error) {
	if len(image.Shape) != 4 || image.Dim(0) != 1 || image.Dim(3) < 3 || image.Dim(1) < 1 || image.Dim(2) < 1 {
		return nil, fmt.Errorf("encoding an image: it has the shape %v, wanted one of height, width and at least 3 channels", image.Shape)
	}
	h, w, ch := image.Dim(1), image.Dim(2), image.Dim(3)
	height, width := fitted(h, w, tokens)
	x := tensor.New(1, 3, h, w)
	for i := range h * w {
		for c := range 3 {
			x.Data[c*h*w+i] = float32(math.Floor(float64(min(max(image.Data[i*ch+c], 0), 1) * 255)))
		}
	}
	if height != h || width != w {
		x = imaging.Antialias(x, height, width, imaging.Bicubic)
		for i, v := range x.Data {
			x.Data[i] = float32(math.RoundToEven(float64(min(max(v, 0), 255))))
		}
	}
	out := tensor.New(1, height, width, 3)
	for i := range height * width {
		for c := range 3 {
			out.Data[i*3+c] = x.Data[c*height*width+i] * float32(1.0/255)
		}
	}
	return out, nil
}

// fitted is the size of an image within the area of the given number of tokens, of sides that token divides.
func fitted(h, w, tokens int) (height, width int) {
	factor := math.Sqrt(float64(tokens*token*token) / float64(h*w))
	side := func(n int) int { return int(math.Floor(factor*float64(n)/token)) * token }
	height, width = side(h), side(w)
	switch longest := tokens * token; {
	case height == 0:
		return token, min(w/h*token, longest)
	case width == 0:
		return min(h/w*token, longest), token
	}
	return height, width
}

// checkFitted fails for images that fit did not make.
func checkFitted(image *tensor.Tensor) error {
	if len(image.Shape) != 4 || image.Dim(0) != 1 || image.Dim(3) != 3 || image.Dim(1)%token != 0 || image.Dim(2)%token != 0 || image.Len() == 0 {
		return fmt.Errorf("encoding an image: it has the shape %v, wanted sides that %d divides", image.Shape, token)
	}
	return nil
}

const (
	visionRoot = "vision_model."
	projection = "multi_modal_projector.embedding_projection.weight"
	places     = visionRoot + "patch_embedder.position_embedding_table"
)

// Vision describes the vision tower of E2B, E4B and 31B (upstream: gemma4.py Gemma4VisionEncoder).
type Vision struct{ Width, Layers, Heads, HeadDim, MLP, Places, Out int }

// readVision returns the vision tower of the file, or nil.
func readVision(s *weights.Scope, src weights.Source, c Config) (vision, error) {
	v := s.At("vision_model")
	if v.Has("patch_dense.weight") {
		dense, table := v.Shape("patch_dense.weight"), v.Shape("pos_embedding")
		if len(dense) != 2 || len(table) != 3 || table[1] != 2 || dense[1] != 3*token*token {
			return nil, fmt.Errorf("reading the shape of what reads images: patch_dense %v, pos_embedding %v", dense, table)
		}
		return plainVision{Width: dense[0], Places: table[0], Out: c.Width, src: src}, nil
	}
	embed := v.Shape("patch_embedder.input_proj.weight")
	if embed == nil {
		return nil, nil
	}
	layer := v.At("encoder.layers.0")
	norm, q, gate, table := layer.Shape("self_attn.q_norm.weight"), layer.Shape("self_attn.q_proj.linear.weight"), layer.Shape("mlp.gate_proj.linear.weight"), s.Shape(places)
	if len(embed) != 2 || embed[1] != 3*patchSide*patchSide || len(norm) != 1 || norm[0]%4 != 0 || norm[0] == 0 || len(q) != 2 || len(gate) != 2 || len(table) != 3 || table[0] != 2 {
		return nil, fmt.Errorf("reading the vision tower's shape: input_proj %v, q_norm %v, q_proj %v, gate_proj %v, position_embedding_table %v", embed, norm, q, gate, table)
	}
	return tower{Vision{
		Width: embed[0], Layers: s.Count("vision_model.encoder.layers"), HeadDim: norm[0], Heads: q[0] / norm[0], MLP: gate[0], Places: table[1], Out: c.Width,
	}, src}, nil
}

// tower is a vision tower with its tensors.
type tower struct {
	Vision
	src weights.Source
}

const visionTheta = 100

// look implements vision.
func (v tower) look(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	if err := checkFitted(image); err != nil {
		return nil, err
	}
	cols := image.Dim(2) / patchSide
	n := image.Dim(1) / patchSide * cols
	if err := run.Check("encoding an image", int64(n)*int64(4*(8*v.Width+3*v.MLP+4*v.Heads*v.HeadDim))); err != nil {
		return nil, err
	}
	scope := weights.NewScope(v.src)
	table := scope.Weight(places, 2, v.Places, v.Width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	const values = 3 * patchSide * patchSide
	half, quarter := v.HeadDim/2, v.HeadDim/4
	patches, added := tensor.New(1, n, values), tensor.New(1, n, v.Width)
	cos, sin := tensor.New(1, n, half), tensor.New(1, n, half)
	along := make([]float32, v.Width)
	for at := range n {
		x, y := place(at, cols)
		if max(x, y) >= v.Places {
			return nil, fmt.Errorf("encoding an image: it is too long, the vision tower knows %d places", v.Places)
		}
		copyPatch(patches.Data[at*values:(at+1)*values], image, x*patchSide, y*patchSide, patchSide)
		for i := range values {
			patches.Data[at*values+i] = 2 * (patches.Data[at*values+i] - 0.5)
		}
		to := added.Data[at*v.Width : (at+1)*v.Width]
		for axis, p := range []int{x, y} {
			if err := weights.Range(along, table.Entry, (axis*v.Places+p)*v.Width); err != nil {
				return nil, err
			}
			for i, a := range along {
				to[i] += a
			}
			for i := range quarter {
				angle := float64(float32(p) * (1 / float32(math.Pow(visionTheta, float64(float32(2*i)/float32(half))))))
				cos.Data[at*half+axis*quarter+i], sin.Data[at*half+axis*quarter+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
		}
	}
	res, err := run.Run(ctx, v.graph(), []family.Value{
		family.Floats("patches", patches), family.Floats("places", added), family.Floats("cos", cos), family.Floats("sin", sin),
	}, "vectors")
	if err != nil {
		return nil, fmt.Errorf("encoding an image: %w", err)
	}
	return res["vectors"], nil
}

// place returns the column and the row of a patch in token order, where the nine patches of a token are adjacent.
func place(at, cols int) (x, y int) {
	t, k, wide := at/(pool*pool), at%(pool*pool), cols/pool
	return t%wide*pool + k%pool, t/wide*pool + k/pool
}

// copyPatch writes the square of an image [1,H,W,3] at a place: by row, column and channel.
func copyPatch(dst []float32, image *tensor.Tensor, left, top, side int) {
	for y := range side {
		from := ((top+y)*image.Dim(2) + left) * 3
		copy(dst[y*side*3:(y+1)*side*3], image.Data[from:])
	}
}

func (v tower) graph() family.Graph {
	return family.Graph{Part: "vision tower", Variant: family.Digest(v.Vision), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("gemma 4 vision", v.src, func(b *nn.Builder, s *weights.Scope) { (&visionWriter{clipped: clipped{b}, cfg: v.Vision}).write(s) })
	}}
}

// clipped are layers whose input and output are clamped to bounds stored beside their weights.
type clipped struct{ *nn.Builder }

// linear is a layer between bounds (upstream: gemma4.py ClippedLinear).
func (b clipped) linear(s *weights.Scope, x *onnx.Value, out int) *onnx.Value {
	return b.bound(s, "output", b.Linear(s.At("linear"), b.bound(s, "input", x), out))
}

func (b clipped) bound(s *weights.Scope, what string, x *onnx.Value) *onnx.Value {
	b.At(s.Prefix())
	if s.Has(what + "_min") {
		x = b.Max(x, b.Table(s.Weight(what+"_min")))
	}
	if s.Has(what + "_max") {
		x = b.Min(x, b.Table(s.Weight(what+"_max")))
	}
	return x
}

type visionWriter struct {
	clipped
	cfg  Vision
	rope *nn.Rotary
}

// write writes the tower: inputs "patches" [1,N,values] by tokens of nine, "places" [1,N,width], cosines and sines [1,N,D/2], by column
// and then by row; output "vectors" [N/9,out].
func (w *visionWriter) write(s *weights.Scope) {
	one, tokens := onnx.D(1), onnx.Sym("U")
	n, c := onnx.D(pool*pool).Times(tokens), w.cfg
	input := func(name string, width int) *onnx.Value {
		return w.Cast(w.Input(name, dtype.F32, one, n, onnx.D(width)), w.Target.Compute)
	}
	v := s.At("vision_model")
	x := w.Add(w.Linear(v.At("patch_embedder", "input_proj"), input("patches", 3*patchSide*patchSide), c.Width), input("places", c.Width))
	w.rope = &nn.Rotary{Cos: input("cos", c.HeadDim/2), Sin: input("sin", c.HeadDim/2)}
	for i := range c.Layers {
		x = w.block(v.At("encoder", "layers").Index(i), x)
	}
	x = w.ReduceMean(w.Reshape(x, tokens, onnx.D(pool*pool), onnx.D(c.Width)), false, 1)
	x = w.Mul(x, w.Const(float32(math.Sqrt(float64(c.Width)))))
	projectTo(w.Builder, s.At("multi_modal_projector"), x, c.Out)
}

// projectTo normalises vectors [N,width] and projects them to the width of the language model, as the output "vectors".
func projectTo(b *nn.Builder, s *weights.Scope, x *onnx.Value, out int) {
	b.Output("vectors", b.Cast(b.Linear(s.At("embedding_projection"), b.Graph.RMSNorm(x, nil, epsilon), out), dtype.F32))
}

func (w *visionWriter) block(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := w.cfg
	norm := func(name string, x *onnx.Value) *onnx.Value { return w.RMSNorm(s.At(name), x, epsilon) }
	a, n, inner := s.At("self_attn"), norm("input_layernorm", x), c.Heads*c.HeadDim
	q, k, v := w.linear(a.At("q_proj"), n, inner), w.linear(a.At("k_proj"), n, inner), w.linear(a.At("v_proj"), n, inner)
	q, k = w.turn(w.HeadRMSNorm(a.At("q_norm"), q, c.Heads, epsilon)), w.turn(w.HeadRMSNorm(a.At("k_norm"), k, c.Heads, epsilon))
	v = w.Reshape(w.Graph.RMSNorm(w.Reshape(v, v.Dim(0), v.Dim(1), onnx.D(c.Heads), onnx.D(c.HeadDim)), nil, epsilon), v.Shape...)
	y := w.linear(a.At("o_proj"), w.Attend(q, k, v, onnx.Attention{Heads: c.Heads, Scale: 1}), c.Width)
	x = w.Add(x, norm("post_attention_layernorm", y))
	m, n := s.At("mlp"), norm("pre_feedforward_layernorm", x)
	y = w.Mul(w.Gelu(w.linear(m.At("gate_proj"), n, c.MLP), true), w.linear(m.At("up_proj"), n, c.MLP))
	return w.Add(x, norm("post_feedforward_layernorm", w.linear(m.At("down_proj"), y, c.Width)))
}

// turn rotates one half of each head by the column and the other by the row. The quarters of a head are put in the order in which halves
// are turned as one; queries and keys get the same order, so that their products stay.
func (w *visionWriter) turn(x *onnx.Value) *onnx.Value {
	two, quarter := onnx.D(2), onnx.D(w.cfg.HeadDim/4)
	y := w.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(w.cfg.Heads), two, two, quarter)
	y = w.Reshape(w.Transpose(y, 0, 1, 2, 4, 3, 5), x.Shape...)
	return w.Rotate(y, w.rope, w.cfg.Heads)
}

// plainVision projects the pixels of an image without a tower, as in the 12B model (upstream: gemma4.py Gemma4UnifiedVisionEmbedder).
type plainVision struct {
	Width, Places, Out int
	src                weights.Source
}

// plainEpsilon is the epsilon of torch's LayerNorm.
const plainEpsilon = 1e-5

// look implements vision.
func (v plainVision) look(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	if err := checkFitted(image); err != nil {
		return nil, err
	}
	scope := weights.NewScope(v.src)
	table := scope.Weight("vision_model.pos_embedding", v.Places, 2, v.Width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	const values = 3 * token * token
	rows, cols := image.Dim(1)/token, image.Dim(2)/token
	if max(rows, cols) > v.Places {
		return nil, fmt.Errorf("encoding an image: it is too long, the text encoder knows %d places", v.Places)
	}
	patches, added := tensor.New(1, rows*cols, values), tensor.New(1, rows*cols, v.Width)
	along := make([]float32, v.Width)
	for at := range rows * cols {
		x, y := at%cols, at/cols
		copyPatch(patches.Data[at*values:(at+1)*values], image, x*token, y*token, token)
		for axis, p := range []int{x, y} {
			if err := weights.Range(along, table.Entry, (p*2+axis)*v.Width); err != nil {
				return nil, err
			}
			for i, a := range along {
				added.Data[at*v.Width+i] += a
			}
		}
	}
	g := family.Graph{Part: "vision projector", Variant: family.Digest(v.Width, v.Out), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("gemma 4 vision", v.src, v.write)
	}}
	res, err := run.Run(ctx, g, []family.Value{family.Floats("patches", patches), family.Floats("places", added)}, "vectors")
	if err != nil {
		return nil, fmt.Errorf("encoding an image: %w", err)
	}
	return res["vectors"], nil
}

func (v plainVision) write(b *nn.Builder, s *weights.Scope) {
	n, width := onnx.Sym("U"), onnx.D(v.Width)
	in := func(name string, width onnx.Dim) *onnx.Value {
		return b.Cast(b.Input(name, dtype.F32, onnx.D(1), n, width), b.Target.Compute)
	}
	m := s.At("vision_model")
	x := b.LayerNorm(m.At("patch_ln1"), in("patches", onnx.D(3*token*token)), plainEpsilon)
	x = b.LayerNorm(m.At("patch_ln2"), b.Linear(m.At("patch_dense"), x, v.Width), plainEpsilon)
	x = b.LayerNorm(m.At("pos_norm"), b.Add(x, in("places", width)), plainEpsilon)
	projectTo(b, s.At("multi_modal_projector"), b.Reshape(x, n, width), v.Out)
}
