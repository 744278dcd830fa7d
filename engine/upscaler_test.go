package engine_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// renamed writes a file with other names for the tensors of another one; a name that becomes "" is left out.
func renamed(t *testing.T, path string, more []safetensors.Tensor, rename func(string) string) string {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tensors := more
	for _, name := range src.Names() {
		if n := rename(name); n != "" {
			e, _ := src.Lookup(name)
			tensors = append(tensors, safetensors.Tensor{Name: n, DType: e.DType, Shape: e.Shape, Data: e.Data})
		}
	}
	out := filepath.Join(t.TempDir(), "upscaler.safetensors")
	if err := safetensors.Save(out, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return out
}

func same(name string) string { return name }

// bsrgan are the names that BSRGAN has for Real-ESRGAN's layers.
var bsrgan = strings.NewReplacer("body.", "RRDB_trunk.", "rdb", "RDB", "conv_body", "trunk_conv", "conv_up", "upconv", "conv_hr", "HRconv")

// flat leaves the doublings of an ESRGAN out.
func flat(name string) string {
	if strings.HasPrefix(name, "model.3.") || strings.HasPrefix(name, "model.6.") {
		return ""
	}
	return strings.NewReplacer("model.8.", "model.2.", "model.10.", "model.4.").Replace(name)
}

// middles are the additional paths of an ESRGAN+, made from the middle taps of the first convolutions.
func middles(t *testing.T, path string) []safetensors.Tensor {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var out []safetensors.Tensor
	for _, name := range src.Names() {
		start, ok := strings.CutSuffix(name, ".conv1.0.weight")
		if !ok {
			continue
		}
		e, _ := src.Lookup(name)
		const taps, middle, size = 9, 4, 4
		var data []byte
		for i := range e.Shape[0] * e.Shape[1] {
			at := (i*taps + middle) * size
			data = append(data, e.Data[at:at+size]...)
		}
		out = append(out, safetensors.Tensor{Name: start + ".conv1x1.weight", DType: e.DType, Shape: []int{e.Shape[0], e.Shape[1], 1, 1}, Data: data})
	}
	return out
}

// TestUpscale compares with the results of spandrel and ComfyUI's tiling for images with odd sides, one of them larger than
// a tile, in every layout of the weights.
func TestUpscale(t *testing.T) {
	t.Parallel()
	stored := golden.Load(t, "upscale/odd", nil)
	for _, c := range []struct {
		name, file, golden string
		scale              int
		rename             func(string) string
		plus               bool
	}{
		{"esrgan", "esrgan-4x-old", "esrgan-4x-old", 4, same, false},
		{"real-esrgan", "realesrgan-4x", "realesrgan-4x", 4, same, false},
		{"squares in channels", "realesrgan-2x", "realesrgan-2x", 2, same, false},
		{"compact in tiles", "compact-2x", "compact-2x", 2, same, false},
		{"bsrgan", "realesrgan-4x", "realesrgan-4x", 4, bsrgan.Replace, false},
		{"below params_ema", "realesrgan-2x", "realesrgan-2x", 2, func(s string) string { return "params_ema." + s }, false},
		{"esrgan+", "esrgan-4x-old", "plus", 4, same, true},
		{"of the same size", "esrgan-4x-old", "flat", 1, flat, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := golden.Checkpoint(t, c.file)
			var more []safetensors.Tensor
			if c.plus {
				more = middles(t, path)
			}
			u, err := shared.LoadUpscaler(renamed(t, path, more, c.rename))
			if err != nil {
				t.Fatal(err)
			}
			h, w := 45, 47
			if c.file == "compact-2x" {
				h, w = 70, 1001
			}
			var told [2]int
			got, err := u.Upscale(t.Context(), golden.Image("up-"+c.golden, 1, h, w, 3), func(done, all int) { told = [2]int{done, all} })
			if err != nil {
				t.Fatal(err)
			}
			if want := []int{1, h * c.scale, w * c.scale, 3}; !slices.Equal(got.Shape, want) || u.Scale() != c.scale {
				t.Fatalf("the result is %v, scale %d, want %v", got.Shape, u.Scale(), want)
			}
			if tiles := 1 + w/512*2; told != [2]int{tiles, tiles} {
				t.Errorf("the last that was told is %v", told)
			}
			golden.Compare(t, c.name, golden.Strided(got.Data, 97), stored.Get(t, c.golden+"_s97").Data, fp32)
		})
	}
}

func TestUpscaleWrong(t *testing.T) {
	t.Parallel()
	path := golden.Checkpoint(t, "realesrgan-2x")
	u, err := shared.LoadUpscaler(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][]int{{1, 8, 8, 4}, {1, 8, 8, 1}, {8, 8, 3}, {1, 0, 8, 3}} {
		if _, err := u.Upscale(t.Context(), tensor.New(shape...), nil); err == nil {
			t.Errorf("an image of %v was enlarged", shape)
		}
	}
	if _, err := shared.LoadUpscaler(golden.Checkpoint(t, "taesd")); err == nil {
		t.Error("a TAESD was taken for an upscaler")
	}
	for name, missing := range map[string]string{"the last layer": "conv_last.weight", "a layer inside": "body.1.rdb2.conv3.weight", "a bias and a doubling": "conv_up1.weight"} {
		file := renamed(t, path, nil, func(n string) string {
			if n == missing {
				return ""
			}
			return n
		})
		u, err := shared.LoadUpscaler(file)
		if err == nil {
			_, err = u.Upscale(t.Context(), tensor.New(1, 8, 8, 3), nil)
		}
		if err == nil {
			t.Errorf("without %s it runs", name)
		}
	}
}

// TestUpscaleInLittleMemory enlarges with so little memory that tiles have to be small, and with none.
func TestUpscaleInLittleMemory(t *testing.T) {
	t.Parallel()
	path := golden.Checkpoint(t, "realesrgan-2x")
	img := golden.Image("little", 1, 40, 300, 3)
	whole, err := shared.LoadUpscaler(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := whole.Upscale(t.Context(), img, nil)
	if err != nil {
		t.Fatal(err)
	}
	little, err := shared.WithMemory(func() int64 { return 20 << 20 }).LoadUpscaler(path)
	if err != nil {
		t.Fatal(err)
	}
	tiles := 0
	got, err := little.Upscale(t.Context(), img, func(_, all int) { tiles = all })
	if err != nil {
		t.Fatal(err)
	}
	if tiles < 2 {
		t.Errorf("%d tiles", tiles)
	}
	// The edges of tiles are seen where the network looks further than the overlap: none in most of the image.
	if d := golden.Difference(got.Data, want.Data); d.RMSRel > 0.05 {
		t.Errorf("in tiles the image differs by %v", d)
	}
	none, err := shared.WithMemory(func() int64 { return 1 << 10 }).LoadUpscaler(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Upscale(t.Context(), img, nil); err == nil {
		t.Error("without memory it runs")
	}
}
