package tests_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestPackSchemas runs packs of the schema API without a ComfyUI checkout: they are described as ComfyUI describes them, and run.
func TestPackSchemas(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	loras := filepath.Join(base, "models", "loras")
	if err := errors.Join(os.MkdirAll(loras, 0o700), os.WriteFile(filepath.Join(loras, "some.safetensors"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	server := startPacksIn(t, base, []string{"schema", "mapped"})
	type inputs = map[string]any
	widgets := inputs{"whole": 3, "part": 0.5, "text": "t", "yes": true, "one": "b"}
	for _, c := range []struct {
		name  string
		nodes map[string]any
		want  string // what is shown
		fails string // part of the error's message
	}{
		{"widgets and hidden values", map[string]any{"1": packNode("SchemaWidgets", widgets)}, "3 0.5 t True b 1 2 None", ""},
		{"inputs that depend on values", map[string]any{"1": packNode("SchemaDynamic", inputs{
			"all.n0": 4, "all.n1": 5, "mode": "more", "mode.x": 8, "named.right": "r",
		})}, "[('n0', 4), ('n1', 5)] {'x': 8, 'y': None, 'mode': 'more'} {'right': 'r'}", ""},
		{"none of those that may be missing", map[string]any{"1": packNode("SchemaDynamic", inputs{"all.n0": 4, "mode": "plain"})}, "[('n0', 4)] {'mode': 'plain'} {}", ""},
		{"lists", map[string]any{"1": packNode("SchemaLists", inputs{"n": 3})}, "0|1|2", ""},
		{"lazy inputs", map[string]any{
			"0": packNode("SchemaOther", inputs{"how": "wrong"}), "2": packNode("SchemaWaits", inputs{"text": "b"}),
			"1": packNode("SchemaLazy", inputs{"first": false, "a": link("0", 0), "b": link("2", 0)}),
		}, "b!", ""},
		{"a coroutine", map[string]any{"1": packNode("SchemaWaits", inputs{"text": "x"})}, "x!", ""},
		{"expansion", map[string]any{"1": packNode("SchemaExpands", inputs{"text": "y"})}, "y!", ""},
		{"by the table of the first API", map[string]any{"1": packNode("MappedNode", inputs{"text": "z"})}, "z of MappedClone", ""},
		{"a tuple", map[string]any{"1": packNode("SchemaOther", inputs{"how": "tuple"})}, "of a tuple", ""},
		{"a dictionary", map[string]any{"1": packNode("SchemaOther", inputs{"how": "dict"})}, "of a dictionary", ""},
		{"flags of clients", map[string]any{"1": packNode("SchemaOther", inputs{"how": "flags"})}, "False16384True", ""},
		{"a replacement of a class", map[string]any{"1": packNode("SchemaOther", inputs{"how": "replace"})}, "registered", ""},
		{"a blocker", map[string]any{"1": packNode("SchemaOther", inputs{"how": "block"})}, "", ""},
		{"a text in place of an output", map[string]any{"1": packNode("SchemaOther", inputs{"how": "text"})}, "", "returned str"},
		{"an attribute of the class", map[string]any{"1": packNode("SchemaOther", inputs{"how": "set"})}, "", "kept cannot be set"},
		{"an expansion that is not declared", map[string]any{"1": packNode("SchemaOther", inputs{"how": "expand"})}, "", "enable_expand"},
		{"a class of a checkout that a pack derives from", map[string]any{"1": packNode("SchemaOther", inputs{"how": "guider"})}, "", "--comfyui"},
		{"a class of a checkout", map[string]any{"1": packNode("SchemaOther", inputs{"how": "vae"})}, "", "comfy.sd.VAE"},
		{"a function of a checkout", map[string]any{"1": packNode("SchemaOther", inputs{"how": "compile"})}, "", "--comfyui"},
		{"a file outside of its folder", map[string]any{"1": packNode("MappedAsks", inputs{"name": "../file.txt"})}, "", "is outside of its folder"},
		{"a class of the program by its name", map[string]any{"1": packNode("MappedAsks", inputs{"name": "scale"})}, "", "nodes.ImageScale is ComfyUI's own"},
		{"a class that derives from a loader", map[string]any{"1": packNode("MappedLora", inputs{
			"model": link("0", 0), "clip": link("0", 0), "lora_name": "some.safetensors", "strength_model": 1, "strength_clip": 1, "more": 1,
		}), "0": packNode("PackShow", inputs{"value": 1})}, "", "nodes.LoraLoader is ComfyUI's own"},
		{"a class that derives from one of the schema API", map[string]any{
			"1": packNode("MappedGuide", inputs{"latent": link("0", 0)}), "0": packNode("PackShow", inputs{"value": 1}),
		}, "", "LTXVAddGuide is ComfyUI's own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := server.run(t, shows(c.nodes, link("1", 0)))
			f := r.Failure()
			if c.fails != "" {
				if f == nil || !strings.Contains(f.Message, c.fails) {
					t.Fatalf("the failure is %+v, want one with %q", f, c.fails)
				}
				return
			}
			if got := shown(r); got != c.want {
				t.Fatalf("shown is %q, want %q; failure %+v", got, c.want, f)
			}
		})
	}
	t.Run("classes that derive from ComfyUI's", func(t *testing.T) { checkDerived(t, server) })
	t.Run("validation", func(t *testing.T) {
		_, err := server.Queue(t.Context(), shows(map[string]any{"1": packNode("SchemaWidgets", inputs{"whole": 7, "part": 0.5, "text": "", "yes": true, "one": "a"})}, link("1", 0)), "")
		if err == nil || !strings.Contains(err.Error(), "7 is not taken") {
			t.Fatalf("a number that the class refuses is answered with %v", err)
		}
	})
	t.Run("descriptions", func(t *testing.T) { checkDescriptions(t, server) })
}

// checkDerived checks the descriptions of classes that derive from ComfyUI's own.
func checkDerived(t *testing.T, server *instance) {
	t.Helper()
	var got map[string]struct {
		Input struct {
			Required map[string][]any
		}
		Order struct {
			Required []string
		} `json:"input_order"`
		Output  []string
		Names   []string `json:"output_name"`
		Aliases []string `json:"search_aliases"`
	}
	if err := server.Get(t.Context(), "/object_info", &got); err != nil {
		t.Fatal(err)
	}
	lora, preview := got["MappedLora"], got["MappedPreview"]
	if want := []string{"model", "clip", "lora_name", "strength_model", "strength_clip", "more"}; !slices.Equal(lora.Order.Required, want) {
		t.Errorf("MappedLora has the inputs %q, want %q", lora.Order.Required, want)
	}
	if files := lora.Input.Required["lora_name"]; len(files) == 0 || !reflect.DeepEqual(files[0], []any{"some.safetensors"}) {
		t.Errorf("the files of MappedLora are %v", files)
	}
	if want := []string{"MODEL", "CLIP"}; !slices.Equal(lora.Output, want) {
		t.Errorf("MappedLora gives %q, want %q", lora.Output, want)
	}
	if !slices.Equal(preview.Output, []string{"IMAGE"}) || !slices.Equal(preview.Names, []string{"images"}) || !slices.Contains(preview.Aliases, "preview image") {
		t.Errorf("MappedPreview is described as %+v", preview)
	}
}

// checkDescriptions compares /object_info with what ComfyUI 0.33.0 recorded for the same packs.
func checkDescriptions(t *testing.T, server *instance) {
	t.Helper()
	recorded, err := os.ReadFile(filepath.Join("testdata", "packs_schema.json")) // of ComfyUI 0.33.0 with the same packs
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	if err := server.Get(t.Context(), "/object_info", &got); err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		if !reflect.DeepEqual(got[name], w) {
			t.Errorf("%s is described as\n%v, want\n%v", name, got[name], w)
		}
	}
	if len(want) != 9 {
		t.Errorf("%d classes are recorded", len(want))
	}
}
