//go:build drygpu && linux

package drygpu_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/residency"
	"comfygo/engine/safetensors"
)

// fluxFull writes a sparse file of Flux.1 dev in full size, in bfloat16: 24 GB of zeros that take no room. It returns the bytes of its tensors.
func fluxFull(t *testing.T) (path string, bytes int64) {
	t.Helper()
	const hidden, mlp, double, single = 3072, 4 * 3072, 19, 38
	var specs []safetensors.Spec
	tensor := func(name string, shape ...int) {
		n := int64(2)
		for _, d := range shape {
			n *= int64(d)
		}
		bytes += n
		specs = append(specs, safetensors.Spec{Name: name, DType: dtype.BF16, Shape: shape})
	}
	linear := func(name string, out, in int) {
		tensor(name+".weight", out, in)
		tensor(name+".bias", out)
	}
	linear("img_in", hidden, 64)
	linear("txt_in", hidden, 4096)
	for name, in := range map[string]int{"time_in": 256, "vector_in": 768, "guidance_in": 256} {
		linear(name+".in_layer", hidden, in)
		linear(name+".out_layer", hidden, hidden)
	}
	for i := range double {
		for _, stream := range []string{"img", "txt"} {
			at := fmt.Sprintf("double_blocks.%d.%s_", i, stream)
			linear(at+"mod.lin", 6*hidden, hidden)
			linear(at+"attn.qkv", 3*hidden, hidden)
			linear(at+"attn.proj", hidden, hidden)
			tensor(at+"attn.norm.query_norm.scale", 128)
			tensor(at+"attn.norm.key_norm.scale", 128)
			linear(at+"mlp.0", mlp, hidden)
			linear(at+"mlp.2", hidden, mlp)
		}
	}
	for i := range single {
		at := fmt.Sprintf("single_blocks.%d.", i)
		linear(at+"linear1", 3*hidden+mlp, hidden)
		linear(at+"linear2", hidden, hidden+mlp)
		tensor(at+"norm.query_norm.scale", 128)
		tensor(at+"norm.key_norm.scale", 128)
		linear(at+"modulation.lin", 3*hidden, hidden)
	}
	linear("final_layer.linear", 64, hidden)
	linear("final_layer.adaLN_modulation.1", 2*hidden, hidden)
	return sparse(t, specs), bytes
}

// TestStreamedFlux runs Flux in full size on GPUs that are too small for it: they never run out of memory, and what is copied in a step is what does
// not fit.
func TestStreamedFlux(t *testing.T) {
	path, all := fluxFull(t)
	for _, c := range []struct {
		gib, reserve int
		streaming    residency.Streaming
		least        float64 // of the GPU's memory, in use
	}{{gib: 8, least: 0.8}, {gib: 12, least: 0.8}, {gib: 16, least: 0.8}, {gib: 16, reserve: 4, least: 0.5}, {gib: 16, streaming: residency.StreamAll}, {gib: 32, streaming: residency.StreamHalf}} {
		t.Run(fmt.Sprintf("%d GiB, %d reserved, rule %d", c.gib, c.reserve, c.streaming), func(t *testing.T) {
			r, out := dry(t, gpu{MB: c.gib << 10}, scenario{
				Name: "steps", Checkpoint: path, UNet: dtype.BF16, Size: 1024, Steps: 2, Reserve: int64(c.reserve) << 30, Streaming: c.streaming,
			})
			s, a := r.sections["step1"], accounts(t, out)["step1"]
			uploaded := int64(0)
			for _, line := range s.copies {
				var n int64
				var from, to string
				if _, err := fmt.Sscan(line, &from, &to, &n); err == nil && from == "pinned" && to == "gpu" {
					uploaded += n
				}
			}
			stays := a.Weights - a.Ring
			want := all - stays
			t.Logf("%d launches, at most %.2f GiB, %.2f GB of %.2f stay, %.2f GB are copied in a step; ledger %.2f GiB", s.launches, gib(r.memory["0"]), gb(stays), gb(all), gb(uploaded), gib(a.Weights+a.Activations))
			if s.oom+r.sections["step0"].oom > 0 || strings.Contains(out, "ran out of memory") {
				t.Errorf("out of memory %d times: %s", s.oom, out)
			}
			limit := int64(c.gib-c.reserve) << 30
			if r.memory["0"] > limit || float64(r.memory["0"]) < c.least*float64(c.gib<<30) {
				t.Errorf("%.2f GiB were taken of %d with %d reserved", gib(r.memory["0"]), c.gib, c.reserve)
			}
			near(t, "copied", uploaded, want, 0.05)
			near(t, "told", a.StepStreamed, uploaded, 0.01)
			near(t, "ledger", a.Weights+a.Activations, s.end, 0.15)
			if c.streaming == residency.StreamAll && stays > 0 {
				t.Errorf("%d bytes of weights stay", stays)
			}
		})
	}
	if _, out := dry(t, gpu{MB: 8 << 10}, scenario{Name: "too large", Checkpoint: path, UNet: dtype.BF16, Size: 1024, Steps: 1, Streaming: residency.StreamNever}); !strings.Contains(out, "GiB of memory") {
		t.Errorf("a GPU that is too small: said %s", out)
	}
}

// TestPinned copies streamed weights from pinned copies, within their budget.
func TestPinned(t *testing.T) {
	path := model(t, "sd15")
	_, out := dry(t, gpu{MB: 1200}, scenario{Name: "steps", Checkpoint: path, UNet: dtype.F16, Size: 512, Steps: 2, Pinned: 300})
	a := accounts(t, out)["step1"]
	if a.Pinned < 100<<20 || a.Pinned > 300<<20 {
		t.Errorf("%d MiB are pinned, want at most 300", a.Pinned>>20)
	}
}

// TestStreamedLoRA streams a U-Net with a LoRA, whose ranks are no sizes of its inputs.
func TestStreamedLoRA(t *testing.T) {
	const width, rank = 320, 4
	var specs []safetensors.Spec
	for _, layer := range []string{"q", "k", "v", "out_0"} {
		at := "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_" + layer
		specs = append(specs, safetensors.Spec{Name: at + ".lora_up.weight", DType: dtype.F16, Shape: []int{width, rank}},
			safetensors.Spec{Name: at + ".lora_down.weight", DType: dtype.F16, Shape: []int{rank, width}})
	}
	r, out := dry(t, gpu{MB: 1200}, scenario{Name: "steps", Checkpoint: model(t, "sd15"), LoRA: sparse(t, specs), UNet: dtype.F16, Size: 512, Steps: 2})
	if a := accounts(t, out)["step1"]; a.StepStreamed < 100<<20 || r.memory["0"] > 1200<<20 {
		t.Errorf("%d MiB are copied in a step, %d MiB were taken of 1200: %s", a.StepStreamed>>20, r.memory["0"]>>20, out)
	}
}

// TestLedger compares the ledger with what the GPU has given.
func TestLedger(t *testing.T) {
	sd15, sdxl, wan := model(t, "sd15"), model(t, "sdxl"), manifest(t, "vae-wan21-full", dtype.F32, nil)
	for _, c := range []struct {
		name  string
		s     scenario
		steps string
	}{
		{"sd15 f16 512", scenario{Name: "steps", Checkpoint: sd15, UNet: dtype.F16, Size: 512, Steps: 2}, "step"},
		{"sd15 f16 1024", scenario{Name: "steps", Checkpoint: sd15, UNet: dtype.F16, Size: 1024, Steps: 2}, "step"},
		{"sd15 bf16 768", scenario{Name: "steps", Checkpoint: sd15, UNet: dtype.BF16, Size: 768, Steps: 2}, "step"},
		{"sd15 f32 512", scenario{Name: "steps", Checkpoint: sd15, UNet: dtype.F32, Size: 512, Steps: 2}, "step"},
		{"sdxl f16 1024", scenario{Name: "steps", Checkpoint: sdxl, UNet: dtype.F16, Size: 1024, Steps: 2}, "step"},
		{"decode f32 512", scenario{Name: "decode", Checkpoint: sd15, Size: 512, Steps: 2}, "decode"},
		{"decode f16 1024", scenario{Name: "decode", Checkpoint: sd15, VAE: dtype.F16, Size: 1024, Steps: 2}, "decode"},
		{"wan vae f32 256", scenario{Name: "video", Checkpoint: wan, Size: 256, Steps: 2}, "decode"},
		{"wan vae f16 256", scenario{Name: "video", Checkpoint: wan, VAE: dtype.F16, Size: 256, Steps: 2}, "decode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, out := dry(t, gpu{}, c.s)
			first, s, a := r.sections[c.steps+"0"], r.sections[c.steps+"1"], accounts(t, out)[c.steps+"1"]
			peak := max(first.peak, s.peak)
			t.Logf("ledger: weights %d, activations %d, runs %d MiB; the GPU: %d after, at most %d MiB", a.Weights>>20, a.Activations>>20, a.Peak>>20, s.end>>20, peak>>20)
			near(t, "after", a.Weights+a.Activations, s.end, 0.15)
			near(t, "peak", a.Weights+a.Activations+a.Peak, peak, 0.15)
		})
	}
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }
func gb(n int64) float64  { return float64(n) / 1e9 }

// near fails unless got is within a part of want.
func near(t *testing.T, what string, got, want int64, part float64) {
	t.Helper()
	if d := float64(got - want); d > part*float64(want) || -d > part*float64(want) {
		t.Errorf("%s: %d MiB, want %d within %.0f %%", what, got>>20, want>>20, 100*part)
	}
}
