package workflow_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comfygo/internal/pyjson"
	"comfygo/workflow"
)

// info is /object_info of upstream 0.33.0 without its sentences.
var info = sync.OnceValues(func() (*pyjson.Object, error) {
	f, err := os.Open(filepath.Join("..", "tests", "testdata", "conformance", "object_info_nodesc.json.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var data json.RawMessage
	if err := json.NewDecoder(z).Decode(&data); err != nil {
		return nil, err
	}
	return pyjson.UnmarshalObject(data)
})

func converter(t testing.TB) workflow.Converter {
	t.Helper()
	classes, err := info()
	if err != nil {
		t.Fatal(err)
	}
	return workflow.Converter{
		Definitions: func(class string) *pyjson.Object { return classes.Object(class) },
		Now:         func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) },
		Choose:      func(n int) int { return min(1, n-1) },
	}
}

// convert returns the prompt as encoding/json decodes it.
func convert(t testing.TB, text string) (map[string]any, error) {
	t.Helper()
	saved, err := pyjson.UnmarshalObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := converter(t).Convert(saved)
	if err != nil {
		return nil, err
	}
	data, err := pyjson.Marshal(prompt)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.workflow.json")
	if err != nil || len(files) < 7 {
		t.Fatalf("only %d examples (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := convert(t, string(text))
			if err != nil {
				t.Fatal(err)
			}
			recorded, err := os.ReadFile(strings.TrimSuffix(file, ".workflow.json") + ".prompt.json")
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := json.Unmarshal(recorded, &want); err != nil {
				t.Fatal(err)
			}
			// The front end has its own titles for nodes that were not renamed, and neither class nor title for unknown ones.
			for id, v := range want {
				n := v.(map[string]any)
				other, ok := got[id].(map[string]any)
				if !ok {
					continue
				}
				if n["class_type"] == nil {
					want[id], got[id] = nil, nil
				}
				delete(n, "_meta")
				delete(other, "_meta")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the front end's -, ours +\n%s", diff)
			}
		})
	}
}

// one is a workflow with one node of a class.
func one(class, inputs, values string) string {
	return fmt.Sprintf(`{"nodes": [{"id": 1, "type": %q, "inputs": [%s], "widgets_values": %s}], "links": []}`, class, inputs, values)
}

func TestValues(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ workflow, input, want string }{
		"by name":         {one("EmptyLatentImage", "", `{"height": 32, "width": 16}`), "width", "16"},
		"an exact seed":   {one("RandomNoise", "", `[9007199254740993, "fixed"]`), "noise_seed", "9007199254740993"},
		"one alternative": {one("CLIPTextEncode", "", `["a {red|{big|small} blue|green} {cat|dog} // here"]`), "text", `"a small blue dog "`},
		"a date":          {one("SaveImage", "", `["%date:yyyy-MM-dd_hhmmss%/%date:yy%/%EmptyLatentImage%"]`), "filename_prefix", `"2026-03-04_050607/26/%EmptyLatentImage%"`},
		"a missing value": {one("EmptyLatentImage", "", `[640]`), "height", "512"},
		"a null choice":   {one("KSampler", "", `[1, "fixed", 20, 8, null, null, 1]`), "scheduler", `"simple"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			saved, err := pyjson.UnmarshalObject([]byte(test.workflow))
			if err != nil {
				t.Fatal(err)
			}
			prompt, err := converter(t).Convert(saved)
			if err != nil {
				t.Fatal(err)
			}
			v, _ := prompt.Object("1").Object("inputs").Get(test.input)
			got, err := pyjson.Marshal(v)
			if err != nil || string(got) != test.want {
				t.Errorf("%s is %s (%v), want %s", test.input, got, err, test.want)
			}
		})
	}
}

func TestIsWorkflow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{"nodes": [], "links": []}`:                  true,
		`{"nodes": []}`:                               true,
		`{"nodes": {"class_type": "A"}, "links": {}}`: false,
		`{"1": {"class_type": "A", "inputs": {}}}`:    false,
		`{"nodes": [], "links": {"class_type": "A"}}`: false,
		`[1]`:           false,
		`{"links": []}`: false,
		`{"nodes": null, "links": [], "version": 0.4, "a":1}`: false,
	} {
		v, err := pyjson.Unmarshal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := workflow.IsWorkflow(v); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// nested returns a workflow of subgraphs, each of which holds the next one twice.
func nested(depth int) string {
	var subgraphs []string
	id := func(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }
	for i := range depth {
		inner := id(i + 1)
		if i == depth-1 {
			inner = "EmptyLatentImage"
		}
		subgraphs = append(subgraphs, fmt.Sprintf(`{"id": %q, "name": "s", "inputs": [], "outputs": [], "links": [],
			"nodes": [{"id": %d, "type": %q}, {"id": %d, "type": %q}]}`, id(i), 10+2*i, inner, 11+2*i, inner))
	}
	return `{"nodes": [{"id": 1, "type": "` + id(0) + `"}], "links": [], "definitions": {"subgraphs": [` + strings.Join(subgraphs, ",") + `]}}`
}

func TestWhatCannotBeConverted(t *testing.T) {
	t.Parallel()
	circle := `{"nodes": [{"id": 1, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 2}], "outputs": [{"name": "", "type": "*", "links": [1]}]},
		{"id": 2, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 1}], "outputs": [{"name": "", "type": "*", "links": [2, 3]}]},
		{"id": 3, "type": "PreviewAny", "inputs": [{"name": "source", "type": "*", "link": 3}]}],
		"links": [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 1, 0, "*"], [3, 2, 0, 3, 0, "*"]]}`
	itself := `{"nodes": [{"id": 1, "type": "s"}], "links": [], "definitions": {"subgraphs": [{"id": "s", "nodes": [{"id": 2, "type": "s"}], "links": []}]}}`
	for name, test := range map[string]struct{ text, want string }{
		"no id":         {`{"nodes": [{"type": "KSampler"}]}`, "has no id"},
		"an id twice":   {`{"nodes": [{"id": 1, "type": "VAEDecode"}, {"id": 1, "type": "VAEDecode"}]}`, "two nodes have the id 1"},
		"links around":  {circle, "run in a circle"},
		"itself inside": {itself, workflow.ErrTooLarge.Error()},
		"too many":      {nested(24), workflow.ErrTooLarge.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := convert(t, test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if got, err := convert(t, nested(6)); err != nil || len(got) != 64 {
		t.Errorf("six levels give %d nodes (%v)", len(got), err)
	}
}

func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/*.workflow.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(nested(3))
	c := converter(f)
	f.Fuzz(func(t *testing.T, text string) {
		saved, err := pyjson.UnmarshalObject([]byte(text))
		if err != nil || !workflow.IsWorkflow(saved) {
			return
		}
		before, err := pyjson.Marshal(saved)
		if err != nil {
			return
		}
		prompt, err := c.Convert(saved)
		if err != nil {
			if errors.Unwrap(err) == nil && err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for id, v := range prompt.All() {
			if n, ok := v.(*pyjson.Object); !ok || n.Object("inputs") == nil || !n.Has("class_type") {
				t.Fatalf("node %s is %v", id, v)
			}
		}
		if after, err := pyjson.Marshal(saved); err != nil || string(after) != string(before) {
			t.Error("the workflow was changed")
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	text, err := os.ReadFile("testdata/subgraphs.workflow.json")
	if err != nil {
		b.Fatal(err)
	}
	saved, err := pyjson.UnmarshalObject(text)
	if err != nil {
		b.Fatal(err)
	}
	c := converter(b)
	for b.Loop() {
		if _, err := c.Convert(saved); err != nil {
			b.Fatal(err)
		}
	}
}
