package auraflow_test

import (
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// small is a file of a width that twelve heads divide, of the shapes of the goldens' model.
func small(t *testing.T) weights.Source {
	t.Helper()
	src := familytest.Manifest(t, "mod-auraflow", dtype.F16)
	var list []weights.Entry
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		shape := make([]int, len(e.Shape))
		for i, d := range e.Shape {
			shape[i] = d
			if d%256 == 0 && (n != "positional_encoding" || i == 2) && (!strings.HasPrefix(n, "t_embedder.mlp.0.") || i == 0) {
				shape[i] = d / 256 * 96
			}
		}
		e.Shape = shape
		if n == "positional_encoding" {
			e.Data = make([]byte, 2*e.Count())
		}
		list = append(list, e)
	}
	return dryrun.Described(list)
}

func open(t *testing.T) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, small(t)).Diffusion()
	if err != nil || fam.Name() != "AuraFlow" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

func TestDetection(t *testing.T) {
	t.Parallel()
	d := open(t)
	kind, s := d.Sampling()
	if kind != sampling.Flow || s.Shift != 1.73 || s.Multiplier != 1 || d.Latent().Channels != 4 || d.Latent().Scale != 0.13025 {
		t.Errorf("%v %+v, %+v", kind, s, d.Latent())
	}
	for name, list := range map[string]string{
		"odd table":  "double_layers.0.attn.w1q.weight 96 96\npositional_encoding 1 7 96\ninit_x_linear.weight 96 16\ncond_seq_linear.weight 96 8\n",
		"other size": "double_layers.0.attn.w1q.weight 95 95\npositional_encoding 1 4 95\ninit_x_linear.weight 95 16\ncond_seq_linear.weight 95 8\n",
	} {
		if _, _, err := family.Open(family.Default, dryrun.List(list)).Diffusion(); err == nil || !strings.Contains(err.Error(), "its shapes make no network") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, small(t), 1)
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	var keys patch.KeyMap
	open(t).(family.Adaptable).LoRAKeys(&keys, "diffusion_model.")
	for name, want := range map[string]patch.Target{
		"transformer.joint_transformer_blocks.0.attn.add_q_proj": {Key: "diffusion_model.double_layers.0.attn.w1q.weight"},
		"transformer.single_transformer_blocks.1.ff.linear_2":    {Key: "diffusion_model.single_layers.1.mlp.c_fc2.weight"},
		"transformer.norm_out.linear":                            {Key: "diffusion_model.modF.1.weight", SwapHalves: true},
		"lora_unet_single_layers_0_attn_w1q":                     {Key: "diffusion_model.single_layers.0.attn.w1q.weight"},
	} {
		if got, ok := keys.Lookup(name); !ok || got != want {
			t.Errorf("%s stands for %+v, want %+v", name, got, want)
		}
	}
}

// TestPositions checks that grids beyond the table run: it has 16x16 positions.
func TestPositions(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, shape := range [][]int{{1, 4, 7, 40}, {1, 4, 33, 6}} {
		in := []sampling.Input{{Name: sampling.InputContext, Value: tensor.New(1, 3, 192), Rule: sampling.ByRows}}
		run := &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[1]}}
		if _, err := d.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{0.5}, Inputs: sampling.Inputs{List: in}}); err != nil {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
