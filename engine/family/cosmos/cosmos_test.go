package cosmos_test

import (
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/cudakernels"
)

const (
	images = "cosmos-predict2-small"
	videos = "cosmos-predict2-i2v-small"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"images":   {Manifest: images, Family: "Cosmos Predict2", Type: sampling.FlowCosmos},
		"videos":   {Manifest: videos, Family: "Cosmos Predict2", Type: sampling.FlowCosmos},
		"Anima":    {Manifest: "anima-small", Family: "Anima", Type: sampling.Flow, Shift: 3},
		"no mlp":   {Manifest: images, Without: "mlp.layer1"},
		"no norms": {Manifest: images, Without: "q_norm"},
		"Z-Image":  {Manifest: "mod-z-image", Family: "Z-Image", Type: sampling.Flow, Shift: 3},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, images, dtype.Invalid), map[string]patch.Target{
		"lora_unet_blocks_0_self_attn_q_proj": {Key: "blocks.0.self_attn.q_proj.weight"},
		"diffusion_model.blocks.0.mlp.layer2": {Key: "blocks.0.mlp.layer2.weight"},
		"lora_unet_t_embedder_1_linear_1":     {Key: "t_embedder.1.linear_1.weight"},
		"diffusion_model.final_layer.linear":  {Key: "final_layer.linear.weight"},
	})
}

// TestCUDA checks the graphs with one timestep a row and with one per frame.
func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, manifest := range []string{images, videos} {
		m := familytest.Model(t, manifest, dtype.BF16)
		for name, mask := range map[string]*tensor.Tensor{"plain": nil, "frames": frames(0, 1, 1), "equal frames": frames(1, 1, 1)} {
			shape := []int{1, 16, 3, 5, 4}
			in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 4, 1024)}, sampling.Request{Shape: shape, Format: m.Latent(), Mask: mask})
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range familytest.Targets(t) {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}})
				if err != nil || !slices.Equal(y.Shape, shape) {
					t.Fatalf("%s, %s: %v", manifest, name, err)
				}
				for _, g := range run.Graphs {
					if framed := len(g.Inputs()[0].Shape) == 4; framed != (name == "frames") {
						t.Errorf("%s, %s: the graph reads %v", manifest, name, g.Inputs()[0].Shape)
					}
					cudakernels.Check(t, g)
				}
			}
		}
	}
}

// frames is a noise mask [1,16,3,5,4] of frames that are kept (0) and made (1).
func frames(values ...float32) *tensor.Tensor {
	mask := tensor.New(1, 16, len(values), 5, 4)
	for i := range mask.Data {
		mask.Data[i] = values[i/20%len(values)]
	}
	return mask
}

// TestGivenFrames checks that the network gets the frames to keep, with the timestep zero and without noise.
func TestGivenFrames(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, videos, dtype.Invalid)
	in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 4, 1024)}, sampling.Request{Shape: []int{1, 16, 3, 5, 4}, Format: m.Latent(), Mask: frames(0, 1, 0.5)})
	if err != nil {
		t.Fatal(err)
	}
	list := sampling.Inputs{List: in}
	if given := list.Get("given"); given == nil || given.Data[0] != 1 || given.Data[20] != 0 {
		t.Errorf("given frames: %v", given)
	}
	if noise := list.Get("denoise_mask"); noise == nil || !slices.Equal(noise.Data, []float32{0, 1, 0.5}) {
		t.Errorf("timesteps of frames: %v", noise)
	}
	kept := m.(family.Keeping).Kept(3, &tensor.Tensor{Shape: []int{1, 1, 1, 1, 1}, Data: []float32{0.5}})
	if kept.Data[0] != 2 { // over sigma+1 it is the latent again
		t.Errorf("kept: %v", kept.Data)
	}
	if _, err := m.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil {
		t.Error("no text: no error")
	}
	wrong := &sampling.Cond{Tokens: tensor.New(1, 4, 1024), Values: map[string]any{sampling.KeyConcatMask: tensor.New(1, 1, 2, 5, 4)}}
	if _, err := m.Inputs(wrong, sampling.Request{Shape: []int{1, 16, 3, 5, 4}}); err == nil {
		t.Error("a mask of another number of frames: no error")
	}
}

func TestWrongInputs(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, images, dtype.Invalid)
	text := func(width int) []sampling.Input {
		return []sampling.Input{{Name: sampling.InputContext, Value: tensor.New(1, 4, width), Rule: sampling.ByRows}}
	}
	for name, c := range map[string]family.Call{
		"axes":     {X: tensor.New(1, 16, 8), T: []float32{1}, Inputs: sampling.Inputs{List: text(1024)}},
		"channels": {X: tensor.New(1, 4, 8, 8), T: []float32{1}, Inputs: sampling.Inputs{List: text(1024)}},
		"text":     {X: tensor.New(1, 16, 8, 8), T: []float32{1}, Inputs: sampling.Inputs{List: text(768)}},
		"times":    {X: tensor.New(1, 16, 8, 8), Inputs: sampling.Inputs{List: text(1024)}},
	} {
		run := &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}
		if _, err := m.Predict(t.Context(), run, c); err == nil || run.Err != nil {
			t.Errorf("%s: %v, %v", name, err, run.Err)
		}
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, images, dtype.F16)
	small, large := m.Memory([]int{1, 16, 1, 64, 64}, 77), m.Memory([]int{1, 16, 1, 128, 128}, 77)
	const least = 8 << 20 // the hidden states of 1024 tokens, several times
	if small < least || large < 2*small {
		t.Errorf("%d bytes, and %d for four times the size", small, large)
	}
}
