package clip_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/familytest"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// fp32 is ten times what torch's own float32 differs from float64 there (4.9e-7), at least 1e-5.
var fp32 = golden.Tolerance{RMSRel: 1e-5}

func open(tb testing.TB, checkpoint string) weights.Source {
	tb.Helper()
	src, err := weights.Open(golden.Checkpoint(tb, checkpoint))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = src.Close() })
	return src
}

// small is the config of the module goldens.
func small(quick bool) clip.Config {
	return clip.Config{
		Key: clip.KeyG, Width: 128, Layers: 3, Heads: 2, MLP: 512, Positions: 77, Vocab: 49408, Projection: 128, QuickGelu: quick,
		Empty: textenc.Empty{Start: tokenizer.CLIPStart, End: tokenizer.CLIPEnd},
	}
}

// prompt is the row of tokens of the module goldens.
func prompt(n int) tokenizer.Tokens {
	row := make([]tokenizer.Token, n)
	for i, id := range []int32{49406, 320, 1125, 539, 320, 2368, 49407} {
		row[i].ID = id
	}
	for i := range row {
		row[i].Weight = 1
	}
	return tokenizer.Tokens{row}
}

func encode(t *testing.T, e *clip.Encoder, tokens tokenizer.Tokens, o family.EncodeOptions) family.Encoding {
	t.Helper()
	got, err := e.Encode(t.Context(), familytest.Runner{}, tokens, o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestForward(t *testing.T) {
	t.Parallel()
	for name, quick := range map[string]bool{"clip-text-gelu": false, "clip-text-quickgelu": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := golden.Load(t, "module/"+name, nil)
			e := clip.New(open(t, "mod-"+name), small(quick))
			last := encode(t, e, prompt(77), family.EncodeOptions{})
			inner := encode(t, e, prompt(77), family.EncodeOptions{Layer: -2, RawHidden: true, Projected: true})
			golden.Compare(t, "last", last.Hidden.Data, stored.Get(t, "m0/out.0").Data, fp32)
			golden.Compare(t, "inner", inner.Hidden.Data, stored.Get(t, "m0/out.1").Data, fp32)
			golden.Compare(t, "projected", inner.Pooled.Data, stored.Get(t, "m0/out.2").Data, fp32)
			golden.Compare(t, "pooled", last.Pooled.Data, stored.Get(t, "m0/out.3").Data, fp32)
		})
	}
}

// TestChosenLayer checks which layer the encoding is of; a layer that is not there leaves the scheme's.
func TestChosenLayer(t *testing.T) {
	t.Parallel()
	stored := golden.Load(t, "module/clip-text-gelu", nil)
	last, inner := stored.Get(t, "m0/out.0").Data, stored.Get(t, "m0/out.1").Data
	e := clip.New(open(t, "mod-clip-text-gelu"), small(false))
	for _, c := range []struct {
		layer, chosen int
		want          []float32
	}{{0, -2, inner}, {-2, 0, inner}, {-2, -4, inner}, {-1, -2, inner}, {0, -4, last}} {
		got := encode(t, e, prompt(77), family.EncodeOptions{Layer: c.layer, Chosen: c.chosen, RawHidden: true})
		golden.Compare(t, strconv.Itoa(c.layer)+" "+strconv.Itoa(c.chosen), got.Hidden.Data, c.want, fp32)
	}
}

// openCLIP writes the tensors of src as OpenCLIP's files hold them.
func openCLIP(t *testing.T, src weights.Source, layers int) weights.Source {
	t.Helper()
	const from = "text_model."
	var out []weights.Entry
	take := func(name string) weights.Entry {
		e, ok := src.Lookup(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		return e
	}
	move := func(name, to string) {
		e := take(name)
		out = append(out, weights.Entry{Name: to, DType: e.DType, Shape: e.Shape, Data: e.Data})
	}
	move(from+"embeddings.position_embedding.weight", "positional_embedding")
	move(from+"embeddings.token_embedding.weight", "token_embedding.weight")
	for _, kind := range []string{"weight", "bias"} {
		move(from+"final_layer_norm."+kind, "ln_final."+kind)
		for i := range layers {
			layer, block := from+"encoder.layers."+string(rune('0'+i))+".", "transformer.resblocks."+string(rune('0'+i))+"."
			for a, b := range map[string]string{"layer_norm1.": "ln_1.", "layer_norm2.": "ln_2.", "mlp.fc1.": "mlp.c_fc.", "mlp.fc2.": "mlp.c_proj.", "self_attn.out_proj.": "attn.out_proj."} {
				move(layer+a+kind, block+b+kind)
			}
			fused := weights.Entry{Name: block + "attn.in_proj_" + kind}
			for _, part := range []string{"q", "k", "v"} {
				e := take(layer + "self_attn." + part + "_proj." + kind)
				fused.DType, fused.Shape = e.DType, append([]int{3 * e.Shape[0]}, e.Shape[1:]...)
				fused.Data = append(fused.Data, e.Data...)
			}
			out = append(out, fused)
		}
	}
	p := take("text_projection.weight")
	n, size := p.Shape[0], p.DType.Size()
	data := make([]byte, len(p.Data))
	for i := range n {
		for j := range n {
			copy(data[(j*n+i)*size:][:size], p.Data[(i*n+j)*size:])
		}
	}
	out = append(out, weights.Entry{Name: "text_projection", DType: p.DType, Shape: p.Shape, Data: data})
	made, err := weights.Memory("open_clip.safetensors", out...)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestOpenCLIPLayout(t *testing.T) {
	t.Parallel()
	src := open(t, "mod-clip-text-gelu")
	got := read(t, openCLIP(t, src, 3)).(*clip.Encoder)
	if c := got.Config; c.Width != 128 || c.Layers != 3 || c.Positions != 77 || c.Projection != 128 || c.MLP != 512 {
		t.Fatalf("config %+v", c)
	}
	stored := golden.Load(t, "module/clip-text-gelu", nil)
	enc := encode(t, clip.New(got.Weights(), small(false)), prompt(77), family.EncodeOptions{Projected: true})
	golden.Compare(t, "last", enc.Hidden.Data, stored.Get(t, "m0/out.0").Data, fp32)
	golden.Compare(t, "projected", enc.Pooled.Data, stored.Get(t, "m0/out.2").Data, fp32)
}

// TestLongCLIP lengthens the position table: attention is causal, so that the first 77 tokens are those of the golden.
func TestLongCLIP(t *testing.T) {
	t.Parallel()
	const key = "text_model.embeddings.position_embedding.weight"
	src := open(t, "mod-clip-text-gelu")
	var entries []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		if name == key {
			row := len(e.Data) / 77
			e.Shape, e.Data = []int{248, 128}, slices.Concat(e.Data, e.Data, e.Data, e.Data[:row*17])
		}
		entries = append(entries, weights.Entry{Name: name, DType: e.DType, Shape: e.Shape, Data: e.Data})
	}
	long, err := weights.Memory("long.safetensors", entries...)
	if err != nil {
		t.Fatal(err)
	}
	e := read(t, long).(*clip.Encoder)
	tokens, err := e.Tokenize(strings.Repeat("cat ", 100), family.TokenizeOptions{})
	if err != nil || len(tokens) != 1 || len(tokens[0]) != 248 {
		t.Fatalf("100 words give %d chunks, %v; want one of 248 tokens", len(tokens), err)
	}
	cfg := small(false)
	cfg.Positions = 248
	got := encode(t, clip.New(long, cfg), prompt(248), family.EncodeOptions{})
	stored := golden.Load(t, "module/clip-text-gelu", nil)
	golden.Compare(t, "last", got.Hidden.Data[:77*128], stored.Get(t, "m0/out.0").Data, fp32)
	golden.Compare(t, "pooled", got.Pooled.Data, stored.Get(t, "m0/out.3").Data, fp32)
	if _, err := clip.New(long, cfg).Encode(t.Context(), familytest.Runner{}, prompt(77), family.EncodeOptions{}); err == nil {
		t.Error("no error for a chunk of another length")
	}
}

func read(t *testing.T, src weights.Source) family.TextEncoder {
	t.Helper()
	for _, f := range family.Default.Text() {
		e, err := f.Read(src)
		if err != nil {
			t.Fatal(err)
		}
		if e != nil {
			return e
		}
	}
	t.Fatal("no family reads the encoder")
	return nil
}

// shapes makes a file of n layers without data.
func shapes(t *testing.T, prefix string, width, mlp, layers, positions int) weights.Source {
	t.Helper()
	add := func(name string, shape ...int) weights.Entry {
		return weights.Entry{Name: prefix + name, DType: dtype.F16, Shape: shape}
	}
	entries := []weights.Entry{
		add("embeddings.token_embedding.weight", 49408, width),
		add("embeddings.position_embedding.weight", positions, width),
	}
	for i := range layers {
		entries = append(entries, add("encoder.layers."+strconv.Itoa(i)+".mlp.fc1.weight", mlp, width))
	}
	src, err := weights.Memory("test.safetensors", entries...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestDetection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		src  weights.Source
		want clip.Config
	}{
		"ViT-L":                    {shapes(t, "text_model.", 768, 3072, 12, 77), clip.Config{Key: clip.KeyL, Width: 768, Layers: 12, Heads: 12, MLP: 3072, Positions: 77, QuickGelu: true}},
		"ViT-H":                    {shapes(t, "text_model.", 1024, 4096, 24, 77), clip.Config{Key: clip.KeyH, Width: 1024, Layers: 24, Heads: 16, MLP: 4096, Positions: 77}},
		"ViT-H without last layer": {shapes(t, "text_model.", 1024, 4096, 23, 77), clip.Config{Key: clip.KeyH, Width: 1024, Layers: 23, Heads: 16, MLP: 4096, Positions: 77}},
		"ViT-bigG":                 {shapes(t, "text_model.", 1280, 5120, 32, 77), clip.Config{Key: clip.KeyG, Width: 1280, Layers: 32, Heads: 20, MLP: 5120, Positions: 77}},
		"Long-CLIP":                {shapes(t, "text_model.", 768, 3072, 12, 248), clip.Config{Key: clip.KeyL, Width: 768, Layers: 12, Heads: 12, MLP: 3072, Positions: 248, QuickGelu: true}},
		"without text_model":       {shapes(t, "", 768, 3072, 12, 77), clip.Config{Key: clip.KeyL, Width: 768, Layers: 12, Heads: 12, MLP: 3072, Positions: 77, QuickGelu: true}},
	} {
		e := read(t, c.src).(*clip.Encoder)
		c.want.Vocab = 49408
		c.want.Empty = textenc.Empty{Start: tokenizer.CLIPStart, End: tokenizer.CLIPEnd}
		if c.want.Key == clip.KeyL {
			c.want.Empty.Pad = tokenizer.CLIPEnd
		}
		if e.Config != c.want {
			t.Errorf("%s: %+v, want %+v", name, e.Config, c.want)
		}
	}
}

// TestMaskedEqualsUpstream hides the padding of a prompt. Ten times torch's own error in float32, about 5e-7, is allowed.
func TestMaskedEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/masked", "clip")
	special := textenc.Empty{Start: 298, End: 299, Pad: 299}
	e := clip.New(src, clip.Config{Key: clip.KeyG, Width: 64, Layers: 2, Heads: 1, MLP: 96, Positions: 77, Vocab: 49408, Projection: 64})
	row := make([]tokenizer.Token, 77)
	for i := range row {
		row[i] = tokenizer.Token{ID: 299, Weight: 1}
	}
	for i, id := range []int32{298, 5, 17, 40} {
		row[i].ID = id
	}
	got, err := e.Encode(t.Context(), familytest.Runner{}, tokenizer.Tokens{row}, family.EncodeOptions{Layer: -1, RawHidden: true, Projected: true, Masked: true, Special: &special})
	if err != nil {
		t.Fatal(err)
	}
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	familytest.Compare(t, stored, "hidden", got.Hidden, tolerance)
	familytest.Compare(t, stored, "pooled", got.Pooled, tolerance)
}
