package nodecalls

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// prepare writes the files that a call finds and returns the values of its hidden inputs.
func prepare(t *testing.T, base string, c *pyjson.Object) func(kind string) any {
	t.Helper()
	for _, kind := range []string{"input", "output", "temp"} {
		if err := os.MkdirAll(filepath.Join(base, kind), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range c.Object("given").All() {
		path := filepath.Join(base, filepath.FromSlash(name))
		raw, err := base64.StdEncoding.DecodeString(data.(string))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
		}
		if err == nil {
			err = os.WriteFile(path, raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(kind string) any {
		if kind == "UNIQUE_ID" {
			return "1"
		}
		v, _ := c.Object("hidden").Get(strings.ToLower(kind))
		return v
	}
}

// hiddenHost has the values of hidden inputs, and reports no progress.
type hiddenHost struct {
	nodes.Host
	hidden func(kind string) any
}

// Hidden implements nodes.Host.
func (h hiddenHost) Hidden(kind string) any { return h.hidden(kind) }

// Progress implements nodes.Host.
func (hiddenHost) Progress(_, _ float64, _ *nodes.Preview) {}

var (
	identifier = regexp.MustCompile(`[0-9a-f]{32}`)
	temporary  = regexp.MustCompile(`_temp_[a-z]{5}_`)
)

// anonymous returns v without the random parts of file names, as record.py's function does.
func anonymous(v any) any {
	switch v := v.(type) {
	case string:
		return temporary.ReplaceAllString(identifier.ReplaceAllString(v, "*"), "_temp_*_")
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = anonymous(e)
		}
		return out
	case *pyjson.Object:
		if v == nil {
			return nil
		}
		out := pyjson.NewObject()
		for key, e := range v.All() {
			out.Set(anonymous(key).(string), anonymous(e))
		}
		return out
	}
	return v
}

// files compares what lies in the output and temp folders.
func (k *comparison) files(base string, want *pyjson.Object) {
	var names []string
	for _, kind := range []string{"output", "temp", "datasets"} {
		if _, err := os.Stat(filepath.Join(base, kind)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err := filepath.WalkDir(filepath.Join(base, kind), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(base, path)
			if err != nil {
				return err
			}
			name := anonymous(filepath.ToSlash(rel)).(string)
			names = append(names, name)
			if w := want.Object(name); w == nil {
				k.differ(name, "a file that upstream does not write")
			} else {
				k.file(name, path, w)
			}
			return nil
		})
		if err != nil {
			k.differ(kind, "%v", err)
		}
	}
	for name := range want.All() {
		if !slices.Contains(names, name) {
			k.differ(name, "the file is missing")
		}
	}
}

func (k *comparison) file(name, path string, want *pyjson.Object) {
	data, err := os.ReadFile(path)
	switch {
	case err != nil:
		k.differ(name, "%v", err)
	case want.Has("pixels"):
		k.png(name, data, want)
	case want.Has("bytes"):
		if raw, err := base64.StdEncoding.DecodeString(want.String("bytes")); err != nil || !bytes.Equal(raw, data) {
			k.differ(name, "%d bytes %q, want %d bytes %q", len(data), data[:min(len(data), 200)], len(raw), raw[:min(len(raw), 200)])
		}
	}
}

func (k *comparison) png(name string, data []byte, want *pyjson.Object) {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		k.differ(name, "%v", err)
		return
	}
	raw, err := base64.StdEncoding.DecodeString(want.String("pixels"))
	channels := map[string]int{"L": 1, "RGB": 3, "RGBA": 4}[want.String("mode")]
	if size := ints(mustGet(want, "size")); err != nil || channels == 0 || img.Bounds() != image.Rect(0, 0, size[0], size[1]) {
		k.differ(name, "an image of %v, want %s of %v", img.Bounds(), want.String("mode"), size)
		return
	}
	for i, w := 0, img.Bounds().Dx(); i < len(raw)/channels; i++ {
		c := color.NRGBAModel.Convert(img.At(i%w, i/w)).(color.NRGBA)
		if got := []byte{c.R, c.G, c.B, c.A}[:channels]; !bytes.Equal(got, raw[i*channels:][:channels]) {
			k.differ(name, "pixel %d is %v, want %v", i, got, raw[i*channels:][:channels])
			return
		}
	}
	texts, err := imaging.ReadText(bytes.NewReader(data))
	if err != nil {
		k.differ(name, "%v", err)
		return
	}
	wanted := want.Object("texts")
	for _, text := range texts {
		if v, _ := wanted.Get(text.Key); v != text.Value {
			k.differ(name, "the text %s is %q, want %q", text.Key, text.Value, v)
		}
	}
	if len(texts) != len(wanted.Keys()) {
		k.differ(name, "%d texts, want %d", len(texts), len(wanted.Keys()))
	}
}
