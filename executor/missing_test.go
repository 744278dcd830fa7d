package executor_test

import (
	"context"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// TestMissingClasses: the message says why a class is not there.
func TestMissingClasses(t *testing.T) {
	t.Parallel()
	const workflow = `{"nodes": [
		{"id": 1, "type": "FromRegistry", "properties": {"cnr_id": "some-pack", "ver": "1.2.3"}},
		{"id": 2, "type": "FromGitHub", "properties": {"aux_id": "owner/name"}},
		{"id": 3, "type": "Newer", "properties": {"cnr_id": "comfy-core", "ver": "0.99.0"}},
		{"id": 4, "type": "Strange", "properties": {"cnr_id": "a\u001b\nb"}},
		{"id": 5, "type": "Silent", "properties": []}, 6, null
	], "definitions": {"subgraphs": [{"nodes": {"7": {"type": "Inner", "properties": {"cnr_id": "inner-pack"}}}}, 3]}}`
	e := executor.New(executor.Config{Registry: nodes.NewRegistry()})
	for class, want := range map[string]string{
		"SAM3_Detect":  "Node 'SAM3_Detect' not found. 'SAM3_Detect' is a core node of ComfyUI 0.33, not available in comfygo yet; it uses the SAM 3 segmentation model.",
		"FromRegistry": "Node 'FromRegistry' not found. It belongs to the custom node pack 'some-pack' 1.2.3, which is not installed.",
		"FromGitHub":   "Node 'FromGitHub' not found. It belongs to the custom node pack github.com/owner/name, which is not installed.",
		"Newer":        "Node 'Newer' not found. The workflow has 'Newer' as a core node of ComfyUI 0.99.0; comfygo has the nodes of ComfyUI 0.33.",
		"Strange":      "Node 'Strange' not found. It belongs to the custom node pack 'ab', which is not installed.",
		"Inner":        "Node 'Inner' not found. It belongs to the custom node pack 'inner-pack', which is not installed.",
		"Silent":       "Node 'Silent' not found. The custom node may not be installed.",
		"Unknown":      "Node 'Unknown' not found. The custom node may not be installed.",
	} {
		for _, saved := range []string{workflow, `{"nodes": 3, "definitions": []}`, ""} {
			var graph *pyjson.Object
			if saved != "" {
				var err error
				if graph, err = pyjson.UnmarshalObject([]byte(saved)); err != nil {
					t.Fatal(err)
				}
			}
			prompt := pyjson.NewObject("1", pyjson.NewObject("class_type", class, "inputs", pyjson.NewObject()))
			verdict, err := e.Validate(executor.InWorkflow(t.Context(), graph), "id", prompt, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := verdict.Error.String("message")
			if saved == workflow && got != want {
				t.Errorf("%s: %q, want %q", class, got, want)
			}
			if saved != workflow && class != "SAM3_Detect" && !strings.HasSuffix(got, "The custom node may not be installed.") {
				t.Errorf("%s without a pack: %q", class, got)
			}
		}
	}
}

// slowSource has classes that are not there yet.
type slowSource struct{ why string }

func (slowSource) Refresh(context.Context) {}
func (slowSource) Wait(context.Context)    {}
func (s slowSource) Pending() string       { return s.why }

// TestPendingClasses: while classes of another process are not there, the message says so instead of what the class would take.
func TestPendingClasses(t *testing.T) {
	t.Parallel()
	r := nodes.NewRegistry()
	e := executor.New(executor.Config{Registry: r})
	for _, c := range []struct{ why, want string }{
		{"Try again soon.", "Node 'Pack' not found. Try again soon."},
		{"", "Node 'Pack' not found. The custom node may not be installed."},
	} {
		r.SetSource(slowSource{c.why})
		v, err := e.Validate(t.Context(), "id", pyjson.NewObject("1", pyjson.NewObject("class_type", "Pack", "inputs", pyjson.NewObject())), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Error.String("message"); got != c.want || v.Error.String("type") != "missing_node_type" {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
