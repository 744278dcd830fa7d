package video_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
	_ "comfygo/nodes/dataset"
	"comfygo/nodes/video"
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
	compareCalls(t, "calls.json.gz", 0)
}

// TestRandomCallsGolden compares random calls of each class; testdata/cases_random.py says which differences are allowed and why.
func TestRandomCallsGolden(t *testing.T) {
	t.Parallel()
	compareCalls(t, "calls_random.json.gz", mostRandom)
}

func compareCalls(t *testing.T, name string, most int) {
	t.Helper()
	needFFmpeg(t)
	f := inputs(t)
	env := videofile.Env{Dir: f.Temp()}
	nodecalls.Run(t, name, nodecalls.Options{Folders: f, Most: most, Described: func(v any) (any, bool) {
		video, ok := v.(videofile.Video)
		if !ok {
			return nil, false
		}
		d, err := describe(t, video, env)
		if err != nil {
			t.Error(err)
		}
		return d, true
	}})
}

// describe returns the description of a video that cases.py records.
func describe(t *testing.T, v videofile.Video, env videofile.Env) (*pyjson.Object, error) {
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

// TestPreprocess compares images compressed as video frames with upstream's.
func TestPreprocess(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	nodecalls.Run(t, "calls_ltxv.json.gz", nodecalls.Options{Folders: inputs(t)})
}

// TestBadInputs: broken files and inputs that no link should deliver are errors of the node, soon and without much memory.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	f := inputs(t)
	if err := os.MkdirAll(f.Output(), 0o755); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(f.Input(), "wide.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	// The duration that the headers announce becomes 2^31 units of each.
	long := bytes.Clone(whole)
	for _, box := range []string{"mvhd", "mdhd", "tkhd", "stts"} {
		at := bytes.Index(long, []byte(box))
		offset := map[string]int{"mvhd": 20, "mdhd": 20, "tkhd": 24, "stts": 12}[box]
		binary.BigEndian.PutUint32(long[at+offset:], 1<<31-1)
	}
	for name, data := range map[string][]byte{
		"empty.mp4": nil, "text.mp4": []byte("no video\n"), "long.mp4": long, "list.mp4": []byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:wide.mp4\n#EXT-X-ENDLIST\n"),
	} {
		if err := os.WriteFile(filepath.Join(f.Output(), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(name string) videofile.Video { return &videofile.File{Path: filepath.Join(f.Output(), name)} }
	made := func(shape ...int) videofile.Video {
		return &videofile.Made{Images: tensor.New(shape...), Rate: big.NewRat(24, 1), Depth: 8}
	}
	sound := &videofile.Made{Images: tensor.New(2, 4, 4, 3), Rate: big.NewRat(24, 1), Depth: 8, Audio: wave(3, 10, 8000)}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"GetVideoComponents", pyjson.NewObject("video", nil), "no video"},
		{"GetVideoComponents", pyjson.NewObject("video", load("none.mp4")), "No such file"},
		{"GetVideoComponents", pyjson.NewObject("video", load("empty.mp4")), "reading the video"},
		{"GetVideoComponents", pyjson.NewObject("video", load("text.mp4")), "reading the video"},
		{"GetVideoComponents", pyjson.NewObject("video", load("list.mp4")), "reading the video"},
		{"GetVideoComponents", pyjson.NewObject("video", &videofile.File{Path: filepath.Join("..", "audio", "testdata", "input", "two.flac")}), "no video stream"},
		{"SaveVideo", pyjson.NewObject("video", load("text.mp4"), "filename_prefix", "x", "format", "auto"), "reading the video"},
		{"SaveVideo", pyjson.NewObject("video", made(0, 4, 4, 3), "filename_prefix", "x", "format", "auto"), "at least one frame"},
		{"SaveVideo", pyjson.NewObject("video", made(1, 3, 4, 3), "filename_prefix", "x", "format", "auto"), "even width"},
		{"SaveVideo", pyjson.NewObject("video", made(1, 4, 4, 4), "filename_prefix", "x", "format", "auto"), "3 channels"},
		{"SaveVideo", pyjson.NewObject("video", made(1, 4, 4, 3), "filename_prefix", "../x", "format", "auto"), "leads out"},
		{"SaveVideo", pyjson.NewObject("video", made(1, 4, 4, 3), "filename_prefix", "x", "format", "avi"), "unknown format"},
		{"SaveVideo", pyjson.NewObject("video", made(1, 4, 4, 3), "filename_prefix", "x", "format", "webm", "format.codec", "h264"), "need the codec av1"},
		{"SaveVideo", pyjson.NewObject("video", sound, "filename_prefix", "x", "format", "auto"), "3 channels"},
		{"SaveWEBM", pyjson.NewObject("images", tensor.New(0, 4, 4, 3), "filename_prefix", "x", "codec", "vp9", "fps", 24.0, "crf", 32.0), "at least one"},
		{"SaveWEBM", pyjson.NewObject("images", tensor.New(1, 4, 4, 1), "filename_prefix", "x", "codec", "vp9", "fps", 24.0, "crf", 32.0), "3 channels"},
		{"CreateVideo", pyjson.NewObject("images", tensor.New(4, 4), "fps", 24.0), "not an image"},
		{"CreateVideo", pyjson.NewObject("images", tensor.New(1, 4, 4, 3), "fps", math.NaN()), "frame rate"},
		{"LTXVPreprocess", pyjson.NewObject("image", tensor.New(1, 1, 4, 3), "img_compression", 35), "2 pixels"},
		{"VideoTemporalCrop", pyjson.NewObject("video", nil, "start_frame", 0, "length", 1), "no video"},
		{"VideoFrameSample", pyjson.NewObject("video", made(0, 4, 4, 3), "num_frames", 1, "strategy", "uniform", "seed", 0), "no frames"},
	} {
		_, err := run(t, f, c.class, c.values)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), f.Base()+"/output/list.mp4")) {
			t.Errorf("%s %s: %v, want %q", c.class, pyjson.Repr(c.values), err, c.want)
		}
	}
	// What a header announces is not taken: the frames that are there come out, within a small budget.
	budget := int64(0)
	env := videofile.Env{Dir: f.Temp(), Charge: func(what string, n int64) error {
		if n > 1<<30 {
			return fmt.Errorf("%s: %d bytes", what, n)
		}
		budget += n
		return nil
	}}
	c, err := load("long.mp4").Components(t.Context(), env)
	if err != nil || c.Images.Shape[0] != 12 {
		t.Errorf("%+v, %v", c, err)
	}
	if budget > 1<<30 {
		t.Errorf("%d bytes were asked for", budget)
	}
}

// TestFrameInterpolateRefusals checks the errors for a missing model, a value that is not an image, and a missing file.
func TestFrameInterpolateRefusals(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := nodes.TestContext(t.Context(), nodes.Services{Folders: f})
	images := tensor.New(2, 64, 64, 3)
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"no model": {&video.FrameInterpolate{Images: images, Multiplier: 2}, "FrameInterpolationModelLoader"},
		"no image": {&video.FrameInterpolate{InterpModel: &engine.Interpolator{}, Images: tensor.New(2, 3), Multiplier: 2}, "images"},
		"no file":  {&video.FrameInterpolationModelLoader{ModelName: "rife.safetensors"}, "rife.safetensors"},
	} {
		if _, err := c.node.Run(ctx); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
