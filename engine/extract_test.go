package engine_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/safetensors"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// extracted writes the LoRA of a model into a file.
func extracted(ctx context.Context, t *testing.T, m *engine.Model, c *engine.CLIP, o engine.Extraction) string {
	t.Helper()
	tensors, err := shared.ExtractLoRA(ctx, m, c, o)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := tensors.Write(ctx, &file, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lora.safetensors")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// difference returns the weights of the second model less those of the first, as a model.
func difference(t *testing.T, first, second *engine.Model) *engine.Model {
	t.Helper()
	d, err := second.Merge(t.Context(), first, func(string) (float64, float64) { return 1, -1 })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestExtractedDifference adds the whole difference of two models to the first, which gives the second.
func TestExtractedDifference(t *testing.T) {
	t.Parallel()
	models := make([]*engine.Model, 2)
	for i, path := range []string{demoFile(t), tripledDemo(t)} {
		m, _, _, err := shared.LoadCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		models[i] = m
	}
	var told int
	path := extracted(t.Context(), t, difference(t, models[0], models[1]), nil, engine.Extraction{
		Whole: true, Biases: true, Progress: func(done, all int) { told = all - done },
	})
	with, _, err := shared.ApplyLoRA(t.Context(), path, models[0], nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := step(t.Context(), with, 40)
	if err != nil {
		t.Fatal(err)
	}
	want, err := step(t.Context(), models[1], 40)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "the second model", got.Data, want.Data, golden.Tolerance{RMSRel: 1e-3}) // the file's half precision
	if told != 0 {
		t.Errorf("%d weights are not told as done", told)
	}
}

// TestExtractedForms checks the tensors of a LoRA: factors of matrices and convolutions, and norms and biases if requested. A
// weight that is not finite is left out with a warning.
func TestExtractedForms(t *testing.T) {
	t.Parallel()
	const broken = "model.diffusion_model.out.2.weight"
	path := changed(t, func(x safetensors.Tensor) *safetensors.Tensor {
		if x.Name == broken {
			x.Data = slices.Clone(x.Data)
			x.Data[0], x.Data[1] = 0xff, 0x7f // NaN in float16 and bfloat16
		}
		return &x
	}, true)
	m, c, _, err := shared.LoadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	const rank = 3
	for _, biases := range []bool{false, true} {
		var told []string
		ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
		data, err := os.ReadFile(extracted(ctx, t, m, c, engine.Extraction{Rank: rank, Biases: biases}))
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(told, " "); !strings.Contains(all, "1 weights are left out, such as diffusion_model.out.2") {
			t.Errorf("told %q", all)
		}
		tensors, _, err := safetensors.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		shapes := map[string][]int{}
		for _, x := range tensors {
			shapes[x.Name] = x.Shape
			if v, err := weights.Float32s(weights.Entry{DType: x.DType, Shape: x.Shape, Data: x.Data}); err != nil || slices.ContainsFunc(v, func(f float32) bool { return math.IsNaN(float64(f)) }) {
				t.Errorf("%s: %v or numbers that are not finite", x.Name, err)
			}
		}
		const block, text = "diffusion_model.input_blocks.1.0.in_layers.2", "text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.q_proj"
		if up, down := shapes[block+".lora_up.weight"], shapes[block+".lora_down.weight"]; len(up) != 4 || up[1] != rank || len(down) != 4 || down[0] != rank || down[2] != 3 {
			t.Errorf("the factors of a convolution are %v and %v", up, down)
		}
		if up, down := shapes[text+".lora_up.weight"], shapes[text+".lora_down.weight"]; len(up) != 2 || up[1] != rank || len(down) != 2 || down[0] != rank {
			t.Errorf("the factors of a matrix are %v and %v", up, down)
		}
		for _, name := range []string{"diffusion_model.out.2.diff_b", "diffusion_model.out.0.diff", text + ".diff_b"} {
			if _, ok := shapes[name]; ok != biases {
				t.Errorf("%s is there: %v, biases are asked for: %v", name, ok, biases)
			}
		}
	}
}

func TestExtractionStops(t *testing.T) {
	t.Parallel()
	m, _, _, err := shared.LoadCheckpoint(demoFile(t))
	if err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(stopped)
	if _, err := shared.ExtractLoRA(ctx, m, nil, engine.Extraction{Rank: 4}); !errors.Is(err, stopped) {
		t.Errorf("an interrupted extraction gives %v", err)
	}
}
