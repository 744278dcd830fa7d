package image_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// huge is beyond any image.
const huge = int64(1) << 40

func boxOf(x, y, w, h any) *pyjson.Object {
	return pyjson.NewObject("x", x, "y", y, "width", w, "height", h)
}

// TestBadDetection: inputs of other kinds and sizes end in an error of the node that names what is wrong.
func TestBadDetection(t *testing.T) {
	t.Parallel()
	empty, small := tensor.New(0, 4, 4, 3), tensor.New(1, 4, 4, 3)
	points := make([]any, 54)
	for i := range points {
		points[i] = math.NaN()
	}
	rest := make([]any, 0, 210)
	for range 210 {
		rest = append(rest, int64(0))
	}
	person := pyjson.NewObject("pose_keypoints_2d", points, "face_keypoints_2d", rest, "hand_right_keypoints_2d", rest[:63], "hand_left_keypoints_2d", rest[:63])
	frame := func(w, h any, people ...any) []any {
		return []any{pyjson.NewObject("canvas_width", w, "canvas_height", h, "people", people)}
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"ImageQuantize", pyjson.NewObject("image", empty, "dither", "none"), "image"},
		{"ImageQuantize", pyjson.NewObject("image", small, "dither", "other"), "dither"},
		{"ImageQuantize", pyjson.NewObject("image", small, "dither", "none", "colors", 1000), "1000 colors"},
		{"ImageQuantize", pyjson.NewObject("image", "x", "dither", "none"), "image"},
		{"CropByBBoxes", pyjson.NewObject("image", empty, "bboxes", []any{[]any{boxOf(int64(0), int64(0), int64(1), int64(1))}}), "image"},
		{"CropByBBoxes", pyjson.NewObject("image", small, "bboxes", []any{[]any{boxOf(math.NaN(), int64(0), int64(1), int64(1))}}), "NaN"},
		{"CropByBBoxes", pyjson.NewObject("image", small, "bboxes", []any{[]any{boxOf(huge, int64(0), int64(1), int64(1))}}), "at most"},
		{"CropByBBoxes", pyjson.NewObject("image", small, "bboxes", "x"), "bounding box"},
		{"CropByBBoxes", pyjson.NewObject("image", small, "bboxes", boxOf(int64(0), int64(0), int64(2), int64(2)), "output_width", 1<<30, "output_height", 1<<30), "allocating"},
		{"ImageCropToMask", pyjson.NewObject("images", small, "masks", tensor.New(1, 0, 4)), "masks"},
		{"ImageCropToMask", pyjson.NewObject("images", small, "masks", tensor.New(1, 4, 4), "grow_mask", 1<<30), "grow_mask"},
		{"ImageCropToMask", pyjson.NewObject("images", small, "masks", tensor.New(1, 4, 4), "pad_factor", math.Inf(1)), "pad_factor"},
		{"ImageCropToMask", pyjson.NewObject("images", small, "masks", tensor.New(1, 4, 4), "width", 1<<30, "height", 1<<30), "allocating"},
		{"SDPoseDrawKeypoints", pyjson.NewObject("keypoints", "x"), "list of frames"},
		{"SDPoseDrawKeypoints", pyjson.NewObject("keypoints", frame(huge, int64(1))), "canvas_width"},
		{"SDPoseDrawKeypoints", pyjson.NewObject("keypoints", frame(int64(1<<24), int64(1<<24))), "allocating"},
		{"SDPoseDrawKeypoints", pyjson.NewObject("keypoints", frame(int64(9), int64(9), person)), "NaN"},
		{"SDPoseDrawKeypoints", pyjson.NewObject("keypoints", frame(int64(9), int64(9), int64(3))), "person"},
		{"SDPoseDrawKeypoints", pyjson.NewObject("keypoints", frame(int64(9), int64(9)), "stick_width", 1<<30), "stick_width"},
		{"SDPoseKeypointExtractor", pyjson.NewObject("image", empty, "model", &engine.Model{}, "vae", &engine.VAE{}), "image"},
		{"SDPoseKeypointExtractor", pyjson.NewObject("image", small, "vae", &engine.VAE{}), "no model"},
		{"SDPoseKeypointExtractor", pyjson.NewObject("image", small, "model", &engine.Model{}), "no VAE"},
		{"SDPoseKeypointExtractor", pyjson.NewObject("image", small, "model", &engine.Model{}, "vae", &engine.VAE{}, "bboxes", "x"), "bounding box"},
		{"SDPoseFaceBBoxes", pyjson.NewObject("keypoints", []any{int64(1)}), "frame 0"},
		{"SDPoseFaceBBoxes", pyjson.NewObject("keypoints", frame(int64(9), int64(9), pyjson.NewObject("face_keypoints_2d", points))), "keypoint"},
		{"SDPoseFaceBBoxes", pyjson.NewObject("keypoints", frame(int64(0), int64(9))), "positive"},
		{"SeedVR2Preprocess", pyjson.NewObject("resized_images", empty), "resized_images"},
		{"SeedVR2Preprocess", pyjson.NewObject("resized_images", tensor.New(1, 1, 1, 3)), "2 pixels"},
		{"SeedVR2PostProcessing", pyjson.NewObject("images", small, "original_resized_images", nil), "original_resized_images"},
		{"SeedVR2PostProcessing", pyjson.NewObject("images", tensor.New(1, 1, 1, 3), "original_resized_images", small), "2 pixels"},
		{"SeedVR2PostProcessing", pyjson.NewObject("images", tensor.New(1, 4, 4, 1), "original_resized_images", small), "channels"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
	nan := tensor.New(1, 4, 4, 3)
	for i := range nan.Data {
		nan.Data[i] = float32(math.NaN())
	}
	// NaN in an image is a value like others; nothing hangs or panics.
	for _, class := range []string{"ImageQuantize", "SeedVR2Preprocess", "SeedVR2PostProcessing"} {
		values := pyjson.NewObject("image", nan, "dither", "floyd-steinberg", "resized_images", nan, "images", nan, "original_resized_images", nan)
		if _, err := nodecalls.CallIn(t, nil, class, values); err != nil {
			t.Errorf("%s: %v", class, err)
		}
	}
}

// TestBadText: texts, boxes and colors that cannot be drawn.
func TestBadText(t *testing.T) {
	t.Parallel()
	empty, small := tensor.New(0, 4, 4, 3), tensor.New(1, 4, 4, 3)
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"TextOverlay", pyjson.NewObject("images", empty, "text", "a"), "images"},
		{"TextOverlay", pyjson.NewObject("images", small, "text", "a", "font_size", math.Inf(1)), "font_size"},
		{"TextOverlay", pyjson.NewObject("images", small, "text", "a", "font_size", math.NaN()), "font_size"},
		{"TextOverlay", pyjson.NewObject("images", small, "text", "a", "font_size", -3.0), "font_size"},
		{"TextOverlay", pyjson.NewObject("images", small, "text", "a", "color", int64(3)), "color"},
		{"TextOverlay", pyjson.NewObject("images", small, "text", "a", "align", "up"), "align"},
		{"DrawBBoxes", pyjson.NewObject("image", empty, "bboxes", []any{}), "image"},
		{"DrawBBoxes", pyjson.NewObject("bboxes", boxOf(int64(0), int64(0), int64(1<<24), int64(1<<24))), "allocating"},
		{"DrawBBoxes", pyjson.NewObject("image", small, "bboxes", boxOf(math.NaN(), int64(0), int64(1), int64(1))), "NaN"},
		{"DrawBBoxes", pyjson.NewObject("image", small, "bboxes", []any{[]any{"x"}}), "bounding box"},
		{"CreateBoundingBoxes", pyjson.NewObject("width", 1<<40), "canvas"},
		{"CreateBoundingBoxes", pyjson.NewObject("editor_state", []any{boxOf(math.Inf(1), int64(0), int64(1), int64(1))}), "Inf"},
		{"CreateBoundingBoxes", pyjson.NewObject("bboxes", strings.Repeat("[", 100000)), "JSON"},
		{"LayersFromBoundingBoxes", pyjson.NewObject("image", empty, "bboxes", ""), "image"},
		{"LayersFromBoundingBoxes", pyjson.NewObject("image", small, "bboxes", "", "mask", tensor.New(1, 0, 4)), "mask"},
		{"LayersFromBoundingBoxes", pyjson.NewObject("image", small, "bboxes", "", "layers", pyjson.NewObject("layers", []any{int64(1)})), "layer 0"},
		{"ImageCompositor", pyjson.NewObject("layers", pyjson.NewObject("layers", []any{pyjson.NewObject("image", tensor.New(1, 2, 2, 1))})), "shape"},
		{"ImageCompositor", pyjson.NewObject("layers", pyjson.NewObject("layers", []any{pyjson.NewObject("image", small, "rotation", math.NaN())})), "rotation"},
		{"ImageCompositor", pyjson.NewObject("layers", pyjson.NewObject("layers", []any{pyjson.NewObject("image", small, "w", huge, "h", huge)})), "canvas"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
	// A long text of one word, of lines and of spaces on one pixel ends in time.
	for _, text := range []string{strings.Repeat("a", 1<<15), strings.Repeat("a\n", 1<<14), strings.Repeat("a ", 1<<14)} {
		if _, err := nodecalls.CallIn(t, nil, "TextOverlay", pyjson.NewObject("images", tensor.New(1, 1, 1, 3), "text", text)); err != nil {
			t.Error(err)
		}
	}
}
