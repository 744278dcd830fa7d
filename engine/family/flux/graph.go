package flux

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Variant distinguishes the graphs of one network.
type Variant struct {
	// In is the number of latent channels that are read; adapters can change it.
	In int
	// Guided reports that there is a guidance.
	Guided bool
	// References reports that there are tokens of reference latents, Still that they have the timestep zero.
	References, Still bool
	// Keep gives the keys and values of the tokens of reference latents, Kept reads them instead of such tokens.
	Keep, Kept bool
	// Masked reports that attention has a bias.
	Masked bool
	// SkipDouble and SkipSingle are blocks that are left out.
	SkipDouble, SkipSingle []int
	// Double and Single are the blocks of each kind after which a ControlNet adds a residual.
	Double, Single []int
	// Styles are the numbers of tokens that model patches put before the text.
	Styles []int
}

// Digest identifies the variant.
func (v Variant) Digest() string {
	return family.Digest(v.In, v.Guided, v.References, v.Still, v.Keep, v.Kept, v.Masked, v.SkipDouble, v.SkipSingle, v.Double, v.Single, v.Styles)
}

// The symbols of a graph's shapes: rows, tokens of the image, of reference latents and of the text.
var (
	symB = onnx.Sym("B")
	symI = onnx.Sym("I")
	symR = onnx.Sym("R")
	symT = onnx.Sym("T")
)

// ResidualDouble and ResidualSingle name the inputs of a ControlNet's residuals [B,I,C] after a block.
func ResidualDouble(i int) string { return fmt.Sprintf("double.%d", i) }

// ResidualSingle is ResidualDouble for single blocks.
func ResidualSingle(i int) string { return fmt.Sprintf("single.%d", i) }

// writer writes one graph.
type writer struct {
	*nn.Builder
	Config
	v    Variant
	s    *weights.Scope
	rope *nn.Rotary
	bias *onnx.Value
	// vec is the vector that modulates the image and text tokens, still that of reference tokens, nil for the same.
	vec, still *onnx.Value
	// text is the number of text tokens and of the tokens before them.
	text onnx.Dim
	// stacked are modulations that were made together, by the prefix of their layer.
	stacked map[string][]dit.Mod
	// table holds the modulations of a distilled network [B,n,C], three or two rows for each.
	table *onnx.Value
}

// Write writes a graph of the network. Inputs: x [B,I,in·p·p], ref [B,R,out·p·p], context [B,T,C], timesteps, guidance and
// still [B], y [B,V], kept.… [B,R,C], cos and sin [1,T+I+R,D/2], bias [B,P,P] with the row and column of
// each token in places [T+I+R]. Output: out [B,I,out·p·p], [B,I,C] of a headless network.
func Write(b *nn.Builder, s *weights.Scope, c Config, v Variant) {
	w := &writer{Builder: b, Config: c, v: v, s: s, text: symT}
	var styles []*onnx.Value
	for k, n := range v.Styles {
		styles = append(styles, dit.Input(b, dit.AttachedName(k), symB, onnx.D(n), onnx.D(c.Hidden)))
		w.text = w.text.Plus(onnx.D(n))
	}
	img := dit.Input(b, "x", symB, symI, onnx.D(c.Tokens(v.In)))
	all := w.text.Plus(symI)
	if v.References {
		img = b.Concat(1, img, dit.Input(b, "ref", symB, symR, onnx.D(c.Tokens(v.In))))
		all = all.Plus(symR)
	}
	if v.Kept {
		all = all.Plus(symR)
	}
	txt := dit.Input(b, "context", symB, symT, onnx.D(c.Context))
	head := c.Hidden / c.Heads
	w.rope = dit.RotaryInputs(b, all, head)
	if v.Masked {
		bias := dit.Input(b, "bias", symB, onnx.Sym("P"), onnx.Sym("P"))
		places := b.Input("places", dtype.I64, all)
		w.bias = b.Unsqueeze(b.GatherAxis(b.GatherAxis(bias, places, 1), places, 2), 1)
	}
	img = b.Linear(s.At(c.InLayer), img, c.Hidden)
	if c.Distilled > 0 {
		w.table = approximate(b, s.At("distilled_guidance_layer"), c)
	} else {
		w.vectors()
	}
	if c.TextNorm {
		txt = b.RMSNorm(s.At("txt_norm"), txt, dit.F32Epsilon)
	}
	txt = b.Linear(s.At("txt_in"), txt, c.Hidden)
	if len(styles) > 0 {
		slices.Reverse(styles) // each is put before what the others made
		txt = b.Concat(1, append(styles, txt)...)
	}

	img, txt = w.double(img, txt)
	x := w.single(b.Concat(1, txt, img))
	img = b.SliceDims(x, 1, w.text, w.text.Plus(symI))
	dit.Output(b, "out", w.last(img))
}

func (w *writer) last(img *onnx.Value) *onnx.Value {
	s, out := w.s.At("final_layer"), w.Tokens(w.Channels)
	if w.Headless {
		return img
	}
	if w.table != nil {
		return w.Linear(s.At("linear"), w.Modulate(img, w.row(modulations-2), w.row(modulations-1), 1e-6), out)
	}
	return w.Last(w.Builder, s, img, w.vec, out)
}

// vectors embeds the timestep, the guidance and the pooled text encoding.
func (w *writer) vectors() {
	times := func(name string) *onnx.Value {
		return dit.TimeMLP(w.Builder, w.s.At("time_in"), w.Input(name, dtype.F32, symB), 1000, w.Hidden, "in_layer", "out_layer")
	}
	w.vec = times("timesteps")
	if w.v.Still {
		w.still = times("still")
	}
	more := func(v *onnx.Value) {
		w.vec = w.Add(w.vec, v)
		if w.still != nil {
			w.still = w.Add(w.still, v)
		}
	}
	if w.Guidance && w.v.Guided {
		more(dit.TimeMLP(w.Builder, w.s.At("guidance_in"), w.Input("guidance", dtype.F32, symB), 1000, w.Hidden, "in_layer", "out_layer"))
	}
	if w.Vector > 0 {
		y := dit.Input(w.Builder, "y", symB, onnx.D(w.Vector))
		more(dit.MLP(w.Builder, w.s.At("vector_in"), y, w.Hidden, w.Hidden, "in_layer", "out_layer"))
	}
}

// stack computes the modulations of blocks in one product, n for each of the layers in names.
func (w *writer) stack(blocks string, n int, names ...string) {
	if w.Shared || w.table != nil || w.still != nil {
		return
	}
	var layers []*weights.Scope
	for i := range w.s.Count(blocks) {
		for _, name := range names {
			layers = append(layers, w.s.At(blocks).Index(i).At(name, "lin"))
		}
	}
	if w.stacked == nil {
		w.stacked = map[string][]dit.Mod{}
	}
	for i, m := range dit.StackedMods(w.Builder, layers, w.SiLU(w.vec), n, w.Hidden) {
		if m != nil {
			w.stacked[strings.TrimSuffix(layers[i].Prefix(), "lin.")] = m
		}
	}
}

// mods are n modulations by the layer at s, for tokens of which those from on are reference tokens.
func (w *writer) mods(s *weights.Scope, n int, from onnx.Dim, refs bool) []dit.Mod {
	of := func(v *onnx.Value) []dit.Mod {
		return dit.Mods(w.Builder, w.Linear(s.At("lin"), w.SiLU(v), 3*n*w.Hidden), n)
	}
	if m := w.stacked[s.Prefix()]; m != nil {
		return m
	}
	m := of(w.vec)
	if refs && w.still != nil {
		return dit.Then(m, of(w.still), from)
	}
	return m
}

func (w *writer) double(img, txt *onnx.Value) (newImg, newTxt *onnx.Value) {
	var im, tm []dit.Mod
	if w.Shared {
		im, tm = w.mods(w.s.At("double_stream_modulation_img"), 2, symI, true), w.mods(w.s.At("double_stream_modulation_txt"), 2, symI, false)
	}
	w.stack("double_blocks", 2, "img_mod", "txt_mod")
	blocks := w.s.Count("double_blocks")
	for i := range blocks {
		s := w.s.At("double_blocks").Index(i)
		if !slices.Contains(w.v.SkipDouble, i) {
			switch single := 3 * w.s.Count("single_blocks"); {
			case w.table != nil:
				im, tm = w.rows(single+6*i, 2), w.rows(single+6*(blocks+i), 2)
			case !w.Shared:
				im, tm = w.mods(s.At("img_mod"), 2, symI, true), w.mods(s.At("txt_mod"), 2, symI, false)
			}
			w.Seen = w.seen("double", i)
			img, txt = w.Double(w.Builder, s, img, txt, im, tm, w.rope, w.bias)
		}
		if slices.Contains(w.v.Double, i) {
			img = w.residual(img, ResidualDouble(i), onnx.D(0))
		}
	}
	return dit.HalfSafe(w.Builder, img), txt
}

func (w *writer) single(x *onnx.Value) *onnx.Value {
	var m []dit.Mod
	from := w.text.Plus(symI)
	w.stack("single_blocks", 1, "modulation")
	if w.Shared {
		m = w.mods(w.s.At("single_stream_modulation"), 1, from, true)
	}
	for i := range w.s.Count("single_blocks") {
		s := w.s.At("single_blocks").Index(i)
		if !slices.Contains(w.v.SkipSingle, i) {
			switch {
			case w.table != nil:
				m = w.rows(3*i, 1)
			case !w.Shared:
				m = w.mods(s.At("modulation"), 1, from, true)
			}
			w.Seen = w.seen("single", i)
			x = w.Single(w.Builder, s, x, m[0], w.rope, w.bias)
		}
		if slices.Contains(w.v.Single, i) {
			x = w.residual(x, ResidualSingle(i), w.text)
		}
	}
	return x
}

// keyName and valueName are the names of the keys and values [B,R,C] of reference tokens in a block of a kind.
func keyName(kind string, block int) string { return fmt.Sprintf("kept.%s.%d.k", kind, block) }

func valueName(kind string, block int) string { return fmt.Sprintf("kept.%s.%d.v", kind, block) }

// seen writes or reads the keys and values of reference tokens in a block; nil means neither.
func (w *writer) seen(kind string, block int) func(k, v *onnx.Value) *nn.Stream {
	switch {
	case w.v.Keep:
		return func(k, v *onnx.Value) *nn.Stream {
			end := k.Dim(1)
			dit.Output(w.Builder, keyName(kind, block), w.SliceDims(k, 1, end.Minus(symR), end))
			dit.Output(w.Builder, valueName(kind, block), w.SliceDims(v, 1, end.Minus(symR), end))
			return nil
		}
	case w.v.Kept:
		return func(_, _ *onnx.Value) *nn.Stream {
			in := func(name string) *onnx.Value { return dit.Input(w.Builder, name, symB, symR, onnx.D(w.Hidden)) }
			return &nn.Stream{K: in(keyName(kind, block)), V: in(valueName(kind, block))}
		}
	}
	return nil
}

// residual adds a ControlNet's residual to the image tokens of x, the first of which is token from.
func (w *writer) residual(x *onnx.Value, name string, from onnx.Dim) *onnx.Value {
	r := dit.Input(w.Builder, name, symB, symI, onnx.D(w.Hidden))
	return dit.OnFirst(w.Builder, x, from, from.Plus(symI), func(x *onnx.Value) *onnx.Value { return w.Add(x, r) })
}
