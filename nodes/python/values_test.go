package python

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/internal/video"
	"comfygo/nodes"
	"comfygo/nodes/conditioning"
)

// folder is shared memory without a process.
type folder string

func (f folder) Create(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(string(f), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (f folder) Open(path string) (*os.File, error) {
	if filepath.Dir(path) != string(f) {
		return nil, errors.New("outside")
	}
	return os.Open(path)
}

// text writes a form with the folder's name left out.
func text(t *testing.T, f folder, v any) string {
	t.Helper()
	data, err := pyjson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), string(f)+string(filepath.Separator), "")
}

func filled(shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data {
		x.Data[i] = float32(i) + 0.5
	}
	return x
}

func TestEncodePlain(t *testing.T) {
	t.Parallel()
	type word string
	message := "not now"
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"nothing":                    {nil, `null`},
		"a truth":                    {true, `true`},
		"a number":                   {int64(-3), `-3`},
		"a large number":             {new(big.Int).Lsh(big.NewInt(1), 80), `1208925819614629174706176`},
		"an unsigned number":         {uint64(math.MaxUint64), `18446744073709551615`},
		"NaN":                        {math.NaN(), `NaN`},
		"a text":                     {"ä\n", `"\u00e4\n"`},
		"a text of another type":     {word("w"), `"w"`},
		"a list of numbers":          {[]int{1, 2}, `[1, 2]`},
		"a list of lists":            {[]any{[]any{}, nodes.List{"a"}}, `[[], ["a"]]`},
		"a dictionary":               {pyjson.NewObject("b", 1, "a", nil), `{"b": 1, "a": null}`},
		"a dictionary with the mark": {pyjson.NewObject("$", "handle", "id", int64(1)), `{"$": "dict", "items": [["$", "handle"], ["id", 1]]}`},
		"a map":                      {map[string]any{"b": 1, "a": "x"}, `{"a": "x", "b": 1}`},
		"a blocker":                  {&nodes.Blocker{}, `{"$": "blocker", "message": null}`},
		"a blocker with a message":   {&nodes.Blocker{Message: &message}, `{"$": "blocker", "message": "not now"}`},
		"a range":                    {&conditioning.Range{Start: 0.25, End: 1}, `[0.25, 1.0]`},
		"an area":                    {sampling.Area{Size: []float64{4, 8}, Offset: []float64{2, 0}}, `{"$": "tuple", "items": [4, 8, 2, 0]}`},
		"an area in shares":          {sampling.Area{Size: []float64{0.5}, Offset: []float64{0}, Percent: true}, `{"$": "tuple", "items": ["percentage", 0.5, 0.0]}`},
		"a video":                    {&video.File{Path: "/v.mp4"}, `{"$": "video", "file": "/v.mp4"}`},
		"no tensor":                  {(*tensor.Tensor)(nil), `null`},
		"no audio":                   {(*media.Audio)(nil), `null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := folder(t.TempDir())
			e := &encoder{shared: f}
			form, err := e.value(c.value)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, f, form); got != c.want {
				t.Errorf("the form is %s, want %s", got, c.want)
			}
		})
	}
}

// TestEncodeRefused has values that Python cannot get, or only by making them again.
func TestEncodeRefused(t *testing.T) {
	t.Parallel()
	deep := any("x")
	for range deepest + 1 {
		deep = []any{deep}
	}
	for name, v := range map[string]any{"a model": &struct{ n int }{1}, "part of a video": &video.File{Path: "/v", Start: 1}, "a model in a list": []any{&struct{}{}}} {
		var local *nativeOnly
		if _, err := (&encoder{}).value(v); !errors.As(err, &local) {
			t.Errorf("%s: the error is %v, want one that it is comfygo's own", name, err)
		}
	}
	if _, err := (&encoder{}).value(deep); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("a deep list is answered with %v", err)
	}
}

// TestTensors gives values with tensors to Python and takes them back, as a node that returns its input does.
func TestTensors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		form  string
	}{
		"an image":       {filled(1, 2, 2, 3), `{"$": "tensor", "file": "F", "shape": [1, 2, 2, 3]}`},
		"an empty image": {tensor.New(0, 4), `{"$": "tensor", "file": "F", "shape": [0, 4]}`},
		"a number":       {filled(), `{"$": "tensor", "file": "F", "shape": []}`},
		"a latent": {
			engine.Latent{Samples: filled(1, 4, 2, 2), NoiseMask: filled(1, 2, 2), BatchIndex: []int{3, 4}, DownscaleRatio: 8, TemporalRatio: 4, Type: "audio"},
			`{"samples": {"$": "tensor", "file": "F", "shape": [1, 4, 2, 2]}, "noise_mask": {"$": "tensor", "file": "F", "shape": [1, 2, 2]}, "batch_index": [3, 4], "downscale_ratio_spacial": 8, "downscale_ratio_temporal": 4, "type": "audio"}`,
		},
		"audio": {&media.Audio{Waveform: filled(1, 2, 5), SampleRate: 44100}, `{"waveform": {"$": "tensor", "file": "F", "shape": [1, 2, 5]}, "sample_rate": 44100}`},
		"conditioning": {
			engine.Conditioning{{Tokens: filled(1, 3, 4), Pooled: filled(1, 4), Values: map[string]any{"strength": 0.5, "area": []any{int64(1), int64(2)}, "mask": filled(1, 2, 2)}}},
			`[[{"$": "tensor", "file": "F", "shape": [1, 3, 4]}, {"area": [1, 2], "mask": {"$": "tensor", "file": "F", "shape": [1, 2, 2]}, "pooled_output": {"$": "tensor", "file": "F", "shape": [1, 4]}, "strength": 0.5}]]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := folder(t.TempDir())
			e := &encoder{shared: f}
			form, err := e.value(c.value)
			if err != nil {
				t.Fatal(err)
			}
			got := text(t, f, form)
			for _, path := range e.files {
				got = strings.ReplaceAll(got, `"`+filepath.Base(path)+`"`, `"F"`)
			}
			if got != c.form {
				t.Errorf("the form is %s, want %s", got, c.form)
			}
			data, err := pyjson.Marshal(form)
			if err != nil {
				t.Fatal(err)
			}
			sent, err := pyjson.Unmarshal(data)
			if err != nil {
				t.Fatal(err)
			}
			local, err := imported(f, sent)
			if err == nil {
				local, err = shaped(local)
			}
			if err != nil {
				t.Fatal(err)
			}
			if a, b := fmt.Sprintf("%+v", plainly(local)), fmt.Sprintf("%+v", plainly(c.value)); a != b {
				t.Errorf("back came %s, want %s", a, b)
			}
			if left, err := os.ReadDir(string(f)); err != nil || len(left) > 0 {
				t.Errorf("left in shared memory: %v, %v", left, err)
			}
		})
	}
}

// plainly shows what a value holds, tensors by shape and numbers.
func plainly(v any) any {
	switch v := v.(type) {
	case *tensor.Tensor:
		if v == nil {
			return nil
		}
		return fmt.Sprint(v.Shape, v.Data)
	case engine.Latent:
		return []any{plainly(v.Samples), plainly(v.NoiseMask), v.BatchIndex, v.DownscaleRatio, v.TemporalRatio, v.Type}
	case *media.Audio:
		return []any{plainly(v.Waveform), v.SampleRate}
	case engine.Conditioning:
		var out []any
		for _, c := range v {
			values := map[string]any{}
			for k, x := range c.Values {
				values[k] = plainly(x)
			}
			out = append(out, plainly(c.Tokens), plainly(c.Pooled), values)
		}
		return out
	}
	return v
}

// TestTensorForms reads forms that a broken host may send.
func TestTensorForms(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	path := filepath.Join(string(f), "a")
	if err := os.WriteFile(path, make([]byte, 16), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, shape := range map[string]any{
		"is no shape":            []any{int64(-1)},
		"[1000000 1000000 1000]": []any{int64(1e6), int64(1e6), int64(1e3)},
		"[x] is no shape":        []any{"x"},
		"16 bytes, not 12":       []any{int64(3)},
		"16 bytes, not 20":       []any{int64(5)},
	} {
		if err := os.WriteFile(path, make([]byte, 16), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readTensor(f, pyjson.NewObject("file", path, "shape", shape))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("shape %v: the error is %v, want one with %q", shape, err, want)
		}
	}
	if _, err := readTensor(f, pyjson.NewObject("file", "/etc/hostname", "shape", []any{})); err == nil {
		t.Error("a file outside of shared memory is read")
	}
}

// TestReceived reads what a call returns.
func TestReceived(t *testing.T) {
	t.Parallel()
	message := "stop"
	for name, c := range map[string]struct{ form, want any }{
		"a text":    {"a", "a"},
		"a list":    {[]any{int64(1), pyjson.NewObject("$", "link", "node", "7", "slot", int64(2))}, []any{int64(1), nodes.Link{ID: "7", Slot: 2}}},
		"a blocker": {pyjson.NewObject("$", "blocker", "message", "stop"), &nodes.Blocker{Message: &message}},
		"silence":   {pyjson.NewObject("$", "blocker", "message", nil), &nodes.Blocker{}},
	} {
		if got := received(nil, c.form); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", name, got, c.want)
		}
	}
	h, ok := received(&pyhost.Session{}, pyjson.NewObject("$", "handle", "id", int64(3), "type", "torch.Tensor", "kind", "tensor", "bytes", int64(64))).(*Handle)
	if !ok || h.id != 3 || h.Type != "torch.Tensor" || h.Kind != "tensor" || h.MemoryBytes() != 64 {
		t.Errorf("the handle is %+v", h)
	}
}

// TestShapedOnly keeps in Python what comfygo's latents and conditioning cannot hold.
func TestShapedOnly(t *testing.T) {
	t.Parallel()
	_, err := shaped(pyjson.NewObject("samples", filled(1, 4, 1, 1), "something", int64(1)))
	if !errors.Is(err, nodes.ErrForeignOnly) {
		t.Errorf("a latent with an unknown key: %v", err)
	}
	for _, v := range []any{[]any{}, []any{[]any{filled(1), "no dictionary"}}, []any{int64(1)}} {
		got, err := shaped(v)
		if _, ok := got.(engine.Conditioning); ok || err != nil {
			t.Errorf("%v becomes %T, %v", v, got, err)
		}
	}
}
