package browser_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/apiclient"
	"comfygo/tests/browser"
)

// axeFile is where `make sdks` puts axe-core.
var axeFile = filepath.Join("..", "..", "bin", "sdks", "node", "node_modules", "axe-core", "axe.min.js")

// TestAxe runs axe-core over every view of our own pages, in light and dark: no finding that is serious or critical.
func TestAxe(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(axeFile)
	if err != nil {
		t.Skip("NOT TESTED: axe-core is not here. Run `make sdks` to install it, and then the tests again.")
	}
	open := browser.Start(t, "--demo-model")
	workflow, err := os.ReadFile(filepath.Join("..", "..", "demo", "workflow.json"))
	if err != nil {
		t.Fatal(err)
	}
	client := &apiclient.Client{Base: open.Base}
	if _, err := client.Do(t.Context(), "POST", "/prompt", "application/json", strings.NewReader(`{"prompt": `+string(workflow)+`}`)); err != nil {
		t.Fatal(err)
	}
	locked := browser.Start(t, "--demo-model", "--auth")
	for _, scheme := range []string{"light", "dark"} {
		p := browser.Open(t, open, "/app")
		p.Prefer("prefers-color-scheme", scheme)
		p.Reload()
		p.Wait("#run")
		judge(t, p, string(axe), scheme+" /app")
		for _, view := range []string{"queue", "gallery", "history", "models", "health"} {
			p.Click("a[data-view=" + view + "]")
			p.Wait("main h1")
			judge(t, p, string(axe), scheme+" "+view)
		}
		for path, ready := range map[string]string{"/manage": "h1", "/login": "h1"} {
			q := browser.Open(t, locked, path)
			q.Prefer("prefers-color-scheme", scheme)
			q.Reload()
			q.Wait(ready)
			judge(t, q, string(axe), scheme+" "+path)
		}
	}
}

// judge runs axe-core on the page as it is.
func judge(t *testing.T, p *browser.Page, axe, where string) {
	t.Helper()
	text := browser.Eval[string](p, axe+`;
		axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
			.map((v) => ({ id: v.id, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => n.target.join(" ") + ": " + n.failureSummary) }))))`)
	var found []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	for _, f := range found {
		t.Errorf("%s: %s (%s)\n%s", where, f.ID, f.Help, strings.Join(f.Nodes, "\n"))
	}
}
