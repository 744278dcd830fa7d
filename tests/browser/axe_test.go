package browser_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"comfygo/tests/browser"
)

// axeFile is where `make sdks` puts axe-core.
var axeFile = filepath.Join("..", "..", "bin", "sdks", "node", "node_modules", "axe-core", "axe.min.js")

// axe is the source of axe-core, empty where it is not installed; TestAxe says so.
var axe = sync.OnceValue(func() string {
	source, err := os.ReadFile(axeFile)
	if err != nil {
		return ""
	}
	return string(source)
})

// TestAxe judges the wide pages, and those without a tab of their own. TestAppPhone and TestManageAccessible judge every view on a phone,
// light and dark.
func TestAxe(t *testing.T) {
	t.Parallel()
	if axe() == "" {
		t.Skip("NOT TESTED: axe-core is not here. Run `make sdks` to install it, and then the tests again.")
	}
	t.Run("app", func(t *testing.T) {
		t.Parallel()
		_, p := made(t, nil)
		for _, name := range appViews {
			view(p, name)
			p.Shot("view-" + name)
			judge(t, p, name)
		}
		view(p, "gallery")
		p.Click(".tile")
		p.Wait(".lb-side .facts")
		judge(t, p, "lightbox")
		p.Goto("/docs/api")
		p.Wait("h1")
		p.Shot("api")
		judge(t, p, "the API's description")
		p.Prefer("prefers-color-scheme", "dark")
		p.Shot("api-dark")
		judge(t, p, "the API's description in the dark")
	})
	t.Run("manage", func(t *testing.T) {
		t.Parallel()
		s, key := managed(t)
		p := browser.Open(t, s, "/manage")
		p.Wait("#key")
		judge(t, p, "signing in")
		p.Type("#key", key+"\r")
		p.Wait(".list")
		p.Click("#new-key")
		p.Wait("dialog[open]")
		p.Shot("new-key")
		judge(t, p, "the dialog of a new key")
		p.Prefer("prefers-color-scheme", "dark")
		judge(t, p, "the dialog of a new key in the dark")
		q := browser.Open(t, s, "/login")
		q.Wait("h1")
		for _, scheme := range []string{"light", "dark"} {
			q.Prefer("prefers-color-scheme", scheme)
			q.Shot("login-" + scheme)
			judge(t, q, "/login "+scheme)
		}
	})
	t.Run("welcome", func(t *testing.T) {
		t.Parallel()
		p := browser.Open(t, browser.Start(t), "/app")
		p.Wait(".welcome")
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer("prefers-color-scheme", scheme)
			p.Shot("welcome-" + scheme)
			judge(t, p, "without a model, "+scheme)
		}
	})
}

// judge runs axe-core on the page as it is: a finding that is serious or critical fails the test.
func judge(t *testing.T, p *browser.Page, where string) {
	t.Helper()
	if axe() == "" {
		return
	}
	text := browser.Eval[string](p, "(() => { if (!window.axe) { "+axe()+"; } })();"+`
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
