package all_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
	"comfygo/tests/nodecalls"
)

// outside are classes that start a program for a call; their packages have bad inputs of their own.
var outside = []string{"GLSLShader", "GetVideoComponents", "LTXVPreprocess", "SaveVideo", "SaveWEBM", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced"}

// TestBadInputsOfEachClass gives each input of each class that needs no model values that it should not get: links of every wrong type, empty
// batches, one pixel, shapes that do not fit, NaN, infinities, negative and huge numbers. The class must answer by a result or an error with words,
// without a panic and soon.
func TestBadInputsOfEachClass(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("testdata/without_model.txt")
	if err != nil {
		t.Fatal(err)
	}
	base := recordedInputs(t)
	for _, name := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		if slices.Contains(outside, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			class, ok := nodes.Default().Get(name)
			if !ok {
				t.Fatal("there is no such class")
			}
			tryBad(t, class, base[name])
		})
	}
}

func tryBad(t *testing.T, class *nodes.Class, recorded *pyjson.Object) {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	keys := usual(t, class, recorded).Keys()
	for _, in := range class.Inputs() {
		if !slices.Contains(keys, in.Name) {
			keys = append(keys, in.Name)
		}
	}
	for _, key := range keys {
		for what, bad := range badValues() {
			values := usual(t, class, recorded)
			v := bad()
			if class.InputIsList {
				v = []any{v}
			}
			values.Set(key, v)
			began := time.Now()
			err := runBad(f, class, values)
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("%s = %s: it took %v", key, what, took)
			}
			if p := (*paniced)(nil); errors.As(err, &p) {
				t.Errorf("%s = %s: %v", key, what, err)
			} else if err != nil && len(err.Error()) < 8 {
				t.Errorf("%s = %s: the error says %q", key, what, err)
			}
		}
	}
}

type paniced struct {
	value any
	stack []byte
}

// Error implements error.
func (p *paniced) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

func runBad(f *folders.Folders, class *nodes.Class, values *pyjson.Object) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &paniced{v, debug.Stack()}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	n, err := class.Bind(values, func(string) any { return nil })
	if err != nil {
		return err
	}
	_, err = n.Run(nodes.NewContext(ctx, nodes.Call{ID: "1", PromptID: "test", Services: nodes.Services{Folders: f}, Inputs: values}))
	return err
}

// usual are inputs that a class takes: those of a recorded call, else values of the declared types and the defaults.
func usual(t *testing.T, class *nodes.Class, recorded *pyjson.Object) *pyjson.Object {
	t.Helper()
	values := pyjson.NewObject()
	if recorded != nil {
		for key, v := range recorded.All() {
			values.Set(key, nodecalls.Make(t, v))
		}
		return values
	}
	for _, in := range class.Inputs() {
		v := ofType(in.Type)
		if least, ok := in.Min.(int64); ok && least > 0 { // little work
			v = least
		}
		if v == nil {
			v = in.Default
		}
		if choices := in.Choices(nodes.Env{}); v == nil && len(choices) > 0 {
			v = choices[0]
		}
		if v == nil {
			continue
		}
		if class.InputIsList {
			v = []any{v}
		}
		values.Set(in.Name, v)
	}
	return values
}

func ofType(kind string) any {
	switch kind {
	case "IMAGE":
		return nodecalls.Random(1, 0, 1, 2, 6, 5, 3)
	case "MASK":
		return nodecalls.Random(1, 0, 1, 2, 6, 5)
	case "LATENT":
		return engine.Latent{Samples: nodecalls.Random(1, -1, 1, 1, 4, 3, 2)}
	case "CONDITIONING":
		return engine.Conditioning{{Tokens: tensor.New(1, 2, 4), Values: map[string]any{}}}
	case "AUDIO":
		return &media.Audio{Waveform: nodecalls.Random(1, -1, 1, 1, 2, 100), SampleRate: 8000}
	case "MESH":
		return badMesh(0, 1, 2)
	case "VOXEL":
		return &geometry.Voxels{Grid: nodecalls.Random(1, -1, 1, 1, 4, 4, 4)}
	case "VIDEO":
		return &videofile.Made{Images: tensor.New(2, 4, 4, 3), Rate: big.NewRat(24, 1), Depth: 8}
	}
	return nil
}

func badMesh(faces ...int32) *geometry.Mesh {
	return &geometry.Mesh{Items: []geometry.Item{{Vertices: []float32{0, 0, 0, 1, 0, 0, 0, 1, 0}, UVs: []float32{0, 0, 1, 0, 0, 1}, Faces: faces}}}
}

// badValues make values that no input, or one in many, should get.
func badValues() map[string]func() any {
	nan := float32(math.NaN())
	filled := func(v float32, shape ...int) *tensor.Tensor {
		out := tensor.New(shape...)
		for i := range out.Data {
			out.Data[i] = v
		}
		return out
	}
	return map[string]func() any{
		"None":                   func() any { return nil },
		"a text":                 func() any { return "bad" },
		"an empty text":          func() any { return "" },
		"-1":                     func() any { return int64(-1) },
		"0":                      func() any { return int64(0) },
		"2^62":                   func() any { return int64(1) << 62 },
		"-2^62":                  func() any { return -(int64(1) << 62) },
		"2^70":                   func() any { return new(big.Int).Lsh(big.NewInt(1), 70) },
		"NaN":                    func() any { return math.NaN() },
		"infinity":               func() any { return math.Inf(1) },
		"1e300":                  func() any { return 1e300 },
		"-1e300":                 func() any { return -1e300 },
		"True":                   func() any { return true },
		"an empty list":          func() any { return []any{} },
		"a list of None":         func() any { return []any{nil} },
		"a list of mixed values": func() any { return []any{tensor.New(1, 2, 2, 3), "x", int64(1), []any{}} },
		"a dictionary":           func() any { return pyjson.NewObject("x", math.NaN(), "y", []any{}) },
		"images of mixed sizes":  func() any { return []any{tensor.New(1, 2, 3, 3), tensor.New(2, 5, 4, 4), tensor.New(1, 1, 1, 1)} },
		"an empty batch":         func() any { return tensor.New(0, 4, 4, 3) },
		"an image without rows":  func() any { return tensor.New(1, 0, 4, 3) },
		"one pixel":              func() any { return tensor.New(1, 1, 1, 3) },
		"one pixel of 1 channel": func() any { return tensor.New(1, 1, 1, 1) },
		"7 channels":             func() any { return tensor.New(1, 3, 2, 7) },
		"an image of NaN":        func() any { return filled(nan, 2, 5, 7, 3) },
		"an image of infinities": func() any { return filled(float32(math.Inf(-1)), 1, 4, 4, 4) },
		"an image of 3e38":       func() any { return filled(3e38, 1, 4, 4, 3) },
		"a tensor of one axis":   func() any { return tensor.New(5) },
		"a tensor of six axes":   func() any { return tensor.New(1, 1, 2, 1, 2, 1) },
		"a mask":                 func() any { return filled(-5, 1, 3, 3) },
		"a latent of nothing":    func() any { return engine.Latent{} },
		"a latent of NaN":        func() any { return engine.Latent{Samples: filled(nan, 1, 4, 2, 2)} },
		"a latent of one axis":   func() any { return engine.Latent{Samples: tensor.New(3)} },
		"no conditioning":        func() any { return engine.Conditioning{} },
		"empty conditioning":     func() any { return engine.Conditioning{{}} },
		"no audio":               func() any { return &media.Audio{} },
		"audio of NaN":           func() any { return &media.Audio{Waveform: filled(nan, 1, 2, 9), SampleRate: 8000} },
		"audio of rate 0":        func() any { return &media.Audio{Waveform: tensor.New(1, 1, 4)} },
		"audio of two axes":      func() any { return &media.Audio{Waveform: tensor.New(2, 4), SampleRate: 8000} },
		"audio of no samples":    func() any { return &media.Audio{Waveform: tensor.New(1, 1, 0), SampleRate: 8000} },
		"no mesh":                func() any { return &geometry.Mesh{} },
		"a mesh of no points":    func() any { return badMesh(0, 1, 9) },
		"a mesh of half faces":   func() any { return badMesh(0, 1) },
		"a mesh of NaN": func() any {
			m := badMesh(0, 1, 2)
			m.Items[0].Vertices[4] = nan
			return m
		},
		"no voxels":        func() any { return &geometry.Voxels{} },
		"voxels of NaN":    func() any { return &geometry.Voxels{Grid: filled(nan, 1, 2, 2, 2)} },
		"no splats":        func() any { return &geometry.Splats{} },
		"no video":         func() any { return &videofile.Made{Rate: big.NewRat(24, 1)} },
		"a missing video":  func() any { return &videofile.File{Path: filepath.Join("none", "a.mp4")} },
		"a broken 3D file": func() any { return geometry.Memory([]byte("glTF\x02\x00\x00\x00"), "glb") },
	}
}

// plainRecipes are the kinds of values that nodecalls makes without help.
var plainRecipes = []string{"", "rnd", "img", "smooth", "const", "values", "float", "vision", "audio", "latent", "cond"}

// recordedInputs are the inputs of one recorded call of each class that succeeds and that can be made here.
func recordedInputs(t *testing.T) map[string]*pyjson.Object {
	t.Helper()
	files, err := filepath.Glob("../*/testdata/calls*.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*pyjson.Object{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(unzipped(t, f))
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		v, err := pyjson.Unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		calls, _ := v.([]any)
		for _, e := range calls {
			c, ok := e.(*pyjson.Object)
			if !ok || c.Has("error") || out[c.String("class")] != nil || !plain(c.Object("in")) {
				continue
			}
			out[c.String("class")] = c.Object("in")
		}
	}
	return out
}

func unzipped(t *testing.T, f io.Reader) io.Reader {
	t.Helper()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func plain(v any) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !plain(e) })
	case *pyjson.Object:
		if !slices.Contains(plainRecipes, v.String("$")) {
			return false
		}
		for _, e := range v.All() {
			if !plain(e) {
				return false
			}
		}
	}
	return true
}
