package browser_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"comfygo/tests/browser"
)

// absent is a workflow of a core class that is not built, and of a custom one whose pack the workflow names.
const absent = `{"last_node_id": 2, "last_link_id": 0, "links": [], "groups": [], "config": {}, "extra": {}, "version": 0.4, "nodes": [
	{"id": 1, "type": "TrainLoraNode", "pos": [100, 200], "size": [300, 100], "flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {"cnr_id": "comfy-core", "ver": "0.33.0"}, "widgets_values": []},
	{"id": 2, "type": "FancyNode", "pos": [500, 200], "size": [300, 100], "flags": {}, "order": 1, "mode": 0, "inputs": [], "outputs": [], "properties": {"cnr_id": "fancy-pack", "ver": "1.2"}, "widgets_values": []}]}`

// TestFrontEndNamesMissingNodes: the panel of missing nodes names them and doesn't tell to upgrade ComfyUI or to enable a manager.
func TestFrontEndNamesMissingNodes(t *testing.T) {
	t.Parallel()
	f := openFront(t)
	f.closeDialogs()
	browser.Eval[chromedp.Void](f.Page, "void app.loadGraphData("+absent+", true, true, 'absent')")
	f.settle()
	f.ClickText("button", "View details")
	f.settle()
	f.Shot("missing")
	text := browser.Eval[string](f.Page, "document.body.innerText")
	if wrong := regexp.MustCompile(`(?i)upgrade|update|newer version|manager`).FindString(text); wrong != "" {
		t.Errorf("the page says %q", wrong)
	}
	for _, want := range []string{"TrainLoraNode", "not available in comfygo yet", "fancy-pack", "custom_nodes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page doesn't say %q but\n%s", want, text)
		}
	}
}
