package image_test

import (
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/image"
)

func uniform(value float32, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = value
	}
	return t
}

// runClass binds inputs as the executor does and runs the node.
func runClass(t *testing.T, class string, inputs *pyjson.Object) (nodes.Result, error) {
	t.Helper()
	c, ok := nodes.Default().Get(class)
	if !ok {
		t.Fatalf("there is no %s", class)
	}
	node, err := c.Bind(inputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return node.Run(nodes.TestContext(t.Context(), nodes.Services{}))
}

// The sizes follow from upstream's formulas, worked out by hand; Python rounds halves to even.
func TestResizeImageMaskSizes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind          string
		inputs        []any // beyond resize_type, without its prefix
		height, width int   // of an image of 30x50
	}{
		"both":           {"scale dimensions", []any{"width", int64(20), "height", int64(40), "crop", "center"}, 40, 20},
		"width only":     {"scale dimensions", []any{"width", int64(25), "height", int64(0), "crop", "disabled"}, 15, 25},
		"height only":    {"scale dimensions", []any{"width", int64(0), "height", int64(3), "crop", "center"}, 3, 5},
		"neither":        {"scale dimensions", []any{"width", int64(0), "height", int64(0), "crop", "center"}, 30, 50},
		"factor":         {"scale by multiplier", []any{"multiplier", 0.25}, 8, 12}, // 7.5 and 12.5
		"longer":         {"scale longer dimension", []any{"longer_size", int64(25)}, 15, 25},
		"shorter":        {"scale shorter dimension", []any{"shorter_size", int64(15)}, 15, 25},
		"width":          {"scale width", []any{"width", int64(100)}, 60, 100},
		"height":         {"scale height", []any{"height", int64(60)}, 60, 100},
		"pixels":         {"scale total pixels", []any{"megapixels", 0.01}, 79, 132}, // 10485 pixels
		"match":          {"match size", []any{"match", uniform(0, 1, 7, 9), "crop", "center"}, 7, 9},
		"multiple":       {"scale to multiple", []any{"multiple", int64(8)}, 24, 48},
		"multiple of 1":  {"scale to multiple", []any{"multiple", int64(1)}, 30, 50},
		"large multiple": {"scale to multiple", []any{"multiple", int64(64)}, 30, 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, input := range []*tensor.Tensor{uniform(0.5, 2, 30, 50, 3), uniform(0.5, 2, 30, 50)} {
				inputs := pyjson.NewObject("input", input, "resize_type", c.kind, "scale_method", "bilinear")
				for i := 0; i < len(c.inputs); i += 2 {
					inputs.Set("resize_type."+c.inputs[i].(string), c.inputs[i+1])
				}
				r, err := runClass(t, "ResizeImageMaskNode", inputs)
				if err != nil {
					t.Fatal(err)
				}
				out := r.Values[0].(*tensor.Tensor)
				want := slices.Clone(input.Shape)
				want[1], want[2] = c.height, c.width
				if !slices.Equal(out.Shape, want) {
					t.Errorf("shape %v, want %v", out.Shape, want)
				}
				for _, v := range out.Data {
					if v < 0.4999 || v > 0.5001 {
						t.Fatalf("a plain image became %v", v)
					}
				}
			}
		})
	}
}

func TestResizeRefuses(t *testing.T) {
	t.Parallel()
	img := uniform(1, 1, 4, 4, 3)
	for name, inputs := range map[string]*pyjson.Object{
		"no image":     pyjson.NewObject("input", nil, "resize_type", "scale width", "resize_type.width", int64(8), "scale_method", "area"),
		"unknown kind": pyjson.NewObject("input", img, "resize_type", "no such", "scale_method", "area"),
		"nothing left": pyjson.NewObject("input", img, "resize_type", "scale by multiplier", "resize_type.multiplier", 0.01, "scale_method", "area"),
		"no match":     pyjson.NewObject("input", img, "resize_type", "match size", "resize_type.crop", "center", "scale_method", "area"),
	} {
		if _, err := runClass(t, "ResizeImageMaskNode", inputs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	r, err := runClass(t, "BatchImagesNode", pyjson.NewObject(
		"images.image0", uniform(0.25, 1, 4, 6, 3), "images.image1", uniform(0.5, 2, 8, 8, 4)))
	if err != nil {
		t.Fatal(err)
	}
	out := r.Values[0].(*tensor.Tensor)
	if !slices.Equal(out.Shape, []int{3, 4, 6, 4}) {
		t.Fatalf("shape %v", out.Shape)
	}
	if first, second := out.Data[:4], out.Data[4*6*4:][:4]; !slices.Equal(first, []float32{0.25, 0.25, 0.25, 1}) || !slices.Equal(second, []float32{0.5, 0.5, 0.5, 0.5}) {
		t.Errorf("pixels %v and %v", first, second)
	}
	r, err = runClass(t, "BatchMasksNode", pyjson.NewObject("masks.mask0", uniform(1, 1, 4, 6), "masks.mask1", uniform(0, 1, 2, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if out := r.Values[0].(*tensor.Tensor); !slices.Equal(out.Shape, []int{2, 4, 6}) || out.Data[0] != 1 || out.Data[24] != 0 {
		t.Errorf("masks %v", out)
	}
	if _, err := runClass(t, "BatchImagesNode", pyjson.NewObject("images.image0", uniform(1, 1, 4, 6))); err == nil {
		t.Error("a mask as an image: no error")
	}
}

func TestSaveImageWebsocket(t *testing.T) {
	t.Parallel()
	if _, err := runClass(t, "SaveImageWebsocket", pyjson.NewObject("images", uniform(1, 2, 4, 6, 3))); err != nil {
		t.Error(err)
	}
	if _, err := runClass(t, "SaveImageWebsocket", pyjson.NewObject("images", uniform(1, 2, 4, 6))); err != nil {
		t.Errorf("sending masks: %v", err)
	}
	if _, err := runClass(t, "SaveImageWebsocket", pyjson.NewObject("images", uniform(1, 1, 4, 6, 2))); err == nil {
		t.Error("images of two channels are accepted")
	}
}
