package supir_test

import (
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/unet"
	"comfygo/engine/nn"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// entries are the tensors of a golden's model, without data.
func entries(t *testing.T, name string) []weights.Entry {
	t.Helper()
	m, err := recipe.Load(golden.Path(t, "models/"+name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var out []weights.Entry
	for _, e := range m.Tensors {
		out = append(out, weights.Entry{Name: e.Key, DType: e.DType, Shape: e.Shape})
	}
	return out
}

func open(t *testing.T, e []weights.Entry) *family.File {
	t.Helper()
	return family.Open(family.Default, dryrun.Described(e))
}

func patchOf(t *testing.T, name string) family.PatchNetwork {
	t.Helper()
	p, err := open(t, entries(t, name)).ModelPatch()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func model(t *testing.T, name string) family.Denoiser {
	t.Helper()
	d, _, err := open(t, entries(t, name)).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRead reads both layouts of files and refuses those with parts missing.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, encodes := range map[string]bool{"supir-small": false, "supir-encoder-small": true} {
		p := patchOf(t, name)
		own, ok := p.(family.EncodingNetwork)
		if !ok || p.Patches() != "SDXL" || (own.Encoder() != nil) != encodes {
			t.Errorf("%s: a patch for %s, wanted one with an encoder: %v", name, p.Patches(), encodes)
		}
		if encodes {
			if _, ok := own.Encoder().Lookup("encoder.conv_in.weight"); !ok {
				t.Errorf("%s: the encoder has no conv_in", name)
			}
		}
	}
	whole := entries(t, "supir-small")
	for name, c := range map[string]struct{ without, fails string }{
		"no adapter of the middle": {"project_modules.11.", "adapters of convolutions"},
		"an adapter of nothing":    {"project_modules.3.attn.to_q", "project_modules.3 is neither"},
		"no first block":           {"control_model.input_blocks.0.", "input_blocks.0.0.weight"},
	} {
		cut := slices.DeleteFunc(slices.Clone(whole), func(e weights.Entry) bool { return strings.HasPrefix(e.Name, c.without) })
		if _, err := open(t, cut).ModelPatch(); err == nil || !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, wanted an error with %q", name, err, c.fails)
		}
	}
}

// TestFits holds which models the patch is for.
func TestFits(t *testing.T) {
	t.Parallel()
	p := patchOf(t, "supir-small")
	for name, fails := range map[string]string{
		"sdxl-small": "", "sd15-small": "text of width 768", "koala-1b-small": "output blocks", "flux-tiny-dev": "no U-Net",
	} {
		switch err := p.Fits(model(t, name)); {
		case fails == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case fails != "" && (err == nil || !strings.Contains(err.Error(), fails)):
			t.Errorf("%s: %v, wanted an error with %q", name, err, fails)
		}
	}
}

// TestWidths refuses adapters of other widths before a graph is written.
func TestWidths(t *testing.T) {
	t.Parallel()
	d := model(t, "sdxl-small")
	for _, name := range []string{"project_modules.0.zero_conv.weight", "project_modules.9.param_free_norm.weight"} {
		e := entries(t, "supir-small")
		at := slices.IndexFunc(e, func(e weights.Entry) bool { return e.Name == name })
		e[at].Shape = append([]int{64}, e[at].Shape[1:]...)
		p, err := open(t, e).ModelPatch()
		if err != nil {
			t.Fatal(err)
		}
		number, _, _ := strings.Cut(name, ".z")
		number, _, _ = strings.Cut(number, ".p")
		if err := p.Fits(d); err == nil || !strings.Contains(err.Error(), number) {
			t.Errorf("%s of 64 channels: %v", name, err)
		}
	}
}

// TestMemory counts the patch in the estimate of the model's calls.
func TestMemory(t *testing.T) {
	t.Parallel()
	d, shape := model(t, "sdxl-small"), []int{2, 4, 64, 64}
	const tokens = 77
	plain := family.MemoryWith(d, shape, tokens, nil)
	with := family.MemoryWith(d, shape, tokens, []family.Attached{{Net: patchOf(t, "supir-small")}})
	if plain != d.Memory(shape, tokens) || with < plain*5/4 || with > 3*plain {
		t.Errorf("%d bytes without the patch and %d with it", plain, with)
	}
}

// TestGraphs writes SDXL's graph with the patch for the CPU and for GPUs.
func TestGraphs(t *testing.T) {
	t.Parallel()
	m, ok := model(t, "sdxl-small").(*unet.Model)
	if !ok {
		t.Fatal("SDXL is no U-Net")
	}
	v := unet.Variant{Even: true, Attached: []family.Attached{{Net: patchOf(t, "supir-small"), Strength: 1}}}
	for name, o := range map[string]nn.TargetOptions{
		"CPU": {Linear: true}, "CUDA, float32": {CUDA: true, Compute: dtype.F32}, "CUDA, float16": {CUDA: true, Compute: dtype.F16}, "CUDA, bfloat16": {CUDA: true, Compute: dtype.BF16},
	} {
		target, err := nn.TargetFor(o)
		if err != nil {
			t.Fatal(err)
		}
		g, err := m.Graph(v).Build(family.Spec{Target: target})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o.CUDA {
			cudakernels.Check(t, g)
		}
		plain, err := m.Graph(unet.Variant{Even: true}).Build(family.Spec{Target: target})
		if err != nil || g.Nodes() <= plain.Nodes() {
			t.Errorf("%s: %d operators with the patch, %d without; %v", name, g.Nodes(), plain.Nodes(), err)
		}
	}
}

// TestInput checks the latent that the patch reads.
func TestInput(t *testing.T) {
	t.Parallel()
	p, format := patchOf(t, "supir-small"), model(t, "sdxl-small").Latent()
	z := tensor.New(1, 4, 8, 8)
	z.Data[5] = 2
	in, err := p.Input(t.Context(), nil, family.PatchCall{Latent: z, Format: format})
	if err != nil || in.Data[5] != 2*format.Scale {
		t.Errorf("%v, %v; wanted %v", in, err, 2*format.Scale)
	}
	for name, bad := range map[string]*tensor.Tensor{"no image": nil, "16 channels": tensor.New(1, 16, 8, 8), "a video": tensor.New(1, 4, 1, 8, 8), "an empty batch": tensor.New(0, 4, 8, 8)} {
		if _, err := p.Input(t.Context(), nil, family.PatchCall{Latent: bad, Format: format}); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
