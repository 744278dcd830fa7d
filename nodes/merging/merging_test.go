package merging_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/demo"
	"comfygo/engine"
	"comfygo/engine/dtype"
	_ "comfygo/engine/family/all"
	"comfygo/engine/weights"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/merging"
	"comfygo/tests/golden"
)

// others are weights that no input names, as in upstream's classes; the first ratio is theirs.
var others = []string{"pos_embed", "norm_out.linear.weight", "norm_out.linear.bias", "x_embedder.proj.weight", "x_embedder.proj.bias", "pos_frequencies"}

// TestBlocks merges a model with its double by each class of nodes_model_merging_model_specific, with another ratio for each
// input, and compares every weight. All weights but others belong to an input.
func TestBlocks(t *testing.T) {
	t.Parallel()
	unet, err := demo.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"ModelMergeSD1": unet, "ModelMergeSD2": unet, "ModelMergeSDXL": unet}
	for class, name := range map[string]string{
		"ModelMergeSD3_2B": "sd35-small", "ModelMergeSD35_Large": "sd35-small", "ModelMergeAuraflow": "mod-auraflow", "ModelMergeFlux1": "flux-tiny-dev",
		"ModelMergeQwenImage": "mod-qwen-image", "ModelMergeKrea2": "krea2-small",
		"ModelMergeCosmosPredict2_2B": "cosmos-predict2-i2v-small", "ModelMergeCosmosPredict2_14B": "cosmos-predict2-i2v-small",
		"ModelMergeLTXV": "ltxv-small", "ModelMergeWAN2_1": "wan21-i2v-small",
	} {
		files[class] = golden.Checkpoint(t, name)
	}
	files["ModelMergeMochiPreview"] = listed(t, "../../engine/family/mochi/testdata/network.json")
	files["ModelMergeCosmos7B"] = listed(t, "../../engine/family/cosmos/testdata/network.json")
	files["ModelMergeCosmos14B"] = files["ModelMergeCosmos7B"]
	files["ModelMergeAuraflow"] = divided(t, files["ModelMergeAuraflow"])
	rt := engine.New(engine.Config{Log: slog.New(slog.DiscardHandler)}) // opens no library
	nodes.Default().Walk(func(c *nodes.Class) bool {
		if c.Module == "comfy_extras.nodes_model_merging_model_specific" {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				if files[c.Name] == "" {
					t.Fatal("there is no model to merge")
				}
				checkBlocks(t, rt, c, files[c.Name])
			})
		}
		return true
	})
}

func checkBlocks(t *testing.T, rt *engine.Runtime, c *nodes.Class, path string) {
	ctx := nodes.TestContext(t.Context(), nodes.Services{Engine: rt})
	m, err := rt.LoadModel(path, dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	double, err := m.Merge(t.Context(), m, func(string) (keep, add float64) { return 1, 1 })
	if err != nil {
		t.Fatal(err)
	}
	values, ratios := pyjson.NewObject("model1", m, "model2", double), map[string]float64{}
	for i, in := range c.Inputs()[2:] {
		ratios[in.Name] = float64(i+1) / 100
		values.Set(in.Name, ratios[in.Name])
	}
	n, err := c.Bind(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	was, now := saved(t, rt, m), saved(t, rt, r.Values[0].(*engine.Model))
	for _, name := range was.Names() {
		key, ok := strings.CutPrefix(name, "model.diffusion_model.")
		if !ok {
			continue
		}
		input := ""
		for prefix := range ratios {
			if strings.HasPrefix(key, prefix) && len(prefix) > len(input) {
				input = prefix
			}
		}
		if input == "" {
			if !slices.Contains(others, key) {
				t.Errorf("%s belongs to no input", key)
			}
			input = c.Inputs()[2].Name
		}
		base, got := values32(t, was, name), values32(t, now, name)
		for i, v := range base {
			// float16 has 11 bits, twice rounded; the factors of neighbours are 5e-3 apart. Below 1e-4 its steps are coarser.
			want := float64(v) * (2 - ratios[input])
			if d := math.Abs(float64(got[i]) - want); d > 1.5e-3*math.Abs(want)+1e-6 {
				t.Errorf("%s: value %d is %v, want %v by the ratio of %s", key, i, got[i], want, input)
				break
			}
		}
	}
}

// divided writes a model of AuraFlow with a width that its twelve heads divide, 96 instead of 256, with the first bytes of
// each weight.
func divided(t *testing.T, path string) string {
	t.Helper()
	src := open(t, path)
	var list []weights.Saved
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		e.Shape = slices.Clone(e.Shape)
		for i, d := range e.Shape {
			table := name == "positional_encoding" && i == 1 || strings.HasPrefix(name, "t_embedder.mlp.0.") && i == 1 // sizes that are not the width
			if d%256 == 0 && !table {
				e.Shape[i] = d / 256 * 96
			}
		}
		e.Data = e.Data[:e.Count()*e.DType.Size()]
		list = append(list, weights.Saved{Name: name, Entry: e})
	}
	return written(t, func(w io.Writer) error { return weights.Save(t.Context(), w, nil, list) })
}

// listed writes a model of the shapes that a file lists.
func listed(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	var doc struct {
		Shapes [][2]json.RawMessage `json:"shapes"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	var list []weights.Saved
	for _, s := range doc.Shapes {
		e := weights.Entry{DType: dtype.F32, TypeName: "F32"}
		err = errors.Join(err, json.Unmarshal(s[0], &e.Name), json.Unmarshal(s[1], &e.Shape))
		e.Data = make([]byte, e.Count()*e.DType.Size())
		err = errors.Join(err, weights.FromFloat32(e.Data, golden.Normal(e.Name, e.Shape...).Data, e.DType))
		list = append(list, weights.Saved{Name: e.Name, Entry: e})
	}
	if err != nil {
		t.Fatal(err)
	}
	return written(t, func(w io.Writer) error { return weights.Save(t.Context(), w, nil, list) })
}

// saved writes a model into a file and opens it.
func saved(t *testing.T, rt *engine.Runtime, m *engine.Model) weights.Source {
	t.Helper()
	tensors, err := rt.Checkpoint(engine.Bundle{Model: m}, "title")
	if err != nil {
		t.Fatal(err)
	}
	return open(t, written(t, func(w io.Writer) error { return tensors.Write(t.Context(), w, nil) }))
}

// written returns the path of a file that write writes.
func written(t *testing.T, write func(w io.Writer) error) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func open(t *testing.T, path string) weights.Source {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

func values32(t *testing.T, src weights.Source, name string) []float32 {
	t.Helper()
	e, ok := src.Lookup(name)
	if !ok {
		t.Fatalf("%s is missing", name)
	}
	v, err := weights.Float32s(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
