package image_test

import (
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	stdimage "image"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes/image"
	"comfygo/tests/nodecalls"
)

// described are curves as cases.py describes upstream's.
func described(v any) (any, bool) {
	if c, ok := v.(image.Curve); ok {
		return c.String(), true
	}
	return nil, false
}

// TestCalls compares with upstream's results; cases.py says where they may differ.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{Described: described})
}

// TestPainter lays a half transparent painting over an image.
func TestPainter(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(f.Input(), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(f.Input(), "paint.png"))
	if err != nil {
		t.Fatal(err)
	}
	painting := stdimage.NewNRGBA(stdimage.Rect(0, 0, 2, 1))
	painting.SetNRGBA(0, 0, color.NRGBA{255, 0, 51, 51})
	if err := png.Encode(file, painting); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	base := &tensor.Tensor{Shape: []int{1, 1, 2, 3}, Data: []float32{1, 1, 1, 0.5, 0.25, 0}}
	r, err := nodecalls.CallIn(t, f, "Painter", pyjson.NewObject("mask", "paint.png", "image", base))
	if err != nil {
		t.Fatal(err)
	}
	out, mask := r.Values[0].(*tensor.Tensor), r.Values[1].(*tensor.Tensor)
	for i, want := range []float32{1, 0.8, 0.84, 0.5, 0.25, 0} {
		if d := out.Data[i] - want; d > 1e-6 || d < -1e-6 {
			t.Errorf("value %d is %g, want %g", i, out.Data[i], want)
		}
	}
	if mask.Data[0] != 0.2 || mask.Data[1] != 0 || r.UI.Object("images") != nil && r.UI.Len() != 2 {
		t.Errorf("the mask is %v, the UI %v", mask.Data, r.UI)
	}
	if _, err := nodecalls.CallIn(t, f, "Painter", pyjson.NewObject("mask", "../paint.png")); err == nil {
		t.Error("a file outside of the input folder was read")
	}
}

// TestBadImages: images and sizes that cannot be.
func TestBadImages(t *testing.T) {
	t.Parallel()
	small := tensor.New(1, 4, 4, 3)
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"Canny", pyjson.NewObject("image", tensor.New(0, 4, 4, 3)), "image"},
		{"ImageCropV2", pyjson.NewObject("image", small, "crop_region", "x"), "bounding box"},
		{"ImageCropV2", pyjson.NewObject("image", small, "crop_region", pyjson.NewObject("x", 0.5)), "integer"},
		{"ImageCropV2", pyjson.NewObject("image", nil, "crop_region", pyjson.NewObject()), "image"},
		{"SplitImageToTileList", pyjson.NewObject("image", tensor.New(1, 4096, 4096, 1), "tile_width", 1, "tile_height", 1, "overlap", 0), "more than"},
		{"SplitImageToTileList", pyjson.NewObject("image", small, "tile_width", 0), "tiles of"},
		{"ImageMergeTileList", pyjson.NewObject("image_list", []any{}), "image"},
		{"ImageMergeTileList", pyjson.NewObject("image_list", []any{small}, "final_width", []any{1 << 20}, "final_height", []any{1 << 20}, "overlap", []any{0}), "more than"},
		{"ImageHistogram", pyjson.NewObject("image", tensor.New(1, 2, 2, 1)), "channels"},
		{"Painter", pyjson.NewObject("mask", "", "width", 1<<20, "height", 1<<20), "allocating"},
		{"ColorTransfer", pyjson.NewObject("image_target", small, "image_ref", tensor.New(1, 2, 2, 1), "method", "histogram"), "channels"},
		{"CurveEditor", pyjson.NewObject("curve", "x"), "points"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}

// TestDetectCalls compares classes for detection and post-processing with upstream's results.
func TestDetectCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_detect.json.gz", nodecalls.Options{Described: described})
}

// TestLayerCalls compares stacks and composites of layers with upstream's results.
func TestLayerCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_layers.json.gz", nodecalls.Options{Described: described})
}

// TestTextCalls compares text and boxes that are drawn with upstream's results.
func TestTextCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_text.json.gz", nodecalls.Options{Described: described})
}
