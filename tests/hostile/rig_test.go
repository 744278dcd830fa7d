package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/app"
	"comfygo/cli"
	"comfygo/server/logs"
)

// secret stands in every file that lies outside the server's folders.
const secret = "nobody-may-read-this"

// maxUpload is the server's limit on bodies, in MB; giant bodies are larger.
const maxUpload = 2

// rig is the whole program, running.
type rig struct {
	t       *testing.T
	url     string
	base    string // the server's folder
	outside string // what must stay as it is
	routes  []string
	client  *http.Client
	key     string // shown with every request unless empty
}

// start runs the program over folders full of traps; it is stopped at the end of the test.
func start(t *testing.T, flags ...string) *rig {
	t.Helper()
	root := t.TempDir()
	r := &rig{t: t, base: filepath.Join(root, "base"), outside: filepath.Join(root, "outside")}
	r.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r.lay()
	if slices.Contains(flags, "--auth") {
		r.key = administrator(t, r.base)
	}
	flags = append([]string{
		"--python", "none", "--base-directory", r.base, "--port", "0", "--enable-assets", "--database-url", "sqlite:///" + filepath.Join(root, "assets.db"),
		"--max-upload-size", fmt.Sprint(maxUpload), "--log-stdout",
	}, flags...)
	a, out := build(t, flags)
	r.routes = a.Routes()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Errorf("ending the server: %v", err)
		}
	})
	address := regexp.MustCompile(`To see the GUI go to: (\S+)`)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if m := address.FindStringSubmatch(out.String()); m != nil {
			r.url = strings.TrimSuffix(m[1], "/")
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not say where it listens:\n%s", out)
		}
	}
}

// build makes the program from a command line.
func build(t *testing.T, flags []string) (*app.App, *safeBuffer) {
	t.Helper()
	out := &safeBuffer{}
	var made *app.App
	code := cli.Main(t.Context(), flags, out, out, cli.Handlers{Serve: func(_ context.Context, cfg cli.Config) error {
		log, err := app.NewLog(cfg, app.LogOutputs{Stdout: out, Stderr: out})
		if err != nil {
			return err
		}
		made, err = app.New(cfg, log, logs.NewBuffer(10))
		return err
	}})
	if code != 0 || made == nil {
		t.Fatalf("making the program ends with %d:\n%s", code, out)
	}
	return made, out
}

// administrator makes a key store with one user, and returns a key of his.
func administrator(t *testing.T, base string) string {
	t.Helper()
	run := func(words ...string) string {
		var out, errs bytes.Buffer
		commands := app.Command{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}
		if code := cli.Main(t.Context(), append(words, "--base-directory", base), &out, &errs, commands.Handlers()); code != 0 {
			t.Fatalf("%v: exit code %d: %s", words, code, errs.String())
		}
		return strings.TrimSpace(out.String())
	}
	run("users", "create", "ada", "--role", "Administrator")
	return run("keys", "create", "--user", "ada", "--name", "hostile")
}

// lay makes the folders: harmless files inside, secrets outside, and links from the one to the other.
func (r *rig) lay() {
	for name, data := range map[string][]byte{
		"base/input/pic.png": tinyPNG(8, 6), "base/input/bomb.png": bombPNG(), "base/input/broken.png": tinyPNG(8, 6)[:40], "base/input/note.txt": []byte("hello"),
		"base/output/out.png": tinyPNG(8, 6), "base/user/default/a.json": []byte("{}"), "base/models/checkpoints/a.safetensors": []byte("x"),
		"base/models/checkpoints/bomb.preview.png": bombPNG(), "base/models/loras/b.safetensors": bytes.Repeat([]byte{0xff}, 64),
		"base/custom_nodes/pack/__init__.py": []byte("WEB_DIRECTORY = '../../../outside'\n"), "base/custom_nodes/pack/example_workflows/w.json": []byte("{}"),
		"outside/secret.txt": []byte(secret), "outside/secret.png": append(tinyPNG(4, 4), secret...), "outside/secret.safetensors": []byte(secret),
		"outside/w.json": []byte(`"` + secret + `"`), "outside/ext.js": []byte(secret), "outside/user/s.json": []byte(`"` + secret + `"`),
	} {
		r.write(filepath.Join(filepath.Dir(r.base), filepath.FromSlash(name)), data)
	}
	for _, link := range []string{
		"input/link", "output/link", "user/default/link", "custom_nodes/pack/example_workflows/link",
	} {
		r.link(r.outside, link)
	}
	for _, link := range []string{"input/link.txt", "output/link.txt", "user/default/link.txt"} {
		r.link(filepath.Join(r.outside, "secret.txt"), link)
	}
	r.link(filepath.Join(r.outside, "secret.png"), "models/checkpoints/a.preview.png")
	r.link(filepath.Join(r.outside, "new.txt"), "input/dangling.txt") // writing to it would make a file outside
	r.link(filepath.Join(r.outside, "new.txt"), "user/default/dangling.txt")
}

func (r *rig) write(path string, data []byte) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) link(target, name string) {
	r.t.Helper()
	if err := os.Symlink(target, filepath.Join(r.base, filepath.FromSlash(name))); err != nil {
		r.t.Fatal(err)
	}
}

// snapshot reads everything outside the server's folders.
func (r *rig) snapshot() map[string]string {
	r.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Dir(r.base), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == r.base:
			return fs.SkipDir
		case d.IsDir():
			files[path] = "folder"
			return nil
		case strings.HasPrefix(d.Name(), "assets.db"), strings.HasPrefix(d.Name(), "comfygo-auth.db"): // the server's own
			return nil
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

// untouched fails the test when anything outside differs from before.
func (r *rig) untouched(before map[string]string) {
	r.t.Helper()
	if after := r.snapshot(); !maps.Equal(before, after) {
		r.t.Errorf("outside the server's folders there was %q, now there is %q", before, after)
	}
}

// alive fails the test when the server does not answer at once.
func (r *rig) alive(after string) {
	r.t.Helper()
	const soon = 5 * time.Second
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/queue", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatalf("after %s: %v", after, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("after %s: status %d, %v", after, resp.StatusCode, err)
	}
}

// safeBuffer is a buffer for several writers.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
