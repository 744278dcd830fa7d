package video_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
	"comfygo/tests/nodecalls"
)

// savedEntry is the record that testdata/saved.py made of one file.
type savedEntry struct {
	Spec struct {
		Frames, Channels, Samples, Rate, Depth, Width, Height int
		FPS                                                   float64 `json:"fps"`
		File                                                  string
		Start, Duration                                       float64
	}
	Format string
	Codec  struct {
		Codec    string
		Encoding string
		CRF      float64 `json:"crf"`
		Space    string  `json:"color_space"`
	}
	WebM   string `json:"webm"`
	Images []int
	FPS    float64 `json:"fps"`
	CRF    float64 `json:"crf"`
	File   savedFile
}

type savedFile struct {
	Name, Format, Pixels string
	Duration             float64
	Tags                 map[string]string
	Streams              []savedStream
	Shape                []int
	Samples, Step        int
}

type savedStream struct {
	Type, Codec, Pixels, Rate          string
	TimeBase                           string `json:"time_base"`
	Width, Height, Frames              int
	Primaries, Transfer, Matrix, Range int
	SampleRate                         int `json:"sample_rate"`
	Channels                           int
}

// UnmarshalJSON reads codec either as a name or with its options.
func (e *savedEntry) UnmarshalJSON(data []byte) error {
	type plain savedEntry
	var raw struct {
		plain
		Codec struct {
			Codec    string
			Encoding any
			CRF      float64 `json:"crf"`
			Space    string  `json:"color_space"`
		}
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*e = savedEntry(raw.plain)
	e.Codec.Codec = raw.Codec.Codec
	if m, ok := raw.Codec.Encoding.(map[string]any); ok {
		e.Codec.Encoding, _ = m["encoding"].(string)
		e.Codec.CRF, _ = m["crf"].(float64)
		e.Codec.Space, _ = m["color_space"].(string)
	}
	return nil
}

// host gives the hidden inputs of saved.py.
type host struct{ prompt, extra *pyjson.Object }

func (host) Progress(float64, float64, *nodes.Preview) {}
func (host) Show(float64, float64, *nodes.Preview)     {}
func (host) SendText(string)                           {}
func (host) Linked(nodes.Link) ([]any, bool)           { return nil, false }
func (host) Await(wait func())                         { wait() }
func (host) State(make func() any) any                 { return make() }
func (h host) Hidden(kind string) any {
	switch kind {
	case "PROMPT":
		return h.prompt
	case "EXTRA_PNGINFO":
		return h.extra
	}
	return nil
}

func run(t *testing.T, f *folders.Folders, class string, values *pyjson.Object) (nodes.Result, error) {
	t.Helper()
	c, _ := nodes.Default().Get(class)
	node, err := c.Bind(values, nil)
	if err != nil {
		return nodes.Result{}, err
	}
	h := host{
		prompt: pyjson.NewObject("1", pyjson.NewObject("class_type", "SaveVideo", "inputs", pyjson.NewObject("filename_prefix", "Grüße = 1;\n#2 \\"))),
		extra:  pyjson.NewObject("workflow", pyjson.NewObject("nodes", []any{1, 2.5, nil})),
	}
	ctx := nodes.NewContext(t.Context(), nodes.Call{ID: "1", PromptID: "test", Host: h, Inputs: values, Services: nodes.Services{Folders: f, Metadata: true}})
	defer ctx.Release()
	return node.Run(ctx)
}

func wave(channels, samples, rate int) *media.Audio {
	t := tensor.New(1, channels, samples)
	for c := range channels {
		for i := range samples {
			t.Data[c*samples+i] = float32(0.4 * math.Sin(2*math.Pi*float64(220+110*c)*(float64(i)/float64(rate))))
		}
	}
	return &media.Audio{Waveform: t, SampleRate: rate}
}

// TestSaved compares saved files with those that ComfyUI saved: containers, streams, colors, tags, lengths and frames. Encoders of other versions
// differ: frames by 2 % of full scale in the mean, audio by one block of the encoder.
func TestSaved(t *testing.T) {
	t.Parallel()
	compareSaved(t, savedEntries(t, "saved.json.gz"))
}

// TestRandomSavedGolden is TestSaved for random calls.
func TestRandomSavedGolden(t *testing.T) {
	t.Parallel()
	made := map[bool]int{}
	compareSaved(t, slices.DeleteFunc(savedEntries(t, "saved_random.json.gz"), func(e savedEntry) bool {
		made[e.WebM != ""]++
		return mostRandom > 0 && made[e.WebM != ""] > mostRandom
	}))
}

func compareSaved(t *testing.T, entries []savedEntry) {
	t.Helper()
	needFFmpeg(t)
	for i, want := range entries {
		t.Run(fmt.Sprintf("%d_%s", i, want.File.Name), func(t *testing.T) {
			t.Parallel()
			f := inputs(t)
			class, values := want.call(t, f)
			r, err := run(t, f, class, values)
			if err != nil {
				t.Fatal(err)
			}
			animated, _ := r.UI.Get("animated")
			images, _ := r.UI.Get("images")
			entry := images.([]any)[0].(*pyjson.Object)
			if pyjson.Repr(animated) != "[True]" || !strings.HasSuffix(entry.String("filename"), filepath.Ext(want.File.Name)) || entry.String("type") != "output" {
				t.Errorf("the client is told %s", pyjson.Repr(r.UI))
			}
			compareFile(t, filepath.Join(f.Output(), entry.String("subfolder"), entry.String("filename")), want.File)
		})
	}
}

func savedEntries(t *testing.T, name string) []savedEntry {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []savedEntry
	if err := json.NewDecoder(z).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// call returns the class and the inputs that saved.py used.
func (e savedEntry) call(t *testing.T, f *folders.Folders) (string, *pyjson.Object) {
	t.Helper()
	if e.WebM != "" {
		return "SaveWEBM", pyjson.NewObject("images", nodecalls.Smooth(e.Images, 1), "filename_prefix", "w", "codec", e.WebM, "fps", e.FPS, "crf", e.CRF)
	}
	var video videofile.Video
	if e.Spec.File != "" {
		v, err := (&videofile.File{Path: filepath.Join(f.Input(), e.Spec.File)}).Trimmed(t.Context(), videofile.Env{}, e.Spec.Start, e.Spec.Duration, false)
		if err != nil {
			t.Fatal(err)
		}
		video = v
	} else {
		m := &videofile.Made{Images: nodecalls.Smooth([]int{e.Spec.Frames, e.Spec.Height, e.Spec.Width, 3}, 1), Rate: new(big.Rat).SetFloat64(e.Spec.FPS), Depth: e.Spec.Depth}
		if e.Spec.Channels > 0 {
			m.Audio = wave(e.Spec.Channels, e.Spec.Samples, e.Spec.Rate)
		}
		video = m
	}
	values := pyjson.NewObject("video", video, "filename_prefix", "video/v", "format", e.Format, "format.codec", e.Codec.Codec)
	if e.Codec.Encoding != "" {
		values.Set("format.codec.encoding", e.Codec.Encoding)
		values.Set("format.codec.encoding.crf", e.Codec.CRF)
		values.Set("format.codec.encoding.color_space", e.Codec.Space)
	}
	return "SaveVideo", values
}

// colorNames are FFmpeg's names of the numbers that saved.py recorded.
var colorNames = map[int]string{1: "bt709", 2: "", 13: "iec61966-2-1", 18: "arib-std-b67", 9: "bt2020"}

func compareFile(t *testing.T, path string, want savedFile) {
	t.Helper()
	info, err := (*ffmpeg.Tool)(nil).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Format != want.Format || len(info.Streams) != len(want.Streams) {
		t.Fatalf("a %s file of %d streams, want %s of %d", info.Format, len(info.Streams), want.Format, len(want.Streams))
	}
	for key, value := range want.Tags {
		if got, _ := info.Tag(key); got != value {
			t.Errorf("the tag %s is %q, want %q", key, got, value)
		}
	}
	for i, w := range want.Streams {
		compareStream(t, info.Streams[i], w)
	}
	if math.Abs(info.Duration-want.Duration) > 0.05 {
		t.Errorf("%g s, want %g", info.Duration, want.Duration)
	}
	v := &videofile.File{Path: path}
	numbers := make([]int, want.Shape[0])
	for i := range numbers {
		numbers[i] = i
	}
	frames, err := v.Frames(t.Context(), videofile.Env{}, numbers)
	if err != nil {
		t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(want.Pixels)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, b := range data {
		sum += math.Abs(float64(frames.Data[i*want.Step]) - float64(b)/255)
	}
	if mean := sum / float64(len(data)); mean > 0.02 {
		t.Errorf("frames differ by %g in the mean", mean)
	}
	if n, err := v.FrameCount(t.Context(), videofile.Env{}); err != nil || n != want.Shape[0] {
		t.Errorf("%d frames, want %d, %v", n, want.Shape[0], err)
	}
	if want.Samples == 0 {
		return
	}
	c, err := v.Components(t.Context(), videofile.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Audio == nil || math.Abs(float64(c.Audio.Samples()-want.Samples)) > 1024 {
		t.Errorf("audio %+v, want %d samples", c.Audio, want.Samples)
	}
}

func compareStream(t *testing.T, got ffmpeg.Stream, want savedStream) {
	t.Helper()
	if got.Type != want.Type || got.Codec != want.Codec || got.SampleRate != want.SampleRate || got.Channels != want.Channels {
		t.Errorf("stream %d: %s %s %d Hz %d channels, want %+v", got.Index, got.Type, got.Codec, got.SampleRate, got.Channels, want)
	}
	if want.Type != "video" {
		return
	}
	if got.Width != want.Width || got.Height != want.Height || got.PixelFormat != want.Pixels || got.Frames != int64(want.Frames) || got.Rotation != 0 {
		t.Errorf("%dx%d %s, %d frames, turned by %g; want %+v", got.Width, got.Height, got.PixelFormat, got.Frames, got.Rotation, want)
	}
	if rate, _ := new(big.Rat).SetString(want.Rate); got.Rate == nil || math.Abs(ratio(got.Rate)/ratio(rate)-1) > 0.1 { // upstream ends the last frame of a trimmed video with the video
		t.Errorf("%v frames per second, want %s", got.Rate, want.Rate)
	}
	if got.TimeBase.RatString() != want.TimeBase {
		t.Errorf("units of %v s, want %s", got.TimeBase, want.TimeBase)
	}
	matrix := colorNames[want.Matrix]
	if want.Matrix == 9 {
		matrix = "bt2020nc"
	}
	if got.ColorPrimaries != colorNames[want.Primaries] || got.ColorTransfer != colorNames[want.Transfer] || got.ColorSpace != matrix && matrix != "" { // of a source whose matrix is known and whose colors are not, ours keeps the matrix
		t.Errorf("colors %s %s %s; want %+v", got.ColorPrimaries, got.ColorTransfer, got.ColorSpace, want)
	}
	if r := map[int]string{0: "", 1: "tv", 2: "pc"}[want.Range]; got.ColorRange != r && want.Range != 0 {
		t.Errorf("color range %q, want %q", got.ColorRange, r)
	}
}

func ratio(r *big.Rat) float64 {
	f, _ := r.Float64()
	return f
}
