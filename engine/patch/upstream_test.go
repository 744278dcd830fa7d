package patch_test

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"comfygo/engine/patch"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// upstreamData is what ComfyUI 0.33.0 makes of LoRA files; testdata/upstream.py wrote it.
//
//go:embed testdata/upstream.json.gz
var upstreamData []byte

type upstreamModel struct {
	KeyMap map[string]string           `json:"keymap"`
	LoRAs  map[string]map[string][]any `json:"loras"`
	Missed map[string][]string         `json:"missed"`
}

var upstream = sync.OnceValues(func() (map[string]upstreamModel, error) {
	z, err := gzip.NewReader(bytes.NewReader(upstreamData))
	if err != nil {
		return nil, err
	}
	var m map[string]upstreamModel
	return m, json.NewDecoder(z).Decode(&m)
})

// model is a model's key map with the shapes of its weights, by key.
type model struct {
	keys   patch.KeyMap
	shapes map[string][]int
}

func (m *model) shape(key string) []int { return m.shapes[key] }

// names takes the tensors below prefix out of a checkpoint's manifest, as the part of a model.
func (m *model) names(t *testing.T, manifest, prefix, part string) weights.Source {
	t.Helper()
	var es []weights.Entry
	for _, row := range rows(t, manifest) {
		if n, ok := strings.CutPrefix(row.Key, prefix); ok {
			es = append(es, weights.Entry{Name: n, DType: row.DType, Shape: row.Shape})
			m.shapes[part+n] = row.Shape
		}
	}
	return source(t, manifest, es...)
}

func rows(t *testing.T, manifest string) []recipe.Tensor {
	t.Helper()
	m, err := recipe.Load(filepath.Join(filepath.Dir(golden.Path(t, "models/x")), manifest+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return m.Tensors
}

// modelOf makes the key map of a test model as its family does.
func modelOf(t *testing.T, name string) *model {
	t.Helper()
	const clipL, clipG = "clip_l.transformer.", "clip_g.transformer."
	m := &model{shapes: map[string][]int{}}
	l := patch.CLIPNames{
		TextNames: patch.TextNames{Part: clipL}, Kohya: []string{"lora_te", "lora_te1"}, Diffusers: []string{"text_encoder"},
		Also: map[string]string{"lora_te1_text_projection": "text_projection.weight"},
	}
	switch name {
	case "sd15":
		m.keys.AddUNet("diffusion_model.", m.names(t, "sd15-small", "model.diffusion_model.", "diffusion_model."), patch.UNetNames{})
		l.Names = m.names(t, "sd15-small", "cond_stage_model.transformer.", clipL).Names()
		m.keys.AddCLIP(l)
	case "sdxl":
		m.keys.AddUNet("diffusion_model.", m.names(t, "sdxl-small", "model.diffusion_model.", "diffusion_model."), patch.UNetNames{})
		l.Names = m.names(t, "clip-l", "", clipL).Names()
		m.keys.AddCLIP(l)
		m.keys.AddCLIP(patch.CLIPNames{
			TextNames: patch.TextNames{Part: clipG, Names: m.names(t, "clip-g", "", clipG).Names()}, Kohya: []string{"lora_te2"}, Diffusers: []string{"text_encoder_2"},
			Also: map[string]string{"lora_prior_te_text_projection": "text_projection.weight", "lora_te2_text_projection": "text_projection.weight"},
		})
	default:
		t.Fatalf("no model %q", name)
	}
	return m
}

// TestKeyMapIsUpstreams compares the maps name by name. ComfyUI's also holds names for layers that the model does not
// have, and its text encoders have a projection even where the file has none.
func TestKeyMapIsUpstreams(t *testing.T) {
	t.Parallel()
	all, err := upstream()
	if err != nil {
		t.Fatal(err)
	}
	for name, up := range all {
		m := modelOf(t, name)
		want := maps.Clone(up.KeyMap)
		maps.DeleteFunc(want, func(_, key string) bool { return m.shapes[key] == nil })
		if len(want) < len(up.KeyMap)*9/10 {
			t.Errorf("%s: only %d of %d names are for weights of the model", name, len(want), len(up.KeyMap))
		}
		for n, target := range m.keys.All() {
			if want[n] != target.Key {
				t.Errorf("%s: %s stands for %q, want %q", name, n, target.Key, want[n])
			}
			delete(want, n)
		}
		for n, key := range want {
			t.Errorf("%s: %s, which is %s, is missing", name, n, key)
		}
	}
}

// TestFilesAreReadAsUpstream reads every LoRA file of the goldens and compares weights, forms, shapes and alphas.
func TestFilesAreReadAsUpstream(t *testing.T) {
	t.Parallel()
	all, err := upstream()
	if err != nil {
		t.Fatal(err)
	}
	for name, up := range all {
		for file, want := range up.LoRAs {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				m := modelOf(t, name)
				f, err := patch.Read(loraFile(t, file), &m.keys, m.shape)
				if err != nil {
					t.Fatal(err)
				}
				left := maps.Clone(want)
				for _, p := range f.Patches() {
					if got, want := text(recorded(p.Adapter)), text(left[p.Target.Key]); got != want {
						t.Errorf("%s: %s, want %s", p.Target.Key, got, want)
					}
					delete(left, p.Target.Key)
				}
				for key := range left {
					t.Errorf("%s is not changed", key)
				}
				var missed []string
				for _, k := range up.Missed[file] {
					missed = append(missed, strings.TrimSuffix(strings.TrimSuffix(k, ".lora_A.weight"), ".lora_B.weight"))
				}
				slices.Sort(missed)
				if got := slices.Sorted(slices.Values(f.Skipped())); !slices.Equal(got, slices.Compact(missed)) {
					t.Errorf("%d layers are left out, want %d: %v", len(got), len(missed), got)
				}
			})
		}
	}
}

// TestPEFTNames: with them, every layer of a file of current diffusers belongs to the model.
func TestPEFTNames(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"sd15": "lora-diffusers", "sdxl": "lora-sdxl-diffusers"} {
		m := modelOf(t, name)
		src := m.names(t, map[string]string{"sd15": "sd15-small", "sdxl": "sdxl-small"}[name], "model.diffusion_model.", "diffusion_model.")
		m.keys.AddUNet("diffusion_model.", src, patch.UNetNames{PEFT: true})
		f, err := patch.Read(loraFile(t, file), &m.keys, m.shape)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Skipped()) > 0 || 2*len(f.Patches()) != len(loraFile(t, file).Names()) {
			t.Errorf("%s: %d changes, left out: %v", file, len(f.Patches()), f.Skipped())
		}
	}
}

// loraFile opens a LoRA of the goldens. The one of full changes is large: its tensors are made as zeros.
func loraFile(t *testing.T, name string) weights.Source {
	t.Helper()
	if name != "lora-diff" {
		src, err := weights.Open(golden.Checkpoint(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	var es []weights.Entry
	for _, row := range rows(t, name) {
		n := row.DType.Size()
		for _, d := range row.Shape {
			n *= d
		}
		es = append(es, weights.Entry{Name: row.Key, DType: row.DType, Shape: row.Shape, Data: make([]byte, n)})
	}
	return source(t, name, es...)
}

// text prints numbers alike, whatever types they have.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// recorded describes an adapter as testdata/upstream.py does.
func recorded(a patch.Adapter) []any {
	shape := func(e *weights.Entry) any {
		if e == nil {
			return nil
		}
		return e.Shape
	}
	alpha := func(v *float64) any {
		if v == nil {
			return nil
		}
		return *v
	}
	switch a := a.(type) {
	case *patch.LowRank:
		var reshape any
		if a.Reshape != nil {
			reshape = a.Reshape
		}
		return []any{"lora", shape(&a.Up), shape(&a.Down), alpha(a.Alpha), shape(a.Mid), shape(a.DoraScale), reshape}
	case *patch.Diff:
		return []any{"diff", []any{shape(&a.Delta)}}
	case *patch.Set:
		return []any{"set", []any{shape(&a.Value)}}
	case *patch.LoHa:
		return []any{"loha", shape(&a.W1A), shape(&a.W1B), alpha(a.Alpha), shape(&a.W2A), shape(&a.W2B), shape(a.T1), shape(a.T2), shape(a.DoraScale)}
	case *patch.LoKr:
		return []any{"lokr", shape(a.W1), shape(a.W2), alpha(a.Alpha), shape(a.W1A), shape(a.W1B), shape(a.W2A), shape(a.W2B), shape(a.T2), shape(a.DoraScale)}
	case *patch.GLoRA:
		return []any{"glora", shape(&a.A1), shape(&a.A2), shape(&a.B1), shape(&a.B2), alpha(a.Alpha), shape(a.DoraScale)}
	case *patch.OFT:
		return []any{strings.ToLower(a.Form()), shape(&a.Blocks), shape(a.Rescale), alpha(a.Alpha), shape(a.DoraScale)}
	}
	return []any{fmt.Sprintf("%T", a)}
}
