package server_test

import (
	"strings"
	"testing"

	"comfygo/internal/pyjson"
)

// savedWorkflow is a workflow as the front end saves it: a number that is shown through a reroute, and a note.
const savedWorkflow = `{"version": 0.4, "last_node_id": 4, "nodes": [
	{"id": 1, "type": "Number", "mode": 0, "inputs": [], "outputs": [{"name": "INT", "type": "INT", "links": [1]}], "widgets_values": [42]},
	{"id": 2, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 1}], "outputs": [{"name": "", "type": "*", "links": [2]}]},
	{"id": 3, "type": "Show", "title": "look", "inputs": [{"name": "value", "type": "*", "link": 2}], "outputs": []},
	{"id": 4, "type": "Note", "widgets_values": ["nothing"]}],
	"links": [[1, 1, 0, 2, 0, "INT"], [2, 2, 0, 3, 0, "*"]]}`

func TestSavedWorkflowIsConverted(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, body := range []string{
		`{"prompt": ` + savedWorkflow + `}`,
		`{"workflow": ` + savedWorkflow + `, "extra_data": {"k": 1}}`,
	} {
		id := r.queue(body)
		r.until("the job has run", func() bool { return strings.Contains(r.do("GET", "/history/"+id, "").body, `"completed": true`) })
		history, err := pyjson.UnmarshalObject([]byte(r.do("GET", "/history/"+id, "").body))
		if err != nil {
			t.Fatal(err)
		}
		entry, _ := history.Object(id).Get("prompt")
		job := entry.([]any)
		prompt, err := pyjson.Marshal(job[2])
		if err != nil {
			t.Fatal(err)
		}
		want := `{"1": {"inputs": {"value": 42}, "class_type": "Number", "_meta": {"title": "Number"}}, ` +
			`"3": {"inputs": {"value": ["1", 0]}, "class_type": "Show", "_meta": {"title": "look"}}}`
		if string(prompt) != want {
			t.Errorf("the prompt is\n%s, want\n%s", prompt, want)
		}
		if job[3].(*pyjson.Object).Object("extra_pnginfo").Object("workflow").Len() == 0 {
			t.Errorf("the job does not carry the workflow: %v", job[3])
		}
	}
}

func TestSavedWorkflowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.expect("POST", "/prompt", `{"prompt": {"nodes": [{"type": "Number"}], "links": []}}`, 400, `"invalid_workflow"`)
	r.expect("POST", "/prompt", `{"prompt": {"nodes": [{"id": 1, "type": "Other"}], "links": []}}`, 400, `"missing_node_type"`)
}
