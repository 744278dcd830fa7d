package dino

import (
	"fmt"
	"math"

	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Config describes a network.
type Config struct {
	// Width is the width of a token, Heads the number of attention heads, Inner the width inside feed-forward layers.
	Width, Layers, Heads, Inner int
	// Patch is the side of a patch in pixels, Grid the number of patches along a side of the images of the table of positions.
	Patch, Grid int
	// GatedMLP reports that feed-forward layers are gated.
	GatedMLP bool
	// Cameras is the number of camera tokens, Normed the first layer whose queries and keys are normalised (Layers for none): parts of Depth
	// Anything 3.
	Cameras, Normed int
}

// head is the width of a head in all published networks.
const head = 64

// rgb is the number of channels of an image.
const rgb = 3

// epsilon is that of the norms.
const epsilon = 1e-6

// Special reports that the network has what plain DINOv2 has not.
func (c Config) Special() bool { return c.Cameras > 0 || c.Normed < c.Layers }

// ReadConfig reads the sizes of a network whose tensors s shows in the layout of transformers.
func ReadConfig(s *weights.Scope) (Config, error) {
	c := Config{Layers: s.Count("encoder.layer")}
	patch, table := s.Shape("embeddings.patch_embeddings.projection.weight"), s.Shape("embeddings.position_embeddings")
	if len(patch) != 4 || len(table) != 3 || patch[1] != rgb || patch[2] != patch[3] || patch[2] == 0 || table[0] != 1 || table[2] != patch[0] || patch[0] == 0 || patch[0]%head != 0 {
		return c, fmt.Errorf("reading the shape of the image encoder: patch_embeddings.projection.weight is %v, position_embeddings %v: wanted square patches of %d channels, one table and heads of %d", patch, table, rgb, head)
	}
	c.Width, c.Heads, c.Patch = patch[0], patch[0]/head, patch[2]
	c.Grid = int(math.Round(math.Sqrt(float64(table[1] - 1))))
	if c.Grid < 1 || c.Grid*c.Grid != table[1]-1 {
		return c, fmt.Errorf("reading the shape of the image encoder: %d positions are no class token and a square of patches", table[1])
	}
	first := s.At("encoder.layer.0.mlp")
	inner := first.Shape("fc1.weight")
	if gated := first.Shape("weights_in.weight"); len(gated) == 2 {
		c.GatedMLP, inner = true, []int{gated[0] / 2, gated[1]}
	}
	if len(inner) != 2 || inner[0] == 0 {
		return c, fmt.Errorf("reading the shape of the image encoder: encoder.layer.0.mlp has no layer fc1 or weights_in")
	}
	c.Inner = inner[0]
	if t := s.Shape("embeddings.camera_token"); len(t) == 3 {
		c.Cameras = t[1]
	}
	for c.Normed = 0; c.Normed < c.Layers && !s.At("encoder.layer").Index(c.Normed).Has("attention.q_norm.weight"); {
		c.Normed++
	}
	return c, nil
}

// Positions are the positions [1+h·w,C] of the class token and of h rows of w patches, interpolated from the table in src. Upstream: dino2.py
// interpolate_pos_encoding.
func Positions(src weights.Source, c Config, h, w int) (*tensor.Tensor, error) {
	out := tensor.New(1+h*w, c.Width)
	e, ok := src.Lookup("embeddings.position_embeddings")
	if !ok {
		return nil, fmt.Errorf("reading the positions of the image encoder: there is no tensor embeddings.position_embeddings")
	}
	if e.Described() {
		return out, nil // a list of names and shapes
	}
	if h*w == c.Grid*c.Grid { // upstream compares the numbers alone
		return out, weights.Range(out.Data, e, 0)
	}
	table := make([]float32, (1+c.Grid*c.Grid)*c.Width)
	if err := weights.Range(table, e, 0); err != nil {
		return nil, err
	}
	copy(out.Data, table[:c.Width])
	rows, columns := cubic(c.Grid, h), cubic(c.Grid, w)
	lines := make([]float32, h*c.Grid*c.Width) // interpolated along rows, [h,grid,C]
	for y, t := range rows {
		for x := range c.Grid {
			to := lines[(y*c.Grid+x)*c.Width:][:c.Width]
			for k, from := range t.at {
				for i, v := range table[(1+from*c.Grid+x)*c.Width:][:c.Width] {
					to[i] += v * t.weight[k]
				}
			}
		}
	}
	for y := range h {
		for x, t := range columns {
			to := out.Data[(1+y*w+x)*c.Width:][:c.Width]
			for k, from := range t.at {
				for i, v := range lines[(y*c.Grid+from)*c.Width:][:c.Width] {
					to[i] += v * t.weight[k]
				}
			}
		}
	}
	return out, nil
}

// taps are the samples that make one value of a cubic interpolation.
type taps struct {
	at     [4]int
	weight [4]float32
}

// cubic interpolates from values to n ones as torch does (bicubic, A of -0.75), at a scale that DINOv2 enlarges by a tenth of a value.
func cubic(from, n int) []taps {
	const a, more = -0.75, 0.1
	scale := float32(1 / ((float64(n) + more) / float64(from)))
	out := make([]taps, n)
	for i := range out {
		place := scale*(float32(i)+0.5) - 0.5
		floor := math.Floor(float64(place))
		t := float64(place) - floor
		near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
		far := func(x float64) float64 { return ((a*x-5*a)*x+8*a)*x - 4*a }
		for k, v := range []float64{far(t + 1), near(t), near(1 - t), far(2 - t)} {
			out[i].weight[k] = float32(v)
			out[i].at[k] = min(max(int(floor)+k-1, 0), from-1)
		}
	}
	return out
}

// Net writes the network.
type Net struct {
	*nn.Builder
	Config
}

// Inputs are the inputs of a graph: pixels [B,3,h·P,w·P], normalised, and positions [1+h·w,C] as Positions makes them.
func (n Net) Inputs() (pixels, positions *onnx.Value) {
	const rgb = 3
	h, w := onnx.Sym("h"), onnx.Sym("w")
	pixels = dit.Input(n.Builder, "pixels", onnx.Sym("B"), onnx.D(rgb), h.Times(onnx.D(n.Patch)), w.Times(onnx.D(n.Patch)))
	return pixels, dit.Input(n.Builder, "positions", h.Times(w).Plus(onnx.D(1)), onnx.D(n.Width))
}

// Embed returns the class token and the patches of pixels with their positions, [B,1+h·w,C].
func (n Net) Embed(s *weights.Scope, pixels, positions *onnx.Value) *onnx.Value {
	x := dit.PatchEmbed(n.Builder, s.At("patch_embeddings.projection"), pixels, n.Width, n.Patch)
	class := n.Expand(n.Table(s.Weight("cls_token", 1, 1, n.Width)), pixels.Dim(0), onnx.D(1), onnx.D(n.Width))
	return n.Add(n.Concat(1, class, x), positions)
}

// Layer is attention and a feed-forward layer on x [B,S,C]. rotate, when set, is applied to queries and keys [B,S,heads·D]. Upstream: Dino2Block.
func (n Net) Layer(s *weights.Scope, x *onnx.Value, rotate func(x *onnx.Value) *onnx.Value) *onnx.Value {
	const normEpsilon = 1e-5 // of the norms of queries and keys
	y := n.LayerNorm(s.At("norm1"), x, epsilon)
	a := s.At("attention.attention")
	part := func(name, norm string) *onnx.Value {
		v := n.Linear(a.At(name), y, n.Width)
		if at := s.At("attention", norm); norm != "" && at.Has("weight") {
			v = n.HeadLayerNorm(at, v, n.Heads, normEpsilon)
		}
		if norm != "" && rotate != nil {
			v = rotate(v)
		}
		return v
	}
	y = n.Attention(part("query", "q_norm"), part("key", "k_norm"), part("value", ""), nil, n.Heads)
	x = n.Add(x, n.scaled(s.At("layer_scale1"), n.Linear(s.At("attention.output.dense"), y, n.Width)))
	return n.Add(x, n.scaled(s.At("layer_scale2"), n.feedForward(s.At("mlp"), n.LayerNorm(s.At("norm2"), x, epsilon))))
}

func (n Net) scaled(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return n.Mul(x, n.Table(s.Weight("lambda1", n.Width)))
}

func (n Net) feedForward(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if !n.GatedMLP {
		return n.Linear(s.At("fc2"), n.Gelu(n.Linear(s.At("fc1"), x, n.Inner), false), n.Width)
	}
	gate, value := n.Halves(n.Linear(s.At("weights_in"), x, 2*n.Inner))
	return n.Linear(s.At("weights_out"), n.SwiGLU(value, gate), n.Width)
}

// Norm is the norm behind the last layer; s is the scope of the network.
func (n Net) Norm(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return n.LayerNorm(s.At("layernorm"), x, epsilon)
}

// Normalise subtracts the mean of each channel from pixels [B,3,h,w] in 0…1 and divides by its deviation, in place.
func Normalise(x *tensor.Tensor) {
	area := x.Dim(2) * x.Dim(3)
	for i, v := range x.Data {
		c := i / area % len(Mean)
		x.Data[i] = (v - Mean[c]) / Std[c]
	}
}

// Spaced are the centres of n pixels between -span and span, as torch.linspace counts them.
func Spaced(span float64, n int) []float32 {
	out := make([]float32, n)
	end := float32(span * float64(n-1) / float64(n))
	if n == 1 {
		out[0] = -end
		return out
	}
	step := (end - -end) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = -end + step*float32(i)
		} else {
			out[i] = end - step*float32(n-1-i)
		}
	}
	return out
}
