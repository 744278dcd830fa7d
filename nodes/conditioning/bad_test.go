package conditioning_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestBadWan: inputs of other kinds and sizes end in an error of the node that names what is wrong.
func TestBadWan(t *testing.T) {
	t.Parallel()
	small := tensor.New(1, 4, 4, 3)
	tracks := func(points ...float32) *pyjson.Object {
		p := tensor.New(len(points)/2, 1, 2)
		copy(p.Data, points)
		seen := tensor.New(len(points)/2, 1)
		for i := range seen.Data {
			seen.Data[i] = 1
		}
		return pyjson.NewObject("track_path", p, "track_visibility", seen)
	}
	nan := float32(math.NaN())
	sound := &media.Audio{Waveform: tensor.New(1, 1, 100), SampleRate: 100}
	objects := func(masks, size any) *pyjson.Object {
		return pyjson.NewObject("packed_masks", masks, "orig_size", size)
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"WanCameraEmbedding", pyjson.NewObject("camera_pose", "Upside Down"), "camera_pose"},
		{"WanCameraEmbedding", pyjson.NewObject("width", 1<<14, "height", 1<<14, "length", 16381), "allocating"},
		{"WanCameraEmbedding", pyjson.NewObject("width", -16), "-16"},
		{"WanMoveTracksFromCoords", pyjson.NewObject("track_coords", `[[{"x": null, "y": 1}]]`), "number"},
		{"WanMoveTracksFromCoords", pyjson.NewObject("track_coords", "[[{\"x\": 1, \"y\": 1}]]", "track_mask", small), "track mask"},
		{"WanMoveTracksFromCoords", pyjson.NewObject("track_coords", strings.Repeat("[", 100000)), "tracks"},
		{"WanMoveVisualizeTracks", pyjson.NewObject("images", small, "tracks", "x"), "tracks"},
		{"WanMoveVisualizeTracks", pyjson.NewObject("images", tensor.New(0, 4, 4, 3), "tracks", tracks(0, 0)), "images"},
		{"WanMoveVisualizeTracks", pyjson.NewObject("images", small, "tracks", tracks(nan, 0)), "NaN"},
		{"WanMoveVisualizeTracks", pyjson.NewObject("images", small, "tracks", tracks(0, 0, 1e9, 0)), "1e+09"},
		{"WanMoveVisualizeTracks", pyjson.NewObject("images", small, "tracks", tracks(0, 0), "circle_size", 1<<40), "circle_size"},
		{"SCAIL2ColoredMask", pyjson.NewObject("driving_track_data", small), "tracked objects"},
		{"SCAIL2ColoredMask", pyjson.NewObject("driving_track_data", objects(small, []any{int64(-1), int64(4)})), "orig_size"},
		{"SCAIL2ColoredMask", pyjson.NewObject("driving_track_data", objects(tensor.New(1, 2), []any{int64(4), int64(4)})), "packed_masks"},
		{"SCAIL2ColoredMask", pyjson.NewObject("driving_track_data", objects(nil, []any{int64(1 << 20), int64(1 << 20)})), "allocating"},
		{"SCAIL2ColoredMask", pyjson.NewObject("driving_track_data", objects(nil, []any{int64(4), int64(4)}), "sort_by", "size"), "order"},
		{"SCAIL2ColoredMask", pyjson.NewObject("driving_track_data", objects(nil, []any{int64(4), int64(4)}), "ref_track_data", "x"), "ref_track_data"},
		{"TextEncodeJoyImageEdit", pyjson.NewObject("prompt", "x", "images.image0", tensor.New(2, 4, 4, 3)), "2 images"},
		{"TextEncodeJoyImageEdit", pyjson.NewObject("prompt", "x", "images.image0", tensor.New(1, 4, 4, 1)), "three channels"},
		{"TextEncodeJoyImageEdit", pyjson.NewObject("prompt", "x"), "text encoder"},
		{"Kandinsky5ImageToVideo", pyjson.NewObject("start_image", small), "no VAE"},
		{"Kandinsky5ImageToVideo", pyjson.NewObject("start_image", tensor.New(1, 4, 4, 1)), "VAE"},
		{"Kandinsky5ImageToVideo", pyjson.NewObject("width", 1<<14, "height", 1<<14, "length", 16381, "batch_size", 4096), "allocating"},
		{"WanDancerPadKeyframes", pyjson.NewObject("images", small), "audio"},
		{"WanDancerPadKeyframes", pyjson.NewObject("images", small, "audio", "x"), "audio"},
		{"WanDancerPadKeyframes", pyjson.NewObject("images", tensor.New(0, 1, 1, 3), "audio", sound), "images"},
		{"WanDancerPadKeyframes", pyjson.NewObject("images", small, "audio", sound, "segment_length", 1<<40), "segment_length"},
		{"WanDancerPadKeyframes", pyjson.NewObject("images", small, "audio", sound, "segment_index", -1), "segment"},
		{"WanDancerPadKeyframesList", pyjson.NewObject("images", tensor.New(1, 512, 512, 3), "audio", sound, "segment_length", 10000, "num_segments", 100), "allocating"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}
