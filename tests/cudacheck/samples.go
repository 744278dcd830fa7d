package cudacheck

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/family/census"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
)

// Sample is a small model file: names, types and shapes of its tensors. Values are zeros, and only those that the host
// reads are there.
type Sample struct {
	Name     string
	Tensors  []weights.Entry
	Metadata map[string]string
	some     bool
}

// places are where the module keeps the tensors of small models: manifests, and goldens which list them. A new family has its goldens
// in one of them, and so is found.
var places = []string{
	"tests/testdata/golden/models/*.json.gz", "tests/testdata/golden/vae/*.json", "tests/testdata/golden/vae/*.json.gz", "engine/family/*/testdata/*.json", "engine/family/*/testdata/*.json.gz",
}

// Samples returns the small models below the root of the module by name, each architecture once.
func Samples(root string) ([]Sample, error) {
	var out []Sample
	for _, place := range places {
		paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(place)))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			found, err := read(path)
			if err != nil {
				return nil, fmt.Errorf("reading the tensors of small models in %s: %w", path, err)
			}
			out = append(out, found...)
		}
	}
	known, err := census.Samples()
	if err != nil {
		return nil, err
	}
	for _, s := range known {
		sample := Sample{Name: s.Name, some: slices.Contains(s.Stored, dtype.U8.String())} // how bytes are packed is not in the sample
		for _, e := range s.Tensors {
			sample.add(e)
		}
		out = append(out, sample)
	}
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(s Sample) bool {
		key := s.key()
		old := seen[key] || seen[s.Name]
		seen[key], seen[s.Name] = true, true
		return old
	})
	slices.SortFunc(out, func(a, b Sample) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// key identifies architectures.
func (s Sample) key() string {
	var b strings.Builder
	for _, e := range s.Tensors {
		fmt.Fprintln(&b, e.Name, e.TypeName, e.Shape)
	}
	return b.String()
}

// Source shows the sample as a file with its floating-point weights in one type, or as they are stored for Invalid.
func (s Sample) Source(stored dtype.DType) weights.Source {
	list := make([]weights.Entry, len(s.Tensors))
	for i, e := range s.Tensors {
		if e.DType.IsFloat() && e.Scheme == nil && stored != dtype.Invalid {
			e.DType, e.TypeName = stored, stored.String()
			e.Data = zeros(e)
		}
		list[i] = e
	}
	return dryrun.DescribedWith(s.Metadata, list)
}

// read lists the models of a file.
func read(path string) ([]Sample, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".json")
	if filepath.Base(filepath.Dir(path)) == "models" {
		m, err := recipe.Parse(raw)
		if err != nil {
			return nil, err
		}
		s := Sample{Name: name, Metadata: m.Metadata}
		for _, t := range m.Tensors {
			s.add(weights.Entry{Name: t.Key, DType: t.DType, TypeName: t.DType.String(), Shape: t.Shape})
		}
		return []Sample{s.sorted()}, nil
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		if raw, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	folder := filepath.Base(filepath.Dir(filepath.Dir(path)))
	var out []Sample
	find(doc, folder+"/"+name, &out)
	return out, nil
}

// Whole reports that the sample is all of a model, as manifests and lists of shapes are: others are what tests add to one.
func (s Sample) Whole() bool { return !s.some }

// find looks for lists of tensors [name, shape, …] in a JSON document.
func find(v any, name string, out *[]Sample) {
	switch v := v.(type) {
	case map[string]any:
		for _, called := range []string{"id", "name"} {
			if text, ok := v[called].(string); ok {
				name += "/" + text
				break
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if s, ok := tensors(v[key]); ok {
				s.Name = name
				s.Metadata, s.some = metadata(v["metadata"]), key != "shapes"
				if key != "weights" && key != "shapes" { // such as the model that another network is for
					s.Name += " " + key
				}
				*out = append(*out, s.sorted())
			} else {
				find(v[key], name+"/"+key, out)
			}
		}
	case []any:
		for _, x := range v {
			find(x, name, out)
		}
	}
}

// metadata reads an object of texts.
func metadata(v any) map[string]string {
	fields, _ := v.(map[string]any)
	out := map[string]string{}
	for key, value := range fields {
		out[key], _ = value.(string)
	}
	return out
}

// tensors reads a list of tensors; false for anything else.
func tensors(v any) (Sample, bool) {
	list, _ := v.([]any)
	var s Sample
	for _, x := range list {
		t, _ := x.([]any)
		if len(t) < 2 {
			return s, false
		}
		name, named := t[0].(string)
		dims, shaped := t[1].([]any)
		if !named || !shaped {
			return s, false
		}
		shape := make([]int, len(dims))
		for i, d := range dims {
			n, ok := d.(float64)
			if !ok {
				return s, false
			}
			shape[i] = int(n)
		}
		s.add(weights.Entry{Name: name, DType: dtype.F16, TypeName: dtype.F16.String(), Shape: shape})
	}
	return s, len(s.Tensors) > 0
}

// none are the bytes of all tensors: zeros, which no one writes to.
var none = sync.OnceValue(func() []byte { return make([]byte, 1<<26) })

// zeros are the bytes of a tensor, none for a large one, which no host reads.
func zeros(e weights.Entry) []byte {
	if n := e.Count() * e.DType.Size(); n <= len(none()) {
		return none()[:n:n]
	}
	return nil
}

// add adds a tensor.
func (s *Sample) add(e weights.Entry) {
	if e.Data == nil {
		e.Data = zeros(e)
	}
	s.Tensors = append(s.Tensors, e)
}

func (s Sample) sorted() Sample {
	slices.SortFunc(s.Tensors, func(a, b weights.Entry) int { return strings.Compare(a.Name, b.Name) })
	return s
}
