package video_test

import (
	"path/filepath"
	"testing"

	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	film "comfygo/internal/video"
	_ "comfygo/nodes/dataset"
	_ "comfygo/nodes/video"
	"comfygo/tests/nodecalls"
)

// inputs are folders whose input folder is testdata/input.
func inputs(t *testing.T) *folders.Folders {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir(), Input: filepath.Join("testdata", "input")})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// needFFmpeg skips a test where the programs are missing; tools/untested says so.
func needFFmpeg(t *testing.T) {
	t.Helper()
	if err := (*ffmpeg.Tool)(nil).Available(); err != nil {
		t.Skip(err)
	}
}

// TestCalls compares with upstream's results; testdata/cases.py says which differences are allowed and why.
func TestCalls(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	f := inputs(t)
	env := film.Env{Dir: f.Temp()}
	described := func(v any) (any, bool) {
		if list, ok := v.([]any); ok {
			return list, false
		}
		video, ok := v.(film.Video)
		if !ok {
			return nil, false
		}
		d, err := describe(t, video, env)
		if err != nil {
			t.Error(err)
		}
		return d, true
	}
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{Folders: f, Described: described})
}

// describe is what cases.py has of a video.
func describe(t *testing.T, v film.Video, env film.Env) (*pyjson.Object, error) {
	t.Helper()
	c, err := v.Components(t.Context(), env)
	if err != nil {
		return nil, err
	}
	w, h, err := v.Size(t.Context(), env)
	if err != nil {
		return nil, err
	}
	depth, err := v.BitDepth(t.Context(), env)
	if err != nil {
		return nil, err
	}
	space, err := v.ColorSpace(t.Context(), env)
	if err != nil {
		return nil, err
	}
	duration, err := v.Duration(t.Context(), env)
	if err != nil {
		return nil, err
	}
	r, err := v.FrameRate(t.Context(), env)
	if err != nil {
		return nil, err
	}
	rate, _ := r.Float64()
	o := pyjson.NewObject("size", []any{int64(w), int64(h)}, "depth", int64(depth), "space", space, "duration", duration, "rate", rate, "images", c.Images, "audio", nil)
	if c.Audio != nil {
		o.Set("audio", c.Audio)
	}
	return o, nil
}
