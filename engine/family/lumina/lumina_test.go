package lumina_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
)

// shapes are the sizes of a small file.
type shapes struct {
	dim, text, head, heads, keys, hidden, time int
	// modulation is the place of the linear layer that modulates a block, pads whether there are learned tokens.
	modulation int
	pads       bool
	apart      bool // queries, keys and values, as diffusers saves them
}

var (
	zImage  = shapes{dim: 64, text: 48, head: 32, heads: 2, keys: 2, hidden: 96, time: 24, pads: true}
	lumina2 = shapes{dim: 96, text: 40, head: 24, heads: 4, keys: 2, hidden: 64, time: 32, modulation: 1}
)

// list is a file of the shapes with the names that real files have.
func (s shapes) list() string {
	var b strings.Builder
	add := func(name string, dims ...int) { fmt.Fprintln(&b, name, strings.Trim(fmt.Sprint(dims), "[]")) }
	linear := func(name string, out, in int) { add(name+".weight", out, in); add(name+".bias", out) }
	block := func(name string, modulated bool) {
		queries, keys := s.heads*s.head, s.keys*s.head
		if s.apart {
			add(name+"attention.to_q.weight", queries, s.dim)
			add(name+"attention.to_k.weight", keys, s.dim)
			add(name+"attention.to_v.weight", keys, s.dim)
		} else {
			add(name+"attention.qkv.weight", queries+2*keys, s.dim)
		}
		add(name+"attention.q_norm.weight", s.head)
		add(name+"attention.k_norm.weight", s.head)
		add(name+"attention.out.weight", s.dim, queries)
		for _, n := range []string{"attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"} {
			add(name+n+".weight", s.dim)
		}
		add(name+"feed_forward.w1.weight", s.hidden, s.dim)
		add(name+"feed_forward.w2.weight", s.dim, s.hidden)
		add(name+"feed_forward.w3.weight", s.hidden, s.dim)
		if modulated {
			linear(fmt.Sprintf("%sadaLN_modulation.%d", name, s.modulation), 4*s.dim, s.time)
		}
	}
	for i := range 2 {
		block(fmt.Sprintf("noise_refiner.%d.", i), true)
		block(fmt.Sprintf("context_refiner.%d.", i), false)
	}
	block("layers.0.", true)
	linear("x_embedder", s.dim, 64)
	linear("t_embedder.mlp.0", 32, 256)
	linear("t_embedder.mlp.2", s.time, 32)
	add("cap_embedder.0.weight", s.text)
	linear("cap_embedder.1", s.dim, s.text)
	linear("final_layer.linear", 64, s.dim)
	linear("final_layer.adaLN_modulation.1", s.dim, s.time)
	if s.pads {
		add("x_pad_token", 1, s.dim)
		add("cap_pad_token", 1, s.dim)
	}
	text := b.String()
	if s.apart {
		text = strings.NewReplacer("q_norm", "norm_q", "k_norm", "norm_k", "attention.out.", "attention.to_out.0.",
			"x_embedder.", "all_x_embedder.2-1.", "final_layer.", "all_final_layer.2-1.").Replace(text)
	}
	return text
}

func (s shapes) diffusers() shapes { s.apart = true; return s }

func TestDetection(t *testing.T) {
	t.Parallel()
	under := func(prefix, list string) string {
		return prefix + strings.ReplaceAll(strings.TrimSpace(list), "\n", "\n"+prefix) + "\n"
	}
	for name, c := range map[string]struct {
		list, family string
		shift        float64
	}{
		"Z-Image":            {zImage.list(), "Z-Image", 3},
		"in diffusers' form": {zImage.diffusers().list(), "Z-Image", 3},
		"in a checkpoint":    {under("model.diffusion_model.", zImage.list()), "Z-Image", 3},
		"Lumina 2":           {lumina2.list(), "Lumina 2", 6},
		"no refiner":         {strings.ReplaceAll(zImage.list(), "noise_refiner", "refiner"), "", 0},
		"no text":            {strings.ReplaceAll(lumina2.list(), "cap_embedder", "caption"), "", 0},
	} {
		d, fam, err := family.Open(family.Default, dryrun.List(c.list)).Diffusion()
		if c.family == "" {
			if err == nil {
				t.Errorf("%s: read as %s", name, fam.Name())
			}
			continue
		}
		if err != nil || fam.Name() != c.family {
			t.Errorf("%s: family %v, %v", name, fam, err)
			continue
		}
		kind, settings := d.Sampling()
		if kind != sampling.Flow || settings.Shift != c.shift || settings.Multiplier != 1 || d.Latent().Channels != 16 {
			t.Errorf("%s: %v %+v, latent %+v", name, kind, settings, d.Latent())
		}
	}
}

// TestWrongFiles checks that unsupported files of the families return an error with the reason.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ list, want string }{
		"pixel space": {zImage.list() + "dec_net.cond_embed.weight 8 64\n", "lacks the network that makes pixels"},
		"odd axes":    {strings.ReplaceAll(shapes{dim: 60, text: 8, head: 30, heads: 2, keys: 2, hidden: 8, time: 8}.list(), "\x00", ""), "heads of width 30"},
		"no keys":     {strings.ReplaceAll(zImage.list(), "attention.qkv", "attention.wqkv"), "its shapes make no network"},
	} {
		_, _, err := family.Open(family.Default, dryrun.List(c.list)).Diffusion()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]shapes{"Z-Image": zImage, "Lumina 2": lumina2, "diffusers": zImage.diffusers()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			familytest.CheckCUDA(t, dryrun.List(s.list()), 1)
		})
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    shapes
		name string
		want patch.Target
	}{
		{zImage, "diffusion_model.layers.0.attention.to_k", patch.Target{Key: "diffusion_model.layers.0.attention.qkv.weight", From: 64, Rows: 64}},
		{zImage, "transformer.context_refiner.1.attention.to_out.0", patch.Target{Key: "diffusion_model.context_refiner.1.attention.out.weight"}},
		{zImage, "lycoris_noise_refiner_0_feed_forward_w2", patch.Target{Key: "diffusion_model.noise_refiner.0.feed_forward.w2.weight"}},
		{zImage, "lora_unet_layers_0_attention_qkv", patch.Target{Key: "diffusion_model.layers.0.attention.qkv.weight"}},
		{zImage, "transformer.all_x_embedder.2-1", patch.Target{Key: "diffusion_model.x_embedder.weight"}},
		{lumina2, "diffusion_model.layers.0.attention.to_v", patch.Target{Key: "diffusion_model.layers.0.attention.qkv.weight", From: 144, Rows: 48}},
		{zImage.diffusers(), "diffusion_model.layers.0.attention.to_v", patch.Target{Key: "diffusion_model.layers.0.attention.to_v.weight"}},
	} {
		d, _, err := family.Open(family.Default, dryrun.List(c.s.list())).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		var keys patch.KeyMap
		d.(family.Adaptable).LoRAKeys(&keys, "diffusion_model.")
		if got, ok := keys.Lookup(c.name); !ok || got != c.want {
			t.Errorf("%s stands for %+v, want %+v", c.name, got, c.want)
		}
	}
}
