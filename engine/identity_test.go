package engine_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// personFile writes an identity encoder for text of a width whose layers give zeros: what it makes of a token is the token,
// normalised. Weights of layers are v in place of zero where it is given.
func personFile(t *testing.T, width int, v float32) string {
	t.Helper()
	shapes := map[string][]int{
		"visual_projection.weight": {width / 2, 64}, "visual_projection_2.weight": {width - width/2, 64},
		"vision_model.embeddings.class_embedding": {64}, "vision_model.embeddings.patch_embedding.weight": {64, 3, 8, 8}, "vision_model.embeddings.position_embedding.weight": {5, 64},
	}
	for _, norm := range []string{"pre_layrnorm", "post_layernorm", "encoder.layers.0.layer_norm1", "encoder.layers.0.layer_norm2"} {
		shapes["vision_model."+norm+".weight"], shapes["vision_model."+norm+".bias"] = []int{64}, []int{64}
	}
	for _, layer := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"} {
		shapes["vision_model.encoder.layers.0."+layer+".weight"], shapes["vision_model.encoder.layers.0."+layer+".bias"] = []int{64, 64}, []int{64}
	}
	for name, in := range map[string]int{"mlp1.layernorm": 2 * width, "mlp2.layernorm": width, "layer_norm": width} {
		shapes["fuse_module."+name+".weight"], shapes["fuse_module."+name+".bias"] = []int{in}, []int{in}
	}
	for name, in := range map[string]int{"mlp1.fc1": 2 * width, "mlp1.fc2": width, "mlp2.fc1": width, "mlp2.fc2": width} {
		shapes["fuse_module."+name+".weight"], shapes["fuse_module."+name+".bias"] = []int{width, in}, []int{width}
	}
	var all []weights.Saved
	for name, shape := range shapes {
		values := make([]float32, tensor.Count(shape))
		for i := range values {
			switch {
			case strings.Contains(name, "norm.weight"):
				values[i] = 1
			case strings.HasSuffix(name, "weight"):
				values[i] = v
			}
		}
		all = append(all, numbers(t, name, values, shape))
	}
	return tensorFile(t, "person.safetensors", all)
}

func person(t *testing.T, width int, v float32) *engine.Identity {
	t.Helper()
	p, err := shared.LoadIdentity(personFile(t, width, v))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// normalised is a row after a layer norm without weights.
func normalised(row []float32) []float32 {
	mean, square := 0.0, 0.0
	for _, v := range row {
		mean += float64(v) / float64(len(row))
	}
	for _, v := range row {
		square += (float64(v) - mean) * (float64(v) - mean) / float64(len(row))
	}
	out := make([]float32, len(row))
	for i, v := range row {
		out[i] = float32((float64(v) - mean) / math.Sqrt(square+1e-5))
	}
	return out
}

// TestIdentity puts a person in the token that has the number of the trigger word; the other tokens stay as they are. The
// word's own part of the text is left out: the first part, all of a plain text, for a trigger word at its beginning. float32
// sums in another order differ by 1e-6, which 2e-5 leaves room for.
func TestIdentity(t *testing.T) {
	t.Parallel()
	clip, err := shared.LoadCLIP("stable_diffusion", golden.Checkpoint(t, "clip-l-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	plain := func(text string) []float32 {
		c, err := clip.Encode(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		return c[0].Tokens.Data
	}
	width := len(plain("")) / 77
	net := person(t, width, 0)
	for _, c := range []struct {
		text, same string
		at         int
	}{
		{"a photograph of photomaker, smiling", "a photograph of photomaker, smiling", -1}, // the word has a comma
		{"photograph of photomaker", "photograph of photomaker", 2},
		{"(old:1.2) photograph, photomaker and (more:1.1)", "(old:1.2) photograph, photomaker and ", 2},
		{"photomaker in the rain", "", 0},
		{strings.Repeat("  ", 40) + "photomaker", "photomaker", 80},
	} {
		said := ""
		ctx := warning.With(t.Context(), func(text string) { said += text })
		out, err := net.Encode(ctx, clip, tensor.New(2, 20, 18, 3), c.text)
		if err != nil {
			t.Fatalf("%q: %v", c.text, err)
		}
		want, message := plain(c.same), "no effect"
		if at := c.at; at >= 0 && at < 77 {
			message = "the first of the 2 images"
			copy(want[at*width:], normalised(want[at*width:(at+1)*width]))
		}
		if !strings.Contains(said, message) {
			t.Errorf("%q: the warning is %q, wanted one with %q", c.text, said, message)
		}
		if got := out[0].Tokens.Data; len(got) != len(want) || worst(got, want) > 2e-5 {
			t.Errorf("%q: %d values, wanted %d; they differ by %v", c.text, len(got), len(want), worst(got, want))
		}
	}
}

// worst is the largest difference of values.
func worst(a, b []float32) float64 {
	d := 0.0
	for i := range min(len(a), len(b)) {
		d = max(d, math.Abs(float64(a[i]-b[i])))
	}
	return d
}

// TestIdentityBadInputs: each error names the input and says what it wants.
func TestIdentityBadInputs(t *testing.T) {
	t.Parallel()
	clip, err := shared.LoadCLIP("stable_diffusion", golden.Checkpoint(t, "clip-l-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := clip.Encode(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	width := c[0].Tokens.Dim(2)
	bad := tensor.New(1, 16, 16, 3)
	bad.Data[7] = float32(math.NaN())
	good, text := tensor.New(1, 16, 16, 3), "photograph of photomaker"
	run := func(ctx context.Context, p *engine.Identity, image *tensor.Tensor, text string) error {
		_, err := p.Encode(ctx, clip, image, text)
		return err
	}
	ctx, net := t.Context(), person(t, width, 0)
	_, other := shared.LoadIdentity(reduxFile(t))
	for name, c := range map[string]wrongFile{
		"no image":               {run(ctx, net, nil, text), []string{"at least one image"}},
		"an empty batch":         {run(ctx, net, tensor.New(0, 16, 16, 3), text), []string{"[0 16 16 3]", "at least one image"}},
		"one channel":            {run(ctx, net, tensor.New(1, 16, 16, 1), text), []string{"three channels"}},
		"an image of NaN":        {run(ctx, net, bad, text), []string{"no finite numbers"}},
		"weights of NaN":         {run(ctx, person(t, width, float32(math.NaN())), good, text), []string{"person.safetensors", "NaN"}},
		"text of another width":  {run(ctx, person(t, width+2, 0), good, text), []string{"person.safetensors", "Stable Diffusion XL"}},
		"text of two chunks":     {run(ctx, net, good, text+strings.Repeat(" tree", 100)), []string{"154 tokens", "shorten the text"}},
		"a file of another kind": {other, []string{"it holds a style model", "StyleModelLoader"}},
	} {
		c.check(t, name)
	}
	if _, err := shared.LoadStyle(personFile(t, 8, 0)); err == nil || !strings.Contains(err.Error(), "PhotoMakerLoader") {
		t.Errorf("an identity encoder as a style model: %v", err)
	}
}
