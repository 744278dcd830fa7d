package server_test

import "testing"

func TestConvert(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const want = `{"prompt": {"1": {"inputs": {"value": 42}, "class_type": "Number", "_meta": {"title": "Number"}}, ` +
		`"3": {"inputs": {"value": ["1", 0]}, "class_type": "Show", "_meta": {"title": "look"}}}}`
	r.expect("POST", "/api/workflow/convert", savedWorkflow, 200, want)
	r.expect("POST", "/api/workflow/convert", `{"workflow": `+savedWorkflow+`}`, 200, want)
	for _, body := range []string{
		`{}`, `[]`, `"x"`, `{"workflow": 1}`, `{"workflow": {"nodes": 1}}`, `{"nodes": [{"type": "Number"}], "links": []}`,
		`{"1": {"class_type": "Number", "inputs": {}}}`,
	} {
		r.expect("POST", "/api/workflow/convert", body, 400, `"invalid_workflow"`)
	}
	r.expect("GET", "/queue", "", 200, `"queue_pending": []`)
}
