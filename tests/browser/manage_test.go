package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"

	"comfygo/tests/browser"
)

// managed is a server with a key store in which ada is an administrator, and her key.
func managed(t *testing.T, flags ...string) (*browser.Server, string) {
	t.Helper()
	if _, err := browser.Find(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	db := filepath.Join(t.TempDir(), "auth.db")
	run := func(words ...string) string {
		cmd := exec.CommandContext(t.Context(), browser.Program(t), append(words, "--auth-db", db, "--json")...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("comfygo %s: %v\n%s", strings.Join(words, " "), err, out)
		}
		return string(out)
	}
	run("users", "create", "ada", "--role", "Administrator")
	var key struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal([]byte(run("keys", "create", "--user", "ada", "--name", "first")), &key); err != nil || key.Key == "" {
		t.Fatalf("making the first key: %v", err)
	}
	return browser.Start(t, append([]string{"--demo-model", "--auth", "--auth-db", db}, flags...)...), key.Key
}

// signedIn opens the page and signs in, all by keyboard.
func signedIn(t *testing.T, s *browser.Server, key, path string) *browser.Page {
	t.Helper()
	p := browser.Open(t, s, path)
	p.WaitFor("the field for the key has the focus", "document.activeElement?.id === 'key'")
	p.Shot("sign-in")
	p.Press(key)
	p.Press(kb.Enter)
	p.WaitFor("one is in", "document.querySelector('.list, #run')")
	return p
}

// ask makes a request with a key and returns the status and the body.
func ask(t *testing.T, method, url, key string) (int, string) {
	t.Helper()
	return send(t, method, url, key, "")
}

// send is ask with a body.
func send(t *testing.T, method, url, key, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data)
}

var wholeKey = regexp.MustCompile(`^cgo_[0-9a-f]+_[0-9a-f]{64,}$`)

// TestManageKeys makes a key, uses it for a request and a socket, and revokes it: the socket closes within seconds.
func TestManageKeys(t *testing.T) {
	t.Parallel()
	s, first := managed(t)
	p := signedIn(t, s, first, "/manage")
	p.Clean("request: 401 GET .*/api/auth/me$")
	p.Forget()
	p.Click("#new-key")
	p.Wait("dialog[open]")
	p.Press("render farm")
	p.Shot("new-key")
	p.Press(kb.Enter)
	p.Wait("#secret")
	p.Shot("secret")
	key := p.Text("#secret")
	if !wholeKey.MatchString(key) {
		t.Fatalf("the key has an odd form, %d characters", len(key))
	}
	p.Press(kb.Escape)
	p.WaitFor("the key is listed", "document.querySelectorAll('.list tbody tr').length === 2")
	p.Shot("keys")
	secret := key[strings.LastIndexByte(key, '_')+1:]
	if browser.Eval[bool](p, "document.documentElement.outerHTML.includes("+jsString(secret[:12])+")") {
		t.Error("the key is still in the page")
	}
	if status, body := ask(t, "GET", s.Base+"/api/auth/me", key); status != http.StatusOK || !strings.Contains(body, `"name":"ada"`) {
		t.Fatalf("the new key: status %d, %s", status, body)
	}
	closed := listen(t, s.Base, key)
	p.Click("a[data-view=sessions]")
	p.WaitFor("the socket is listed", "[...document.querySelectorAll('.list tr')].some(r => r.dataset.key === "+jsString(strings.Split(key, "_")[1])+")")
	p.Shot("sessions")
	p.Click("a[data-view=keys]")
	// The list is drawn anew when it has been read; a click by coordinates could meet the old one, or the one of the sessions.
	p.WaitFor("the key can be revoked", "(b => b && (b.click(), true))(document.querySelector('[aria-label=\"Revoke key render farm\"]'))")
	p.Wait("dialog[open]")
	p.Shot("revoke")
	began := time.Now()
	p.ClickText("dialog button", "Revoke")
	select {
	case err := <-closed:
		var end websocket.CloseError
		if !errors.As(err, &end) || end.Code != 4401 {
			t.Errorf("the socket ended with %v, want code 4401", err)
		}
		t.Logf("the socket closed %v after the button was pressed", time.Since(began).Round(time.Millisecond))
	case <-time.After(10 * time.Second):
		t.Fatal("the socket is open 10 s after its key was revoked")
	}
	p.WaitFor("the key is shown as revoked", "document.querySelector('.list .gone .tag')?.textContent === 'revoked'")
	if status, _ := ask(t, "GET", s.Base+"/api/auth/me", key); status != http.StatusUnauthorized {
		t.Errorf("the revoked key: status %d, want 401", status)
	}
	p.Click("a[data-view=audit]")
	p.WaitFor("the log tells of it", "[...document.querySelectorAll('.list tr')].some(r => r.textContent.includes('revoked'))")
	p.Shot("audit")
	if browser.Eval[bool](p, "document.body.textContent.includes("+jsString(secret[:12])+")") {
		t.Error("the key is in the audit log")
	}
	p.Clean()
}

// listen opens a socket with a key; the channel reports why it ended.
func listen(t *testing.T, base, key string) <-chan error {
	t.Helper()
	conn, answer, err := websocket.Dial(t.Context(), strings.Replace(base, "http", "ws", 1)+"/ws?clientId=test", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + key}},
	})
	if err != nil {
		t.Fatalf("opening a socket: %v", err)
	}
	if answer.Body != nil {
		_ = answer.Body.Close()
	}
	closed := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		cancel()
		_ = conn.CloseNow()
	})
	go func() {
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				closed <- err
				return
			}
		}
	}()
	return closed
}

// TestManageRest walks through users, roles and workflows, and signs out.
func TestManageRest(t *testing.T) {
	t.Parallel()
	s, first := managed(t)
	p := signedIn(t, s, first, "/manage")
	p.Forget()
	p.Click("a[data-view=users]")
	p.ClickText("button", "New user")
	p.Wait("dialog[open]")
	p.Press("<b>grace</b>")
	p.Press(kb.Enter)
	p.WaitFor("the user is listed", "document.querySelectorAll('.list tbody tr').length === 2 && document.body.textContent.includes('<b>grace</b>')")
	role := "[...document.querySelectorAll('.list select')].find(e => e.ariaLabel.includes('grace'))"
	browser.Eval[chromedp.Void](p, "(() => { const e = "+role+"; e.value = 'Viewer'; e.dispatchEvent(new Event('change')) })()")
	p.WaitFor("the role is changed", "document.querySelector('.notice')?.textContent.includes('Viewer now') && "+role+"?.value === 'Viewer'")
	p.Shot("users")
	p.Click("a[data-view=roles]")
	p.ClickText("button", "New role")
	p.Wait("dialog[open]")
	p.Press("artist")
	p.Press(kb.Enter)
	p.Wait("details[data-name=artist]")
	p.Click("details[data-name=artist] > summary")
	p.Click("details[data-name=artist] [aria-label='Take POST /free from artist']")
	p.WaitFor("the permission is gone", "document.querySelector('details[data-name=artist][open]') && !document.querySelector(\"[aria-label='Take POST /free from artist']\")")
	p.Fill("details[data-name=artist] .limits input", "7")
	p.Click("details[data-name=artist] .limits button")
	p.WaitFor("the limit is saved", "fetch('api/auth/roles/artist').then(r => r.json()).then(r => r.limits.queued === 7)")
	p.Shot("roles")
	p.Click("a[data-view=workflows]")
	p.WaitFor("there is none", "document.querySelector('.empty')")
	p.Choose("#flow-file", file(t, "Demo House.json", demoGraph(t, nil)))
	p.Wait("dialog[open]")
	p.Shot("workflow")
	p.Click("dialog .check input")
	p.ClickText("dialog button", "Register")
	p.WaitFor("it is listed as public", "document.querySelector('.list tr[data-name=demo-house] .tag')?.textContent === 'public' && document.querySelector('.list').textContent.includes('negative, prompt, seed')")
	if status, body := ask(t, "POST", s.Base+"/api/workflows/demo-house/run", first); status != http.StatusOK {
		t.Errorf("running the workflow: status %d, %s", status, body)
	}
	p.Clean()
	p.Click("#sign-out")
	p.Wait("#key")
	if got := browser.Eval[string](p, "fetch('api/auth/keys').then(r => String(r.status))"); got != "401" {
		t.Errorf("after signing out the keys are answered with %s", got)
	}
	p.Press("cgo_wrong" + kb.Enter)
	p.WaitFor("a wrong key is refused", "document.querySelector('.form-error').textContent === 'This key is not valid.'")
	p.Shot("refused")
}

// TestManageAccessible checks every view on a phone, light and dark, and as a screen reader does.
func TestManageAccessible(t *testing.T) {
	t.Parallel()
	s, first := managed(t)
	for _, scheme := range []string{"light", "dark"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			p := browser.Blank(t, s.Base)
			p.Prefer("prefers-color-scheme", scheme)
			p.Phone()
			p.Goto("/manage")
			p.Wait("#key")
			p.Type("#key", first+"\r")
			p.Wait(".list")
			for _, view := range []string{"keys", "users", "roles", "workflows", "sessions", "audit"} {
				p.Click("a[data-view=" + view + "]")
				p.WaitFor(view+" is shown", "document.querySelector('main h1')?.textContent.toLowerCase() === "+jsString(view)+" && document.querySelector('main .list, main .roles, main .empty')")
				p.Shot("view-" + view)
				judge(t, p, view)
				if got := browser.Eval[string](p, "document.documentElement.scrollWidth + ' of ' + innerWidth"); got != "390 of 390" {
					t.Errorf("%s: the page is %s wide", view, got)
				}
				for _, x := range p.Speaks() {
					switch x.Role {
					case "textbox", "spinbutton", "combobox", "checkbox", "button", "link", "searchbox", "table":
						if strings.TrimSpace(x.Name) == "" {
							t.Errorf("%s: a %s has no name", view, x.Role)
						}
					}
				}
				if n := p.Count("main h1"); n != 1 {
					t.Errorf("%s: %d headings of the first rank", view, n)
				}
			}
		})
	}
}

// TestManageWithoutStore checks that the page explains why there is nothing to manage.
func TestManageWithoutStore(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, browser.Start(t), "/manage")
	p.WaitFor("it says how", "document.querySelector('.empty')?.textContent.includes('--auth')")
	p.Shot("off")
	p.Clean()
}

// TestManageWorkers shows the worker of a server, lets it take no more jobs and take some again; with a key store, the tab is beside the others.
func TestManageWorkers(t *testing.T) {
	t.Parallel()
	if _, err := browser.Find(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	s := browser.Start(t, "--workers", "1", "--cpu", "--disable-all-custom-nodes")
	p := browser.Open(t, s, "/manage")
	p.WaitFor("the worker is listed", "document.querySelector('.list tbody .tag')?.textContent === 'idle'")
	p.Shot("workers")
	press := func(what string) {
		// The list is drawn anew when it has been read: a click by coordinates could miss it.
		p.WaitFor(what+" can be pressed", "(b => b && (b.click(), true))(document.querySelector('.list [aria-label^=\""+what+"\"]'))")
	}
	press("Drain")
	p.Wait("dialog[open]")
	p.ClickText("dialog button", "Drain")
	p.WaitFor("it is drained", "document.querySelector('.list tbody .tag')?.textContent === 'drained'")
	p.Shot("drained")
	press("Resume")
	p.WaitFor("it is idle again", "document.querySelector('.list tbody .tag')?.textContent === 'idle'")
	p.Clean()
	status, metrics := ask(t, "GET", s.Base+"/metrics", "")
	for _, name := range []string{"comfygo_worker_up{", "comfygo_worker_vram_bytes{", "comfygo_worker_jobs_finished_total{"} {
		if status != http.StatusOK || !strings.Contains(metrics, "\n"+name) {
			t.Errorf("/metrics has no %s: %d", name, status)
		}
	}
}

// TestAppWithStore uses the page as an administrator and checks the links to the keys and to log out.
func TestAppWithStore(t *testing.T) {
	t.Parallel()
	s, first := managed(t)
	p := browser.Open(t, s, "/app")
	p.Wait("#key")
	p.Type("#key", first+"\r")
	p.Wait("#run")
	p.Click("#run")
	p.WaitFor("the image is there", done)
	p.Shot("signed-in")
	p.Click("a[href=manage]")
	p.Wait(".list")
	p.Click("#back")
	p.Wait("#sign-out")
	p.Click("#sign-out")
	p.Wait("#key")
	if _, err := os.Stat(filepath.Join(s.Dir, "output")); err != nil {
		t.Error(err)
	}
}

// TestAppAsGuest registers a workflow for guests and runs it as one: there is nothing else on the guest's page.
func TestAppAsGuest(t *testing.T) {
	t.Parallel()
	s, first := managed(t)
	for _, x := range []struct{ path, body string }{
		{"/api/auth/users", `{"name": "visitor", "role": "Guest"}`},
		{"/api/workflows", `{"name": "house", "title": "A house", "public": true, "graph": ` + string(demoGraph(t, nil)) +
			`, "free": [{"name": "prompt", "node": "6", "input": "text"}, {"name": "seed", "node": "3", "input": "seed"}]}`},
	} {
		if status, body := send(t, "POST", s.Base+x.path, first, x.body); status != http.StatusCreated {
			t.Fatalf("%s: status %d, %s", x.path, status, body)
		}
	}
	status, body := send(t, "POST", s.Base+"/api/auth/keys", first, `{"name": "visit", "user": "visitor"}`)
	var key struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal([]byte(body), &key); err != nil || status != http.StatusCreated {
		t.Fatalf("making the guest's key: status %d, %v", status, err)
	}
	p := browser.Open(t, s, "/app")
	p.Wait("#key")
	p.Type("#key", key.Key+"\r")
	p.Wait(".flow-form")
	p.Fill(".flow-form textarea", "a green house")
	p.Fill(".flow-form .seed input", "18446744073709551615")
	p.Click(".flow-form .run")
	p.WaitFor("the image is there", done)
	p.Shot("guest")
	if n := p.Count("#tabs a"); n != 4 {
		t.Errorf("a guest has %d pages, want 4", n)
	}
	status, body = send(t, "GET", s.Base+"/history?owner=visitor", first, "")
	if status != http.StatusOK || !strings.Contains(body, "a green house") || !strings.Contains(body, "18446744073709551615") {
		t.Errorf("the guest's run: status %d, %.300s", status, body)
	}
	p.Clean("request: 403 GET .*/object_info")
}
