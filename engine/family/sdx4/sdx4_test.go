package sdx4

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/lotus"
	_ "comfygo/engine/family/sd2"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// TestDetection: the upscaler's files are distinguished from those of similar models.
func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"x4":    {Manifest: "sd-x4-small", Family: "Stable Diffusion x4 upscaler", Type: sampling.VPrediction},
		"lotus": {Manifest: "lotus-small", Family: "Lotus", Type: sampling.ImgToImg},
		// Without the vector of its task, Lotus is Stable Diffusion 2; without its table the upscaler cannot be run.
		"sd2":       {Manifest: "lotus-small", Without: "label_emb", Family: "Stable Diffusion 2.x", Type: sampling.EPS},
		"no labels": {Manifest: "sd-x4-small", Without: "label_emb"},
	})
}

// labelled is a file whose table of labels has data.
type labelled struct{ weights.Source }

func (l labelled) Lookup(name string) (weights.Entry, bool) {
	e, ok := l.Source.Lookup(name)
	if name == "label_emb.weight" {
		e.Data = make([]byte, e.Count()*e.DType.Size())
	}
	return e, ok
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sd-x4-small", "lotus-small"} {
		familytest.CheckCUDA(t, labelled{familytest.Manifest(t, name, dtype.Invalid)}, 1)
	}
}

// TestImage: the small image is scaled to the latent's size and spread over its rows, and gets noise only if requested.
func TestImage(t *testing.T) {
	t.Parallel()
	r := sampling.Request{Shape: []int{2, 4, 8, 6}, Seed: 5}
	x := tensor.New(3, imageChannels, 8, 6)
	for i := range 3 {
		row := x.Index(i)
		for k := range row.Data {
			row.Data[k] = float32(i)
		}
	}
	at := func(values map[string]any) *tensor.Tensor {
		t.Helper()
		got, err := image(&sampling.Cond{Values: values}, r)
		if err != nil {
			t.Fatal(err)
		}
		if got.Dim(0) != 2 || got.Dim(1) != imageChannels || got.Dim(2) != 8 || got.Dim(3) != 6 {
			t.Fatalf("shape %v", got.Shape)
		}
		return got
	}
	plain := at(map[string]any{"concat_image": x, "noise_augmentation": 0.0})
	if plain.Index(0).Data[0] != 0 || plain.Index(1).Data[0] != 2 {
		t.Errorf("rows are %v and %v, wanted the first and the last", plain.Index(0).Data[0], plain.Index(1).Data[0])
	}
	if none := at(nil); none.Data[0] != 0 || none.Data[len(none.Data)-1] != 0 {
		t.Error("no image is not zeros")
	}
	noisy := at(map[string]any{"concat_image": x, "noise_augmentation": 0.5})
	again := at(map[string]any{"concat_image": x, "noise_augmentation": 0.5})
	var sum, squares float64
	for i, v := range noisy.Index(0).Data {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
		if v != again.Data[i] {
			t.Fatal("the noise is not that of the seed")
		}
	}
	n := float64(noisy.Index(0).Len())
	keep := 1.0 // the share of the image at level 175
	for i := range 176 {
		b := math.Sqrt(linearStart) + (math.Sqrt(linearEnd)-math.Sqrt(linearStart))*float64(i)/999
		keep *= 1 - b*b
	}
	if got := math.Sqrt(squares/n - sum/n*sum/n); math.Abs(got-math.Sqrt(1-keep)) > 0.15 {
		t.Errorf("the noise deviates by %g, wanted about %g", got, math.Sqrt(1-keep))
	}
	for want, values := range map[string]map[string]any{
		"wanted an image of 3 channels": {"concat_image": tensor.New(1, 4, 8, 6)},
		"wanted 0 to 1":                 {"noise_augmentation": 1.5},
		"concat_image":                  {"concat_image": "text"},
	} {
		if _, err := image(&sampling.Cond{Values: values}, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, wanted %q", values, err, want)
		}
	}
}

// TestSourceRow holds which rows of a batch fill another number of rows.
func TestSourceRow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have, want int
		rows       []int
	}{{2, 2, []int{0, 1}}, {5, 3, []int{0, 2, 4}}, {3, 1, []int{0}}, {2, 5, []int{0, 0, 1, 1, 1}}, {1, 3, []int{0, 0, 0}}} {
		for i, w := range c.rows {
			if got := sourceRow(i, c.have, c.want); got != w {
				t.Errorf("row %d of %d from %d is %d, wanted %d", i, c.want, c.have, got, w)
			}
		}
	}
}
