package clipvision_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/weights"
)

// encoder describes a file by its shapes.
type encoder struct {
	width, mlp, layers, positions int
	patch                         []int
	more                          map[string][]int
}

// source returns a file with the shapes and the names of transformers, without data.
func (e encoder) source(t *testing.T) weights.Source {
	t.Helper()
	shapes := map[string][]int{
		"vision_model.embeddings.patch_embedding.weight":    e.patch,
		"vision_model.embeddings.position_embedding.weight": {e.positions, e.width},
	}
	for i := range e.layers {
		layer := fmt.Sprintf("vision_model.encoder.layers.%d.", i)
		shapes[layer+"layer_norm1.weight"], shapes[layer+"mlp.fc1.weight"] = []int{e.width}, []int{e.mlp, e.width}
	}
	for name, shape := range e.more {
		shapes[name] = shape
	}
	return source(t, shapes)
}

func source(t *testing.T, shapes map[string][]int) weights.Source {
	t.Helper()
	var entries []weights.Entry
	for name, shape := range shapes {
		entries = append(entries, weights.Entry{Name: name, DType: dtype.F16, Shape: shape})
	}
	src, err := weights.Memory("test.safetensors", entries...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func read(src weights.Source) (family.ImageEncoder, error) {
	for _, v := range family.Default.Visions() {
		if e, err := v.Read(src); e != nil || err != nil {
			return e, err
		}
	}
	return nil, nil
}

func TestDetection(t *testing.T) {
	t.Parallel()
	projection := map[string][]int{"visual_projection.weight": {768, 1024}}
	for name, c := range map[string]struct {
		file encoder
		want clipvision.Config
	}{
		"ViT-L": {
			encoder{1024, 4096, 24, 257, []int{1024, 3, 14, 14}, projection},
			clipvision.Config{Width: 1024, Layers: 24, MLP: 4096, Image: 224, Patch: 14, Projection: 768, Activation: clipvision.QuickGELU},
		},
		"ViT-L of 336 pixels with LLaVA's projector": {
			encoder{1024, 4096, 24, 577, []int{1024, 3, 14, 14}, map[string][]int{"multi_modal_projector.linear_1.bias": {4096}}},
			clipvision.Config{Width: 1024, Layers: 24, MLP: 4096, Image: 336, Patch: 14, Projector: 4096, Activation: clipvision.QuickGELU},
		},
		"ViT-H": {
			encoder{1280, 5120, 32, 257, []int{1280, 3, 14, 14}, map[string][]int{"visual_projection.weight": {1024, 1280}}},
			clipvision.Config{Width: 1280, Layers: 32, MLP: 5120, Image: 224, Patch: 14, Projection: 1024, Activation: clipvision.GELU},
		},
		"ViT-bigG": {
			encoder{1664, 8192, 48, 257, []int{1664, 3, 14, 14}, map[string][]int{"visual_projection.weight": {1280, 1664}}},
			clipvision.Config{Width: 1664, Layers: 48, MLP: 8192, Image: 224, Patch: 14, Projection: 1280, Activation: clipvision.GELU},
		},
		"SigLIP 384": {
			encoder{1152, 4304, 27, 729, []int{1152, 3, 14, 14}, nil},
			clipvision.Config{Width: 1152, Layers: 27, MLP: 4304, Image: 384, Patch: 14, SigLIP: true, Activation: clipvision.TanhGELU},
		},
		"SigLIP 512": {
			encoder{1152, 4304, 27, 1024, []int{1152, 3, 16, 16}, nil},
			clipvision.Config{Width: 1152, Layers: 27, MLP: 4304, Image: 512, Patch: 16, SigLIP: true, Activation: clipvision.TanhGELU},
		},
		"SigLIP 2": {
			encoder{1152, 4304, 27, 256, []int{1152, 768}, nil},
			clipvision.Config{Width: 1152, Layers: 27, MLP: 4304, Patch: 16, Patches: 256, LinearPatches: true, SigLIP: true, Activation: clipvision.TanhGELU},
		},
	} {
		got, err := read(c.file.source(t))
		if err != nil || got == nil {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		cfg := got.(*clipvision.Encoder).Config
		c.want.Heads, c.want.Mean, c.want.Std = 16, cfg.Mean, cfg.Std
		if cfg != c.want {
			t.Errorf("%s: %+v, want %+v", name, cfg, c.want)
		}
		if siglip := cfg.Mean[0] == 0.5; siglip != cfg.SigLIP {
			t.Errorf("%s: mean %v", name, cfg.Mean)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	t.Parallel()
	for name, shapes := range map[string]map[string][]int{
		"empty":        {},
		"text encoder": {"text_model.encoder.layers.0.mlp.fc1.weight": {3072, 768}},
		"DINOv2":       {"encoder.layer.39.layer_scale2.lambda1": {1536}},
		"a small ViT":  {"vision_model.encoder.layers.0.layer_norm1.weight": {768}, "vision_model.encoder.layers.0.mlp.fc1.weight": {3072, 768}},
	} {
		if got, err := read(source(t, shapes)); got != nil || err != nil {
			t.Errorf("%s: %v, %v; want neither", name, got, err)
		}
	}
	for name, e := range map[string]encoder{
		"no square of patches": {1024, 4096, 24, 256, []int{1024, 3, 14, 14}, nil},
		"linear patches":       {1024, 4096, 24, 256, []int{1024, 768}, nil},
		"no patches":           {1024, 4096, 24, 257, []int{1024}, nil},
	} {
		if got, err := read(e.source(t)); err == nil || !strings.Contains(err.Error(), "shape") {
			t.Errorf("%s: %v, %v; want an error that names the shapes", name, got, err)
		}
	}
}
