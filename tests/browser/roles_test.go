package browser_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"comfygo/tests/browser"
)

// TestPagesByRole signs in as users of different roles: the pages offer what the role may do, and nothing that the server would refuse.
func TestPagesByRole(t *testing.T) {
	t.Parallel()
	s, admin := managed(t)
	keyOf := func(name, role string) string {
		t.Helper()
		if status, body := send(t, "POST", s.Base+"/api/auth/users", admin, `{"name": "`+name+`", "role": "`+role+`"}`); status != http.StatusCreated {
			t.Fatalf("making %s: %d %s", name, status, body)
		}
		status, body := send(t, "POST", s.Base+"/api/auth/keys", admin, `{"name": "of `+name+`", "user": "`+name+`"}`)
		var made struct {
			Key string `json:"key"`
		}
		if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusCreated {
			t.Fatalf("a key for %s: %d %s", name, status, body)
		}
		return made.Key
	}
	for _, c := range []struct {
		role    string
		run     bool   // Run can be pressed
		clear   bool   // queue and history can be cleared
		free    bool   // memory can be freed
		pause   bool   // the queue can be paused
		managed string // the views of /manage
	}{
		{"Viewer", false, false, false, false, "workflows"},
		{"User", true, true, false, false, "workflows"},
		{"Administrator", true, true, true, true, "keys users roles workflows sessions audit"},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			key := keyOf("a "+c.role, c.role)
			p := signedIn(t, s, key, "/app")
			p.Forget()
			p.WaitFor("the workflow is there", "document.querySelector('#run')")
			expect := func(what, condition string, want bool) {
				t.Helper()
				if got := browser.Eval[bool](p, "!!("+condition+")"); got != want {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			visible := func(selector, text string) string {
				return "[...document.querySelectorAll(" + jsString(selector) + ")].some(b => b.textContent.includes(" + jsString(text) + ") && b.checkVisibility())"
			}
			expect("Run can be pressed", "!document.querySelector('#run').disabled", c.run)
			expect("the reason names the role", "document.querySelector('#run-reason').textContent.includes('the role Viewer')", !c.run)
			view(p, "queue")
			expect("the queue can be cleared", visible(".page-head button", "Clear"), c.clear)
			expect("the queue can be paused", visible(".page-head button", "Pause"), c.pause)
			p.Click("a[data-view=history]")
			p.WaitFor("the history is there", "document.querySelector('.page-head h1')?.textContent === 'History'")
			expect("the history can be cleared", visible(".page-head button", "Clear"), c.clear)
			view(p, "health")
			expect("memory can be freed", visible(".page-head button", "Free memory"), c.free)
			p.Shot("health-" + c.role)
			p.Goto("/manage")
			p.WaitFor("a view of it is there", "document.querySelector('#tabs a[aria-current=page]')")
			if got := browser.Eval[string](p, "[...document.querySelectorAll('#tabs a')].map(a => a.dataset.view).join(' ')"); got != c.managed {
				t.Errorf("/manage shows %q, want %q", got, c.managed)
			}
			p.Shot("manage-" + c.role)
			p.Clean()
		})
	}
}
