package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/demo"
	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/ort"
	"comfygo/engine/residency"
	"comfygo/engine/safetensors"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// demoFile returns the built-in model's path.
func demoFile(t *testing.T) string {
	t.Helper()
	path, err := demo.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// changed writes the built-in model with some tensors changed, dropped (nil) or renamed by f.
func changed(t *testing.T, f func(safetensors.Tensor) *safetensors.Tensor, keepConfig bool) string {
	t.Helper()
	raw, err := os.ReadFile(demoFile(t))
	if err != nil {
		t.Fatal(err)
	}
	tensors, meta, err := safetensors.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for _, x := range tensors {
		if y := f(x); y != nil {
			out = append(out, *y)
		}
	}
	if !keepConfig {
		meta = nil
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := safetensors.Save(path, meta, out); err != nil {
		t.Fatal(err)
	}
	return path
}

// step runs one step of a model on an 8x8 latent.
func step(ctx context.Context, m *engine.Model, width int) (*tensor.Tensor, error) {
	return m.Predict(ctx, golden.Normal("x", 1, 4, 8, 8), []float32{500}, sampling.Text(golden.Normal("c", 1, 77, width)))
}

func TestFilesThatDoNotFit(t *testing.T) {
	t.Parallel()
	same := func(x safetensors.Tensor) *safetensors.Tensor { return &x }
	cases := []struct {
		name string
		path string
		want string
	}{
		{"no such file", filepath.Join(t.TempDir(), "none.safetensors"), "no such file"},
		{"no config for its size", changed(t, same, false), "no known family"},
		{"no diffusion model", changed(t, func(x safetensors.Tensor) *safetensors.Tensor {
			if strings.HasPrefix(x.Name, "model.") {
				return nil
			}
			return &x
		}, true), "no diffusion model"},
		{"another family", changed(t, func(x safetensors.Tensor) *safetensors.Tensor {
			if x.Name == "model.diffusion_model.input_blocks.0.0.weight" {
				x.Name = "model.diffusion_model.t5_yproj.weight"
			}
			return &x
		}, true), "Mochi"},
		{"nothing known", changed(t, func(x safetensors.Tensor) *safetensors.Tensor {
			x.Name = "something." + x.Name
			return &x
		}, true), "something ("},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := shared.LoadModel(c.path, dtype.Invalid)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestWeightsThatDoNotFit(t *testing.T) {
	t.Parallel()
	const conv = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight"
	cases := []struct {
		name   string
		change func(safetensors.Tensor) *safetensors.Tensor
		want   []string
	}{
		{"missing", func(x safetensors.Tensor) *safetensors.Tensor {
			if x.Name == conv {
				return nil
			}
			return &x
		}, []string{"input_blocks.1.0.in_layers.2.weight"}},
		{"misshapen", func(x safetensors.Tensor) *safetensors.Tensor {
			if strings.HasSuffix(x.Name, "input_blocks.1.0.in_layers.0.weight") {
				x.Shape = []int{2, x.Shape[0] / 2}
			}
			return &x
		}, []string{"input_blocks.1.0.in_layers.0.weight", "wanted"}},
		{"not a number", func(x safetensors.Tensor) *safetensors.Tensor {
			if x.Name == conv {
				x.Data = append([]byte(nil), x.Data...)
				x.Data[2*77], x.Data[2*77+1] = 0x00, 0x7e
			}
			return &x
		}, []string{conv, "NaN"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, err := shared.LoadModel(changed(t, c.change, true), dtype.Invalid)
			if err != nil {
				t.Fatal(err)
			}
			_, err = step(t.Context(), m, 40)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("got %v, want an error with %q", err, want)
				}
			}
		})
	}
}

func TestInputsThatDoNotFit(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	x, c := golden.Normal("x", 1, 4, 8, 8), golden.Normal("c", 1, 77, 40)
	cases := map[string]func() error{
		"channels": func() error {
			_, err := m.Predict(t.Context(), golden.Normal("x", 1, 3, 8, 8), []float32{1}, sampling.Text(c))
			return err
		},
		"timesteps": func() error {
			_, err := m.Predict(t.Context(), x, nil, sampling.Text(c))
			return err
		},
		"no text": func() error {
			_, err := m.Predict(t.Context(), x, []float32{1}, sampling.Inputs{})
			return err
		},
		"text of another encoder": func() error {
			_, err := step(t.Context(), m, 768)
			return err
		},
		"extra channels": func() error {
			_, err := m.Predict(t.Context(), x, []float32{1}, sampling.Inputs{List: append(sampling.Text(c).List, sampling.Input{Name: "concat", Value: golden.Normal("k", 1, 5, 4, 4)})})
			return err
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := f(); err == nil {
				t.Fatal("no error")
			}
		})
	}
}

// TestMemoryIsCheckedFirst asks a machine of one gibibyte for an image of 16384x16384 and for a batch of 4096.
func TestMemoryIsCheckedFirst(t *testing.T) {
	t.Parallel()
	rt := shared.WithMemory(func() int64 { return 1 << 30 })
	t.Cleanup(rt.FreeModels)
	m, err := rt.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	for name, shape := range map[string][]int{"size": {1, 4, 2048, 2048}, "batch": {4096, 4, 64, 64}} {
		x := &tensor.Tensor{Shape: shape} // the check comes before the numbers are checked
		in := sampling.Text(&tensor.Tensor{Shape: []int{shape[0], 77, 40}})
		_, err := m.Predict(t.Context(), x, make([]float32, shape[0]), in)
		var tooMuch *residency.MemoryError
		if !errors.As(err, &tooMuch) || tooMuch.Needed < 1<<30 {
			t.Errorf("%s: got %v, want a memory error", name, err)
		}
	}
}

func TestInterruptEndsAStep(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(300*time.Millisecond, func() { cancel(stop) })
	start := time.Now()
	for err == nil {
		x := golden.Normal("x", 2, 4, 64, 64)
		_, err = m.Predict(ctx, x, []float32{500, 500}, sampling.Text(golden.Normal("c", 2, 77, 768)))
	}
	if !errors.Is(err, stop) {
		t.Fatalf("got %v, want the cause", err)
	}
	t.Logf("ended after %v", time.Since(start))
	if _, err := m.Predict(t.Context(), golden.Normal("x", 1, 4, 8, 8), []float32{500}, sampling.Text(golden.Normal("c", 1, 77, 768))); err != nil {
		t.Fatalf("the next run: %v", err)
	}
}

// TestMemoryComesBack loads a model, frees it and checks what the runtime still holds.
func TestMemoryComesBack(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(ort.Device{})
	t.Cleanup(rt.FreeModels)
	m, err := rt.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	first, err := step(t.Context(), m, 40)
	if err != nil {
		t.Fatal(err)
	}
	if s := rt.Stats(); s.Networks != 1 || s.WeightBytes == 0 {
		t.Fatalf("a network in use is not counted: %+v", s)
	}
	rt.FreeModels()
	if s := rt.Stats(); s.Networks != 0 || s.WeightBytes != 0 {
		t.Fatalf("after freeing: %+v", s)
	}
	again, err := step(t.Context(), m, 40)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "the same step", again.Data, first.Data, golden.Tolerance{MaxAbs: 1e-6})
}

// TestProfilesAgree runs the same step with weights left in the file and with weights prepared.
func TestProfilesAgree(t *testing.T) {
	t.Parallel()
	var out [2]*tensor.Tensor
	var held [2]int64
	for i, rt := range []*engine.Runtime{shared.OnDevice(ort.Device{}), shared.AsPrepared()} {
		t.Cleanup(rt.FreeModels)
		m, err := rt.LoadModel(demoFile(t), dtype.Invalid)
		if err != nil {
			t.Fatal(err)
		}
		if out[i], err = step(t.Context(), m, 40); err != nil {
			t.Fatal(err)
		}
		held[i] = rt.Stats().WeightBytes
	}
	// The same products in another order.
	golden.Compare(t, "prepared", out[1].Data, out[0].Data, golden.Tolerance{RMSRel: 1e-5})
	if held[0]*4 > held[1] {
		t.Errorf("%d bytes of weights are held where they are mapped, %d where they are prepared", held[0], held[1])
	}
}

// TestRoundedWeights checks that a narrow weight type changes the result, and not by much.
func TestRoundedWeights(t *testing.T) {
	t.Parallel()
	path := demoFile(t)
	exact, err := shared.LoadModel(path, dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	want, err := step(t.Context(), exact, 40)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := shared.LoadModel(path, dtype.F8E4M3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := step(t.Context(), narrow, 40)
	if err != nil {
		t.Fatal(err)
	}
	if d := golden.Difference(got.Data, want.Data).RMSRel; d < 1e-3 || d > 0.5 || math.IsNaN(d) {
		t.Errorf("8-bit weights change the result by %g", d)
	}
}

// TestWithoutLibrary loads a model without the library: only running fails, and the error names what is missing.
func TestWithoutLibrary(t *testing.T) {
	t.Parallel()
	missing := errors.New("put libonnxruntime.so there")
	rt := engine.New(engine.Config{Library: func() (string, error) { return "", missing }, Log: slog.New(slog.DiscardHandler)})
	defer rt.Close()
	m, clip, vae, err := rt.LoadCheckpoint(demoFile(t))
	if err != nil || clip == nil || vae == nil {
		t.Fatal(err)
	}
	if _, err := step(t.Context(), m, 40); !errors.Is(err, missing) {
		t.Fatalf("got %v", err)
	}
}

// TestDemoGoldens compares the built-in model's parts with what upstream's modules computed. torch's own float32 differs
// from float64 by 1e-6 and 3e-6 on networks of this kind (shared tolerance table); ten times that is allowed.
func TestDemoGoldens(t *testing.T) {
	t.Parallel()
	var info struct {
		Negative string
		Cases    []struct{ Prompt string }
	}
	stored := golden.Load(t, "demo/golden", &info)
	model, clip, vae, err := shared.LoadCheckpoint(demoFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for key, prompt := range map[string]string{"cond.0": info.Cases[0].Prompt, "cond.negative": info.Negative, "cond.empty": ""} {
		got, err := clip.Encode(t.Context(), prompt)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, key, got[0].Tokens.Data, stored.Get(t, key).Data, fp32)
	}
	eps, err := model.Predict(t.Context(), stored.Get(t, "unet.x"), stored.Get(t, "unet.t").Data, sampling.Text(stored.Get(t, "cond.0")))
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "unet.eps", eps.Data, stored.Get(t, "unet.eps").Data, fp32)
	z, err := vae.Encode(t.Context(), stored.Get(t, "vae.encode_in"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "vae.encode_out", z.Data, stored.Get(t, "vae.encode_out").Data, golden.Tolerance{RMSRel: 3.5e-5})
	for _, name := range []string{"0.42", "3.156680208700286", "5.42"} {
		img, err := vae.Decode(t.Context(), stored.Get(t, "latent."+name))
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "image."+name, img.Data, stored.Get(t, "image."+name).Data, golden.Tolerance{RMSRel: 3.5e-5})
	}
}
