package wan

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// waves are the values that testdata/tracks.py makes of a shape.
func waves(shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data {
		x.Data[i] = float32(math.Sin(float64(i) * 0.37))
	}
	return x
}

func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); d > 1e-5 {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], v)
		}
	}
}

// TestMotionEqualsUpstream compares what moves along tracks with testdata/tracks.py. Weights are exponentials of squared distances times 50, in
// float32: 1e-5 is ten times what a unit in the last place makes of them.
func TestMotionEqualsUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/tracks.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Width, Height, Length        int
		Tracks                       json.RawMessage
		Moved, Mask, Points, Visible []float32
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		size := canvas{nil, c.Width, c.Height, c.Length}
		z := waves(1, 2, size.frames(), c.Height/cell, c.Width/cell)
		if c.Tracks == nil {
			points := &tensor.Tensor{Shape: []int{9, 2, 2}, Data: c.Points}
			if err := size.move(z, points, &tensor.Tensor{Shape: []int{9, 2}, Data: c.Visible}, 0.75); err != nil {
				t.Fatal(err)
			}
			compare(t, "cells", z.Data, c.Moved)
			continue
		}
		v, err := pyjson.Unmarshal(c.Tracks)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := trackRows(v.([]any))
		if err != nil {
			t.Fatal(err)
		}
		moved, left := follow(z, rows[0], size, 50, 2)
		compare(t, "moved", moved.Data, c.Moved)
		compare(t, "mask", left.Data, c.Mask)
	}
}

func TestWrongTracks(t *testing.T) {
	t.Parallel()
	image, one := tensor.New(1, 8, 8, 3), `[[{"x":1,"y":2}]]`
	tracks := func(frames int) any {
		return pyjson.NewObject("track_path", tensor.New(frames, 1, 2), "track_visibility", tensor.New(1, 1))
	}
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"no VAE":       {&WanTrackToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, Tracks: one, StartImage: image}, "there is no VAE"},
		"no tracks":    {&WanTrackToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, Tracks: "[]", StartImage: image}, "there is no VAE"},
		"length":       {&WanTrackToVideo{Width: 16, Height: 16, Length: 6, BatchSize: 1, Tracks: one, StartImage: image}, "multiple of 4"},
		"long":         {&WanTrackToVideo{Width: 16, Height: 16, Length: 121, BatchSize: 1, Tracks: one, StartImage: image}, "not 121"},
		"no points":    {&WanTrackToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, Tracks: "[[]]", StartImage: image}, "no points"},
		"a word":       {&WanTrackToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, Tracks: `[[[{"x":1,"y":2}], "no"]]`, StartImage: image}, "list of points"},
		"no y":         {&WanTrackToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, Tracks: `[[{"x":1}]]`, StartImage: image}, "no y"},
		"move, no VAE": {&WanMoveTrackToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, StartImage: image, Tracks: tracks(5), Strength: 1}, "there is no VAE"},
		"source":       {&BerniniConditioning{Width: 16, Height: 16, Length: 5, BatchSize: 1, SourceVideo: image}, "there is no VAE"},
		"reference":    {&BerniniConditioning{Width: 16, Height: 16, Length: 5, BatchSize: 1, ReferenceVideo: image, RefMaxSize: 16}, "reference_video"},
		"images":       {&BerniniConditioning{Width: 16, Height: 16, Length: 5, BatchSize: 1, ReferenceImages: nodes.Grown{Names: []string{"reference_image_0"}, Values: []any{tensor.New(2, 2)}}}, "there is no VAE"},
	} {
		_, err := c.node.Run(&nodes.Context{Context: t.Context()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	size := canvas{&engine.VAE{}, 16, 16, 9}
	if err := size.move(tensor.New(1, 1, 3, 2, 2), tensor.New(9, 1, 2), tensor.New(5, 1), 1); err == nil {
		t.Error("tracks without visibility: no error")
	}
	if err := size.move(tensor.New(1, 1, 1, 2, 2), tensor.New(9, 1, 2), tensor.New(9, 1), 1); err == nil {
		t.Error("tracks longer than the video: no error")
	}
	if err := size.move(tensor.New(1, 1, 3, 2, 2), tensor.New(9, 1, 2), tensor.New(9, 1), 1); err != nil {
		t.Error(err)
	}
}
