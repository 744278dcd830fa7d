package sd3_test

import (
	"math"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/sd3"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"3.5":            {Manifest: "sd35-small", Family: "Stable Diffusion 3", Type: sampling.Flow, Shift: 3},
		"no table":       {Manifest: "sd35-small", Without: "pos_embed", Family: "Stable Diffusion 3", Type: sampling.Flow, Shift: 3},
		"no text blocks": {Manifest: "sd35-small", Without: "context_block"},
		"half of it":     {Manifest: "sd35-small", Without: "final_layer"},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "sd35-small", dtype.Invalid)
	h := m.(*sd3.Model).Hidden
	familytest.CheckLoRAKeys(t, m, map[string]patch.Target{
		"transformer.transformer_blocks.0.attn.to_k":            {Key: "joint_blocks.0.x_block.attn.qkv.weight", From: h, Rows: h},
		"base_model.model.transformer_blocks.1.attn2.to_v":      {Key: "joint_blocks.1.x_block.attn2.qkv.weight", From: 2 * h, Rows: h},
		"lora_transformer_transformer_blocks_0_attn_add_q_proj": {Key: "joint_blocks.0.context_block.attn.qkv.weight", Rows: h},
		"lora_unet_joint_blocks_0_x_block_mlp_fc1":              {Key: "joint_blocks.0.x_block.mlp.fc1.weight"},
		"lycoris_norm_out_linear":                               {Key: "final_layer.adaLN_modulation.1.weight", SwapHalves: true},
	})
}

// TestDiffusersLayout checks that the names of diffusers cover every tensor of a network.
func TestDiffusersLayout(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "sd35-small", dtype.F32).(*sd3.Model)
	s := weights.NewScope(m.Source)
	names := sd3.Names(s.Count("joint_blocks"), m.Hidden)
	var list []weights.Entry
	for theirs, target := range names.All() {
		e, ok := m.Source.Lookup(target.Key)
		if !ok {
			continue
		}
		shape := append([]int(nil), e.Shape...)
		if target.Rows > 0 {
			shape[0] = target.Rows
		}
		list = append(list, weights.Entry{Name: theirs, DType: dtype.F32, Shape: shape, Data: make([]byte, 4*weights.Entry{Shape: shape}.Count())})
	}
	d, fam, err := family.Open(family.Default, dryrun.Described(list)).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Source.Names() {
		want, _ := m.Source.Lookup(n)
		got, ok := d.Weights().Lookup(n)
		if !ok || got.Count() != want.Count() {
			t.Errorf("%s: %s has %v, want %v", fam.Name(), n, got, want)
		}
	}
}

// TestPositions compares computed positions with the formula and a crop with the table.
func TestPositions(t *testing.T) {
	t.Parallel()
	c := sd3.Config{Hidden: 64, Patch: 2}
	pos, err := c.Positions(nil, dit.Grid{Height: 2, Width: 4, Patch: 2})
	if err != nil {
		t.Fatal(err)
	}
	// The last patch lies at column 22.5 and row 15.
	row := pos.Data[7*64:]
	for at, want := range map[int]float64{0: math.Sin(22.5), 16: math.Cos(22.5), 32: math.Sin(15), 48: math.Cos(15)} {
		if math.Abs(float64(row[at])-want) > 1e-6 { // rounding to float32
			t.Errorf("value %d is %v, want %v", at, row[at], want)
		}
	}
	c.Side = 3
	if _, err := c.Positions(nil, dit.Grid{Height: 2, Width: 4, Patch: 2}); err == nil {
		t.Error("no error for a grid beyond the table")
	}
}

func TestCUDAVariants(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "sd35-small", dtype.BF16).(*sd3.Model)
	for _, target := range familytest.Targets(t) {
		g, err := m.Graph(sd3.Variant{Skip: []int{0}, Controls: []int{0}}).Build(family.Spec{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		cudakernels.Check(t, g)
	}
}
