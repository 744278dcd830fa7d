package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/auth"
	"comfygo/cli"
)

// shell runs one command of the program on a folder.
type shell struct {
	t    *testing.T
	base string
}

func (s shell) run(words ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	var out, errs bytes.Buffer
	commands := app.Command{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}
	code = cli.Main(s.t.Context(), append(words, "--base-directory", s.base), &out, &errs, commands.Handlers())
	return out.String(), errs.String(), code
}

// json runs a command with --json and decodes its output.
func (s shell) json(to any, words ...string) {
	s.t.Helper()
	out, errs, code := s.run(append(words, "--json")...)
	if code != 0 || errs != "" {
		s.t.Fatalf("%s: exit code %d, %s", words, code, errs)
	}
	if err := json.Unmarshal([]byte(out), to); err != nil {
		s.t.Fatalf("%s: %v in %s", words, err, out)
	}
}

func TestKeyCommands(t *testing.T) {
	t.Parallel()
	s := shell{t, t.TempDir()}
	if _, errs, code := s.run("keys", "list"); code != 1 || !strings.Contains(errs, "there is no key store at") {
		t.Errorf("without a store: %d, %s", code, errs)
	}
	var u auth.User
	s.json(&u, "users", "create", "ada", "--role", "Administrator")
	if info, err := os.Stat(filepath.Join(s.base, "comfygo-auth.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the store's file: %v, %v", info, err)
	}
	secret, said, code := s.run("keys", "create", "--user", "ada", "--name", "first", "--expires", "90d")
	if code != 0 || !strings.HasPrefix(secret, "cgo_") || strings.Count(secret, "\n") != 1 || strings.Contains(said, secret[17:80]) {
		t.Fatalf("%d, %q, %q", code, secret, said)
	}
	var keys []auth.Key
	s.json(&keys, "keys", "list")
	if len(keys) != 1 || keys[0].Owner != u.ID || keys[0].Expires == nil || keys[0].Secret != "" || !strings.HasPrefix(secret, "cgo_"+keys[0].ID) {
		t.Fatalf("%+v", keys)
	}
	var rotated auth.Key
	s.json(&rotated, "keys", "rotate", keys[0].ID, "--overlap", "1h")
	if rotated.Instead != keys[0].ID || rotated.Secret == "" {
		t.Errorf("rotated: %+v", rotated)
	}
	if _, errs, code := s.run("keys", "revoke", keys[0].Mask); code != 0 {
		t.Errorf("revoking: %d, %s", code, errs)
	}
	if _, errs, code := s.run("keys", "end-tokens"); code != 0 {
		t.Errorf("ending tokens: %d, %s", code, errs)
	}
	out, _, _ := s.run("keys", "list")
	if !strings.Contains(out, "revoked") || !strings.Contains(out, "active") || strings.Contains(out, rotated.Secret[17:]) {
		t.Errorf("the list:\n%s", out)
	}
	var events []auth.Event
	s.json(&events, "audit", "--action", "key")
	if len(events) != 3 || !strings.HasPrefix(events[0].Name, "command line: ") {
		t.Errorf("audit: %+v", events)
	}
	if out, _, _ := s.run("audit", "--since", "1d", "--limit", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one line of the audit log:\n%s", out)
	}
}

func TestRoleCommands(t *testing.T) {
	t.Parallel()
	s := shell{t, t.TempDir()}
	var r auth.Role
	s.json(&r, "roles", "create", "artist", "--like", "Guest")
	s.json(&r, "roles", "limits", "artist", "--queued", "7", "--upload-mb", "1.5")
	if r.Limits.Queued != 7 || r.Limits.UploadBytes != 3<<19 || r.Limits.Megapixels != 8 {
		t.Errorf("limits: %+v", r.Limits)
	}
	before := len(r.Grants)
	s.json(&r, "roles", "allow", "artist", "POST", "/api/prompt", "--workflow", "portrait")
	if len(r.Grants) != before+1 {
		t.Errorf("permissions: %+v", r.Grants)
	}
	s.json(&r, "roles", "deny", "artist", "POST", "/prompt", "--workflow", "portrait")
	if len(r.Grants) != before {
		t.Errorf("permissions: %+v", r.Grants)
	}
	graph := filepath.Join(s.base, "w.json")
	if err := os.WriteFile(graph, []byte(`{"6":{"class_type":"CLIPTextEncode","inputs":{"text":"a"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var w auth.Workflow
	s.json(&w, "workflows", "add", "portrait", graph, "--public", "--free", "prompt=6.text")
	if !w.Public || len(w.Free) != 1 || w.Free[0] != (auth.FreeInput{Name: "prompt", Node: "6", Input: "text"}) {
		t.Errorf("workflow: %+v", w)
	}
	if out, _, code := s.run("workflows", "show", "portrait"); code != 0 || !strings.Contains(out, "CLIPTextEncode") {
		t.Errorf("shown: %d, %s", code, out)
	}
	for _, words := range [][]string{{"workflows", "delete", "portrait"}, {"roles", "delete", "artist"}} {
		if _, errs, code := s.run(words...); code != 0 {
			t.Errorf("%s: %d, %s", words, code, errs)
		}
	}
}

func TestBadKeyCommands(t *testing.T) {
	t.Parallel()
	s := shell{t, t.TempDir()}
	if _, errs, code := s.run("users", "create", "ada", "--role", "Administrator"); code != 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		words string
		code  int
		says  string
	}{
		{"keys", 2, "required: {create,list,revoke,rotate,end-tokens}"},
		{"keys make", 2, `invalid choice: "make"`},
		{"keys revoke", 2, "required: ID"},
		{"keys revoke a b", 2, "unrecognized arguments: b"},
		{"keys create", 2, "needs --user NAME"},
		{"keys create --user nobody", 1, "user nobody: not found"},
		{"keys create --user ada --expires soon", 2, "argument --expires"},
		{"keys create --user ada --expires -3d", 2, "expected one argument"},
		{"keys create --user ada --role Boss", 1, "role Boss: not found"},
		{"keys revoke cgo_000000000000", 1, "not found"},
		{"users create ADA", 1, "exists already"},
		{"users delete ada", 1, "last administrator"},
		{"roles allow User EAT /prompt", 1, "EAT"},
		{"audit --since yesterday", 2, "argument --since"},
		{"audit --result odd", 2, "invalid choice"},
		{"workflows add x none.json", 1, "reading the workflow"},
	} {
		if _, errs, code := s.run(strings.Fields(c.words)...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit code %d, %s; want %d, %q", c.words, code, errs, c.code, c.says)
		}
	}
}

func TestAccessFlags(t *testing.T) {
	t.Parallel()
	for words, says := range map[string]string{
		"--auth --api-key abcdefgh":                       "not allowed with argument --api-key",
		"--auth --api-key-file f":                         "not allowed with argument --api-key",
		"--auth-proxy-header X-User":                      "need --auth",
		"--auth --auth-proxy-header X-User":               "needs --auth-proxy-from",
		"--oidc-issuer https://a":                         "need --auth",
		"--auth --oidc-issuer https://a":                  "needs --oidc-client-id",
		"--auth --auth-token-life 0":                      "more than 0",
		"--auth --auth-token-life nan":                    "more than 0",
		"--auth --auth-token-algorithm none":              "invalid choice",
		"--auth --auth-proxy-header X --auth-proxy-from ": "expected one argument",
	} {
		if _, err := cli.Parse(strings.Fields(words)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", words, err, says)
		}
	}
}

func TestOpenAccess(t *testing.T) {
	t.Setenv("COMFYGO_API_KEY", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	if err := os.WriteFile(file, []byte("a-key-that-is-long-enough\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words, env string
		mode       auth.Mode
		fails      string
		logs       string
	}{
		{"", "", auth.ModeOff, "", ""},
		{"", " \n", auth.ModeOff, "", ""},
		{"", "a-key-that-is-long-enough", auth.ModeKeys, "", ""},
		{"--api-key a-key-that-is-long-enough", "", auth.ModeKeys, "", ""},
		{"--api-key short", "", auth.ModeKeys, "", "could be guessed"},
		{"--api-key-file " + file, "", auth.ModeKeys, "", "may be read by others"},
		{"--api-key-file " + dir, "", 0, "reading api keys from", ""},
		{"--api-key-file " + filepath.Join(dir, "none"), "", 0, "no such file", ""},
		{"--auth", "a-key-that-is-long-enough", auth.ModeStore, "", "changes nothing with --auth"},
		{"--auth", "", auth.ModeStore, "", "comfygo users create NAME --role Administrator --auth-db"},
		{"--auth --auth-db " + dir, "", 0, "opening the key store", ""},
		{"--auth --auth-proxy-header X --auth-proxy-from 0.0.0.0/0", "", 0, "is everyone", ""},
		{"--auth --auth-proxy-header X --auth-proxy-from 10.0.0.1", "", auth.ModeStore, "", ""},
		{"--auth --auth-proxy-header X --auth-proxy-from ten", "", 0, "no network", ""},
	} {
		t.Setenv("COMFYGO_API_KEY", c.env)
		mode, log, err := app.OpenAccess(t, t.TempDir(), strings.Fields(c.words)...)
		switch {
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: %v, want %q", c.words, err, c.fails)
		case c.fails == "" && (err != nil || mode != c.mode):
			t.Errorf("%s: mode %s, %v; want %s", c.words, mode, err, c.mode)
		case !strings.Contains(log, c.logs):
			t.Errorf("%s: the log has no %q: %s", c.words, c.logs, log)
		case c.env != "" && strings.Contains(log, c.env) && strings.TrimSpace(c.env) != "":
			t.Errorf("%s: the key is in the log", c.words)
		}
	}
}

func TestWideOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string
		mode  auth.Mode
		warns bool
	}{
		{"", auth.ModeOff, false},
		{"--listen", auth.ModeOff, true},
		{"--listen 192.0.2.1", auth.ModeOff, true},
		{"--listen 127.0.0.1,::1", auth.ModeOff, false},
		{"--listen", auth.ModeKeys, false},
		{"--listen", auth.ModeStore, false},
	} {
		cfg, err := cli.Parse(strings.Fields(c.words)...)
		if err != nil {
			t.Fatal(err)
		}
		if text := app.WideOpen(cfg, c.mode); (text != "") != c.warns {
			t.Errorf("%q, %s: %q", c.words, c.mode, text)
		}
	}
}

// TestEveryRouteHasARule starts the server with all features that add routes.
func TestEveryRouteHasARule(t *testing.T) {
	t.Parallel()
	cfg, err := cli.Parse("--auth", "--enable-assets", "--base-directory", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log, err := app.NewLog(cfg, app.LogOutputs{Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(cfg, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	routes := a.Routes()
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		if !auth.HasRule(method, path) {
			t.Errorf("%s has no rule in auth/defaults.go", r)
		}
	}
	if len(routes) < 200 {
		t.Errorf("the server has only %d routes", len(routes))
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestHostsAreChecked: without a key, only the names of this machine lead to a server on loopback.
func TestHostsAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words  string
		mode   auth.Mode
		checks bool
	}{
		{"", auth.ModeOff, true},
		{"--listen 127.0.0.1,::1", auth.ModeOff, true},
		{"--listen 0.0.0.0", auth.ModeOff, false},
		{"--listen 0.0.0.0 --allowed-hosts app.example.org", auth.ModeOff, true},
		{"", auth.ModeKeys, false},
		{"--allowed-hosts app.example.org", auth.ModeStore, true},
	} {
		cfg, err := cli.Parse(strings.Fields(c.words)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := app.ChecksHosts(cfg, c.mode); got != c.checks {
			t.Errorf("%q, %s: %v", c.words, c.mode, got)
		}
	}
}
