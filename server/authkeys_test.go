package server_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"comfygo/auth"
	"comfygo/server"
)

const theKey = "a-key-for-the-server-tests"

// withKeys sets up a server that requires a key and has a frontend.
func withKeys(t *testing.T) func(*server.Config) {
	t.Helper()
	keys, err := auth.NewKeys([]string{theKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *server.Config) {
		c.Auth = auth.NewKeyring(keys, auth.KeyringOptions{})
		c.FrontEndRoot = filepath.Join(c.Folders.Base(), "web")
	}
}

// TestKeysFreePaths tries what is free without a key, and the tricks that would make more of it.
func TestKeysFreePaths(t *testing.T) {
	t.Parallel()
	r := start(t, withKeys(t))
	if err := os.Symlink(filepath.Join(r.base, "secret.txt"), filepath.Join(r.base, "web", "leak.txt")); err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{
		"GET /health", "HEAD /health", "GET /", "HEAD /", "GET /index.html", "GET /assets/app.js", "HEAD /assets/app.js", "GET /app",
		"GET /login", "OPTIONS /prompt", "OPTIONS /api/prompt", "GET /health?x=/prompt",
	} {
		method, path, _ := strings.Cut(request, " ")
		if a := r.do(method, path, ""); a.status != 200 {
			t.Errorf("%s without a key: %d %s", request, a.status, a.body)
		}
	}
	for _, request := range []string{
		"GET /prompt", "POST /prompt", "GET /api/prompt", "GET //prompt", "GET /./prompt", "GET /%70rompt", "GET /ws/../prompt",
		"GET /health/../prompt", "GET /assets/../prompt", "GET /api//prompt", "GET /Prompt", "GET /PROMPT", "GET /prompt/", "GET /health/",
		"GET /HEALTH", "GET /api/health", "GET /api/", "GET /api/ws", "GET /ws/", "GET //", "GET /prompt;/health", "GET /prompt%00/health",
		"GET /prompt%2f", "GET /%2e/prompt", "GET /..%2fprompt", "GET /health%2f..%2fprompt", "GET /health/..;/prompt", "GET /prompt/.js",
		"GET /index.html/../prompt", "GET /queue.js", "GET /view?filename=note.txt&type=input", "GET /extensions/pack/ext.js", "GET /extensions",
		"GET /leak.txt", "GET /../secret.txt", "GET /assets/%2e%2e/%2e%2e/secret.txt", "GET /assets", "GET /assets/", "GET /user.css",
		"GET /userdata/user.css", "GET /api/userdata/user.css", "POST /health", "DELETE /", "POST /ws", "PUT /index.html", "POST /assets/app.js",
		"GET /ready", "GET /internal/logs", "GET /internal/logs/raw", "GET /app/start.json", "GET /no/such", "GET /metrics", "PATCH /prompt",
		"GET /api/index.html", "GET /api/assets/app.js", "TRACE /prompt", "POST /login/../prompt",
	} {
		method, path, _ := strings.Cut(request, " ")
		a := r.do(method, path, "", "X-HTTP-Method-Override", "OPTIONS", "X-Original-URL", "/health", "X-Rewrite-URL", "/health")
		if a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s without a key: %d %q %.80s", request, a.status, a.header.Get("WWW-Authenticate"), a.body)
		}
	}
}

// TestKeysEveryRoute reads the routes from the server: without a key all but the public ones are refused, with a key none is.
func TestKeysEveryRoute(t *testing.T) {
	t.Parallel()
	r := start(t, withKeys(t))
	free := map[string]bool{"GET /health": true, "GET /": true, "GET /ws": true, "GET /app": true, "GET /login": true, "POST /login": true, "POST /logout": true}
	for _, route := range r.server.Routes() {
		method, pattern, _ := strings.Cut(route, " ")
		path := strings.NewReplacer(":", "x", "*", "x").Replace(pattern)
		a := r.do(method, path, "")
		name := strings.Replace(route, "HEAD ", "GET ", 1)
		if (a.status == 401) == (free[name] && route != "POST /login") {
			t.Errorf("%s without a key: %d", route, a.status)
		}
		for _, header := range [][]string{{"Authorization", "Bearer " + theKey}, {"X-API-Key", theKey}} {
			if a := r.do(method, path, "", header...); a.status == 401 || a.status == 403 {
				if route != "POST /login" && route != "POST /api/auth/token" { // plain keys have no tokens
					t.Errorf("%s with %s: %d", route, header[0], a.status)
				}
			}
		}
		if a := r.do(method, path+"?api_key="+theKey, ""); a.status == 401 && route != "POST /login" {
			t.Errorf("%s?api_key=: %d", route, a.status)
		}
	}
}

// TestKeysSocket: the socket needs no key, as upstream's frontend sends none, but a key in the request is checked.
func TestKeysSocket(t *testing.T) {
	t.Parallel()
	r := start(t, withKeys(t))
	for _, path := range []string{"/ws", "/ws?token=" + theKey, "/ws?token=bad"} {
		conn, resp, err := websocket.Dial(t.Context(), strings.Replace(r.url, "http", "ws", 1)+path, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		_ = conn.CloseNow()
	}
}

// TestSigningIn signs a browser in and out.
func TestSigningIn(t *testing.T) {
	t.Parallel()
	r := start(t, withKeys(t))
	html := []string{"Accept", "text/html,application/xhtml+xml"}
	if a := r.do("GET", "/", "", html...); a.status != 200 || !strings.Contains(a.body, `name="key"`) || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a browser at the root gets %d %.200s", a.status, a.body)
	}
	if a := r.do("GET", "/", ""); a.status != 200 || a.body != "<p>page</p>" {
		t.Errorf("a program at the root gets %d %.200s", a.status, a.body)
	}
	form := func(key string, headers ...string) httpReply {
		return r.do("POST", "/login", url.Values{"key": {key}, "next": {"//evil.example"}}.Encode(),
			append([]string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"}, headers...)...)
	}
	if a := form("wrong"); a.status != 401 || a.header.Get("Set-Cookie") != "" || strings.Contains(a.body, "wrong") {
		t.Errorf("a wrong key: %d %v", a.status, a.header)
	}
	if a := form(theKey, "Origin", "http://evil.example"); a.status != 403 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("another site signs in: %d", a.status)
	}
	a := form(" " + theKey + "\n")
	cookies, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if a.status != 303 || a.header.Get("Location") != "/" || err != nil {
		t.Fatalf("the right key: %d %v, %v", a.status, a.header, err)
	}
	if !cookies.HttpOnly || cookies.Secure || cookies.SameSite != http.SameSiteStrictMode || cookies.Path != "/" || strings.Contains(cookies.Value, theKey) {
		t.Errorf("the cookie is %+v", cookies)
	}
	cookie := []string{"Cookie", cookies.Name + "=" + cookies.Value}
	if a := r.do("GET", "/", "", append(html, cookie...)...); a.body != "<p>page</p>" {
		t.Errorf("signed in, the root is %.200s", a.body)
	}
	if a := r.do("GET", "/api/queue", "", cookie...); a.status != 200 {
		t.Errorf("signed in, reading: %d", a.status)
	}
	if a := r.do("POST", "/api/interrupt", "", cookie...); a.status != 403 {
		t.Errorf("a change without an origin: %d", a.status)
	}
	if a := r.do("POST", "/api/interrupt", "", append(cookie, "Origin", r.url)...); a.status != 200 {
		t.Errorf("a change by our own page: %d", a.status)
	}
	if a := r.do("POST", "/logout", "", append(cookie, "Origin", "http://evil.example")...); a.status != 403 {
		t.Errorf("another site signs out: %d", a.status)
	}
	if a := r.do("POST", "/logout", "", append(cookie, "Origin", r.url)...); a.status != 204 || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("signing out: %d %v", a.status, a.header)
	}
	if a := r.do("GET", "/api/queue", "", cookie...); a.status != 401 {
		t.Errorf("signed out, reading: %d", a.status)
	}
	if a := r.do("POST", "/login", `{"key": "`+theKey+`"}`, "Content-Type", "application/json"); a.status != 200 || a.header.Get("Set-Cookie") == "" {
		t.Errorf("signing in with JSON: %d %s", a.status, a.body)
	}
}

// TestWithoutKeys: a server that requires no key has no log-in, and nothing else changes.
func TestWithoutKeys(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for request, want := range map[string]int{"GET /login": 404, "POST /login": 405, "POST /logout": 405, "GET /prompt?api_key=x": 200} {
		method, path, _ := strings.Cut(request, " ")
		if a := r.do(method, path, ""); a.status != want {
			t.Errorf("%s: %d, want %d", request, a.status, want)
		}
	}
}
