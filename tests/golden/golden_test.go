package golden_test

import (
	"math"
	"os"
	"sync"
	"testing"

	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// TestRecipeInputs checks the input recipes against the goldens that store what they made.
func TestRecipeInputs(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases []struct {
			ID    string `json:"id"`
			XName string `json:"xname"`
			Shape []int  `json:"latent_shape"`
			Calls []struct {
				X struct {
					SHA256 string `json:"sha256"`
				} `json:"x_sampler"`
			} `json:"calls"`
			Sigmas []float64 `json:"sigmas"`
		} `json:"cases"`
	}
	stored := golden.Load(t, "forward/sd15", &index)
	c := index.Cases[0]
	for i, call := range c.Calls {
		x := golden.Scale(golden.Normal(c.XName+"/x"+string(rune('0'+i)), c.Shape...), float32(math.Sqrt(1+c.Sigmas[i]*c.Sigmas[i])))
		if got := golden.SHA256(x.Data); got != call.X.SHA256 {
			t.Errorf("input %d of %s has digest %s, want %s", i, c.ID, got, call.X.SHA256)
		}
		want := stored.Get(t, c.ID+"/"+string(rune('0'+i))+".x_sampler")
		golden.Compare(t, "x_sampler", x.Data, want.Data, golden.Tolerance{MaxAbs: 1e-30})
	}
}

// TestEveryGoldenLoads opens each pair of files and sees that the JSON and the tensors belong together.
func TestEveryGoldenLoads(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"forward/sd15", "forward/sd15-154", "forward/sd15-inpaint", "vae/sd15-small", "vae/vae-sd", "text/sd15_encode", "text/clip_l",
		"noise/randn", "noise/brownian", "samplers/toy", "nodes/image",
		"noise/nested", "samplers/combine", "samplers/fresca", "vae/taehv",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var index struct {
				Cases []struct {
					ID      string                           `json:"id"`
					Tensors map[string]struct{ Shape []int } `json:"tensors"`
				} `json:"cases"`
			}
			stored := golden.Load(t, name, &index)
			if len(index.Cases) == 0 {
				t.Fatal("no cases")
			}
			for _, c := range index.Cases {
				for k := range c.Tensors {
					if !stored.Has(c.ID + "/" + k) {
						t.Errorf("%s/%s is not stored", c.ID, k)
					}
				}
			}
		})
	}
}

func TestPipelineFiles(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases map[string]struct {
			PNG     []struct{ File string }
			Latents map[string]struct{ Shape []int }
		}
	}
	golden.JSON(t, "pipeline/index", &index)
	stored := golden.Load(t, "pipeline/latents", nil)
	for _, name := range []string{"txt2img", "img2img", "batch2", "cfg1", "odd_size", "longprompt", "separate_loaders", "full_256"} {
		c, ok := index.Cases[name]
		if !ok || len(c.PNG) == 0 || len(c.Latents) == 0 {
			t.Errorf("pipeline %s is incomplete", name)
		}
		for _, p := range c.PNG {
			if _, err := os.Stat(golden.Path(t, "pipeline/"+p.File)); err != nil {
				t.Error(err)
			}
		}
		for k := range c.Latents {
			if !stored.Has(name + "/" + k) {
				t.Errorf("latent %s/%s is not stored", name, k)
			}
		}
	}
}

// TestCheckpointTogether requests one checkpoint from many goroutines at once, in an empty cache.
func TestCheckpointTogether(t *testing.T) {
	t.Setenv("COMFYGO_TEST_CACHE", t.TempDir())
	paths := make([]string, 8)
	var wg sync.WaitGroup
	for i := range paths {
		wg.Go(func() { paths[i] = golden.Checkpoint(t, "emb-test") })
	}
	wg.Wait()
	for _, p := range paths {
		if p != paths[0] {
			t.Fatalf("paths differ: %v", paths)
		}
	}
	st, err := os.Stat(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(golden.Checkpoint(t, "emb-test")); err != nil || again.ModTime() != st.ModTime() {
		t.Error("a checkpoint that was there was made again")
	}
	if err := os.WriteFile(paths[0], []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(golden.Checkpoint(t, "emb-test"))
	if err != nil {
		t.Fatalf("a damaged checkpoint was not made again: %v", err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	dir := golden.Models(t, "emb-test", "dtype-test")
	for _, f := range []string{"/embeddings/emb_test.safetensors", "/modules/dtype-test.safetensors"} {
		if _, err := os.Stat(dir + f); err != nil {
			t.Error(err)
		}
	}
}

// TestDemoGoldens sees that every case of the demo model has its image, latent and image.
func TestDemoGoldens(t *testing.T) {
	t.Parallel()
	var index struct {
		Cases []struct{ Latent, Image, PNG string }
	}
	stored := golden.Load(t, "demo/golden", &index)
	if len(index.Cases) != 12 {
		t.Errorf("%d cases, want 12", len(index.Cases))
	}
	for _, c := range index.Cases {
		if _, err := os.Stat(golden.Path(t, "demo/"+c.PNG)); err != nil {
			t.Error(err)
		}
		if got := stored.Get(t, c.Image).Shape; len(got) != 4 || !stored.Has(c.Latent) {
			t.Errorf("%s: image of shape %v, latent there: %v", c.PNG, got, stored.Has(c.Latent))
		}
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name      string
		got, want []float32
		rms, abs  float64
	}{
		{"equal", []float32{1, 2}, []float32{1, 2}, 0, 0},
		{"off", []float32{3, 4}, []float32{3, 5}, 1 / math.Sqrt(34), 1},
		{"nan got", []float32{nan, 2}, []float32{1, 2}, math.Inf(1), math.Inf(1)},
		{"nan wanted", []float32{1, 2}, []float32{nan, 2}, math.Inf(1), math.Inf(1)},
		{"nan both", []float32{nan, 2}, []float32{nan, 2}, 0, 0},
		{"inf both", []float32{inf, 2}, []float32{inf, 2}, 0, 0},
		{"inf wanted", []float32{1, 2}, []float32{inf, 2}, math.Inf(1), math.Inf(1)},
		{"zeros wanted", []float32{3, 4}, []float32{0, 0}, math.Sqrt(12.5), 4},
	} {
		d := golden.Difference(c.got, c.want)
		if math.Abs(d.RMSRel-c.rms) > 1e-12 || d.MaxAbs != c.abs {
			t.Errorf("%s: %v, want rms_rel %g, max_abs %g", c.name, d, c.rms, c.abs)
		}
	}
	if (golden.Tolerance{RMSRel: 1e-5}).Within(golden.Diff{RMSRel: 2e-5}) || (golden.Tolerance{MaxAbs: 1}).Within(golden.Diff{MaxAbs: 2}) {
		t.Error("a difference over the tolerance passed")
	}
	if exact := (golden.Tolerance{}); exact.Within(golden.Diff{MaxAbs: 1e-9}) || exact.Within(golden.Diff{RMSRel: 1e-9}) || !exact.Within(golden.Diff{}) {
		t.Error("the zero tolerance is not exact")
	}
	if got := golden.Strided([]float32{0, 1, 2, 3, 4, 5, 6}, 3); len(got) != 3 || got[2] != 6 {
		t.Errorf("every third of seven: %v", got)
	}
}
