package layout_test

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// names reads testdata/names.txt.gz, which testdata/make_names.py wrote: for each model the pairs of names.
func names(t *testing.T) map[string][][2]string {
	t.Helper()
	f, err := os.Open("testdata/names.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][2]string{}
	for s := bufio.NewScanner(z); s.Scan(); {
		w := strings.Fields(s.Text())
		out[w[0]] = append(out[w[0]], [2]string{w[1], w[2]})
	}
	return out
}

// floats is a source of float32 tensors [3,2], each filled with one value that identifies it.
func floats(t *testing.T, names ...string) weights.Source {
	t.Helper()
	var entries []weights.Entry
	for i, n := range names {
		e := weights.Entry{Name: n, DType: dtype.F32, TypeName: "F32", Shape: []int{3, 2}}
		for range 6 {
			e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(float32(i)))
		}
		entries = append(entries, e)
	}
	src, err := weights.Memory("file", entries...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestNames holds every renamed tensor against ComfyUI's own conversion.
func TestNames(t *testing.T) {
	t.Parallel()
	for model, pairs := range names(t) {
		convert := layout.UNet
		switch model {
		case "vae":
			convert = layout.VAE
		case "text":
			convert = layout.CLIPText
		}
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			var from []string
			number := map[string]int{}
			for _, p := range pairs {
				if _, seen := number[p[0]]; !seen {
					number[p[0]] = len(from)
					from = append(from, p[0])
				}
			}
			out := convert(floats(t, from...))
			if len(out.Names()) != len(pairs) {
				t.Errorf("%d tensors, want %d", len(out.Names()), len(pairs))
			}
			for _, p := range pairs {
				e, ok := out.Lookup(p[1])
				if !ok || !slices.Contains(out.Names(), p[1]) {
					t.Errorf("%s is not there for %s", p[1], p[0])
					continue
				}
				got, err := weights.Float32s(e)
				if err != nil || int(got[0]) != number[p[0]] {
					t.Errorf("%s is tensor %v (%v), want %s", p[1], got, err, p[0])
				}
			}
		})
	}
}

func TestUnchanged(t *testing.T) {
	t.Parallel()
	src := floats(t, "decoder.up.0.block.0.norm1.weight", "input_blocks.0.0.weight", "text_model.encoder.layers.0.mlp.fc1.weight")
	for name, convert := range map[string]func(weights.Source) weights.Source{
		"UNet": layout.UNet, "ControlNet": layout.ControlNet, "VAE": layout.VAE, "CLIPText": layout.CLIPText, "CLIPVision": layout.CLIPVision,
	} {
		if convert(src) != src {
			t.Errorf("%s changes weights in the wanted layout", name)
		}
	}
}

// TestShapes checks the tensors that change form.
func TestShapes(t *testing.T) {
	t.Parallel()
	value := func(name string, dims []int, n int) weights.Entry {
		e := weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: dims}
		for i := range n {
			e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(float32(i)))
		}
		return e
	}
	src, err := weights.Memory("file",
		value("transformer.resblocks.0.ln_1.weight", []int{2}, 2), value("transformer.resblocks.0.attn.in_proj_weight", []int{6, 2}, 12),
		value("transformer.resblocks.0.attn.in_proj_bias", []int{6}, 6), value("text_projection", []int{2, 3}, 6),
		value("decoder.up_blocks.0.resnets.0.norm1.weight", []int{2}, 2), value("decoder.mid_block.attentions.0.to_q.weight", []int{2, 2}, 4),
		value("decoder.mid_block.attentions.0.to_out.0.weight", []int{2, 2, 1, 1}, 4), value("transformer.resblocks.1.attn.in_proj_weight", []int{6, 2}, 3),
		value("visual.transformer.resblocks.0.attn.in_proj_weight", []int{3, 1}, 3), value("visual.proj", []int{1, 2}, 2), value("visual.ln_pre.bias", []int{1}, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		convert func(weights.Source) weights.Source
		name    string
		shape   []int
		want    []float32
	}{
		{layout.CLIPText, "text_model.encoder.layers.0.self_attn.q_proj.weight", []int{2, 2}, []float32{0, 1, 2, 3}},
		{layout.CLIPText, "text_model.encoder.layers.0.self_attn.k_proj.weight", []int{2, 2}, []float32{4, 5, 6, 7}},
		{layout.CLIPText, "text_model.encoder.layers.0.self_attn.v_proj.bias", []int{2}, []float32{4, 5}},
		{layout.CLIPText, "text_projection.weight", []int{3, 2}, []float32{0, 3, 1, 4, 2, 5}},
		{layout.VAE, "decoder.mid.attn_1.q.weight", []int{2, 2, 1, 1}, []float32{0, 1, 2, 3}},
		{layout.VAE, "decoder.mid.attn_1.proj_out.weight", []int{2, 2, 1, 1}, []float32{0, 1, 2, 3}},
		{layout.CLIPVision, "vision_model.encoder.layers.0.self_attn.v_proj.weight", []int{1, 1}, []float32{2}},
		{layout.CLIPVision, "visual_projection.weight", []int{2, 1}, []float32{0, 1}},
		{layout.CLIPVision, "vision_model.pre_layrnorm.bias", []int{1}, []float32{0}},
	} {
		e, ok := c.convert(src).Lookup(c.name)
		got, err := weights.Float32s(e)
		if !ok || err != nil || !slices.Equal(e.Shape, c.shape) || !slices.Equal(got, c.want) {
			t.Errorf("%s is %v %v (%v), want %v %v", c.name, e.Shape, got, err, c.shape, c.want)
		}
	}
	a, _ := layout.CLIPText(src).Lookup("text_model.encoder.layers.0.self_attn.q_proj.weight")
	b, _ := layout.CLIPText(src).Lookup("text_model.encoder.layers.0.self_attn.k_proj.weight")
	if a.Name == b.Name {
		t.Errorf("two windows of one tensor are both named %s: prepared weights are kept by name", a.Name)
	}
	if e, _ := layout.CLIPText(src).Lookup("text_model.encoder.layers.1.self_attn.q_proj.weight"); e.Data != nil {
		t.Error("a tensor that does not fill its shape was cut")
	}
}

func TestControlNet(t *testing.T) {
	t.Parallel()
	for from, to := range map[string]string{
		"controlnet_cond_embedding.conv_in.weight": "input_hint_block.0.weight", "controlnet_cond_embedding.blocks.5.bias": "input_hint_block.12.bias",
		"controlnet_cond_embedding.conv_out.weight": "input_hint_block.14.weight", "controlnet_down_blocks.11.weight": "zero_convs.11.0.weight",
		"controlnet_mid_block.bias": "middle_block_out.0.bias", "down_blocks.1.resnets.0.conv1.weight": "input_blocks.4.0.in_layers.2.weight",
		"task_embedding": "task_embedding", "transformer_layes.0.attn.in_proj_weight": "transformer_layes.0.attn.in_proj.weight",
	} {
		all := []string{"controlnet_cond_embedding.conv_in.weight", "control_add_embedding.linear_1.bias"}
		for i := range 6 {
			all = append(all, "controlnet_cond_embedding.blocks."+string(rune('0'+i))+".bias")
		}
		all = append(all, "down_blocks.0.resnets.0.conv1.weight", "down_blocks.0.resnets.1.conv1.weight", "down_blocks.1.resnets.0.conv1.weight")
		if !slices.Contains(all, from) {
			all = append(all, from)
		}
		if _, ok := layout.ControlNet(floats(t, all...)).Lookup(to); !ok {
			t.Errorf("%s is not %s", from, to)
		}
	}
}
