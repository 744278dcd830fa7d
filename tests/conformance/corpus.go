package conformance

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/tests/golden"
)

// Variant is one way to start the server.
type Variant struct {
	Name string
	Args []string
	// Cases are the exchanges in the order in which they were recorded; later ones build on earlier ones.
	Cases []Case
	// Traces are the conversations over the socket.
	Traces []Trace
}

// Case is one exchange.
type Case struct {
	ID   string
	Tags []string
	data *pyjson.Object
}

// Trace is one conversation.
type Trace struct {
	ID   string
	Tags []string
	data *pyjson.Object
}

// Dir returns the folder of the recordings.
func Dir() (string, error) {
	root, err := golden.Root()
	if err != nil {
		return "", fmt.Errorf("finding the recordings: %w", err)
	}
	return filepath.Join(root, "tests", "testdata", "conformance"), nil
}

// Load reads all recordings.
func Load() ([]Variant, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	all, err := readJSON(filepath.Join(dir, "exchanges.json.gz"))
	if err != nil {
		return nil, err
	}
	var out []Variant
	for name, v := range all.Object("variants").All() {
		args, _ := v.(*pyjson.Object).Get("args") //nolint:errcheck // a variant is an object
		variant := Variant{Name: name, Args: texts(args)}
		for _, g := range objects(all, "groups") {
			if g.String("variant") != name {
				continue
			}
			for _, c := range objects(g, "cases") {
				variant.Cases = append(variant.Cases, Case{ID: c.String("id"), Tags: tags(c), data: c})
			}
		}
		for _, s := range objects(all, "traces") {
			if s.String("variant") == name {
				variant.Traces = append(variant.Traces, Trace{ID: "ws." + s.String("id"), Tags: tags(s), data: s})
			}
		}
		out = append(out, variant)
	}
	return out, nil
}

func readJSON(file string) (*pyjson.Object, error) {
	packed, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the recordings: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", file, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", file, err)
	}
	return pyjson.UnmarshalObject(data)
}

func tags(o *pyjson.Object) []string {
	v, _ := o.Get("tags")
	return texts(v)
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, len(list))
	for i, e := range list {
		out[i], _ = e.(string)
	}
	return out
}

func objects(o *pyjson.Object, key string) []*pyjson.Object {
	v, _ := o.Get(key)
	list, _ := v.([]any)
	var out []*pyjson.Object
	for _, e := range list {
		if o, ok := e.(*pyjson.Object); ok {
			out = append(out, o)
		}
	}
	return out
}

// vars are the values of {{name}} in the recordings.
type vars map[string]any

// fill puts values in the place of names, everywhere in v.
func (s vars) fill(v any) any {
	switch v := v.(type) {
	case string:
		return s.fillText(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.fill(e)
		}
		return out
	case *pyjson.Object:
		if v == nil {
			return v
		}
		out := pyjson.NewObject()
		for k, e := range v.All() {
			out.Set(pyjson.Str(s.fill(k)), s.fill(e))
		}
		return out
	}
	return v
}

func (s vars) fillText(text string) any {
	if !strings.Contains(text, "{{") {
		return text
	}
	for name, v := range s {
		mark := "{{" + name + "}}"
		value, isText := v.(string)
		if !isText {
			if text == mark {
				return v
			}
			if data, err := pyjson.Marshal(v); err == nil {
				value = string(data)
			}
		}
		text = strings.ReplaceAll(text, mark, value)
	}
	return text
}

func (s vars) text(text string) string { return pyjson.Str(s.fillText(text)) }
