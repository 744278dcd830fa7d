package tests_test

import (
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// where runs HandlerWhere and returns its output.
func (i *instance) where(t *testing.T, text string) string {
	t.Helper()
	r := i.run(t, map[string]any{
		"1":    packNode("HandlerWhere", map[string]any{"text": text}),
		"show": packNode("PreviewAny", map[string]any{"source": link("1", 0)}),
	})
	if f := r.Failure(); f != nil {
		t.Fatalf("%s: %+v", text, f)
	}
	return shown(r)
}

// awaitLog waits until the server's log has a text.
func (i *instance) awaitLog(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(i.process.Log(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not have %q", text)
		}
	}
}

// packFigures is the answer of GET /api/v1/packs.
type packFigures struct {
	Processes []struct {
		Pack     *string `json:"pack"`
		State    string  `json:"state"`
		PID      int     `json:"pid"`
		Memory   int64   `json:"memory_bytes"`
		GPU      int64   `json:"gpu_bytes"`
		CPU      float64 `json:"cpu_seconds"`
		Restarts int     `json:"restarts"`
	} `json:"processes"`
	Packs []struct {
		Name  string `json:"name"`
		Error string `json:"error"`
	} `json:"packs"`
}

// TestPackHandlers has a pack change prompts: the changed prompt runs, and a handler that fails changes nothing.
func TestPackHandlers(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"handler"})
	server.where(t, "ready") // handlers are there when the packs are
	for text, want := range map[string]string{"change": "first changed", "fail": "first fail", "other": "first other"} {
		if got := server.where(t, text); got != want {
			t.Errorf("%s: shown is %q, want %q", text, got, want)
		}
	}
	id := ""
	var answer struct {
		ID string `json:"prompt_id"`
	}
	err := server.Post(t.Context(), "/prompt", map[string]any{
		"prompt":     map[string]any{"1": packNode("HandlerWhere", map[string]any{"text": "change"}), "show": packNode("PreviewAny", map[string]any{"source": link("1", 0)})},
		"extra_data": map[string]any{"comfygo": map[string]any{"priority": "high"}},
	}, &answer)
	if id = answer.ID; err != nil || id == "" {
		t.Fatalf("the answer is %+v, %v", answer, err)
	}
	if got := shown(server.await(t, id)); got != "first changed" {
		t.Errorf("with options of comfygo's own shown is %q: the handler is not to see them", got)
	}
}

// TestPackFigures looks for memory and time of the Python process in /health, /metrics and the list of packs.
func TestPackFigures(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"handler", "broken"})
	server.where(t, "ready")
	var figures packFigures
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if err := server.Get(t.Context(), "/api/v1/packs", &figures); err != nil {
			t.Fatal(err)
		}
		if len(figures.Processes) == 1 && figures.Processes[0].Memory > 1<<20 && figures.Processes[0].CPU > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the figures are %+v", figures)
		}
	}
	errors := map[string]string{}
	for _, p := range figures.Packs {
		errors[p.Name] = p.Error
	}
	if e, ok := errors["handler"]; !ok || e != "" || !strings.Contains(errors["broken"], "a_package_that_is_not_installed") {
		t.Errorf("the packs are %v", errors)
	}
	var health struct {
		Python []struct {
			Memory int64 `json:"memory_bytes"`
		} `json:"python"`
	}
	if err := server.Get(t.Context(), "/health", &health); err != nil || len(health.Python) != 1 || health.Python[0].Memory < 1<<20 {
		t.Errorf("/health tells %+v, %v", health, err)
	}
	server.where(t, "unload")
	server.awaitLog(t, "a node pack asks for memory")
	text := server.fetch(t, "/metrics").body
	for _, want := range []string{`comfygo_python_up{pack=""} 1`, `comfygo_python_memory_bytes{kind="resident",pack=""}`, `comfygo_python_cpu_seconds_total{pack=""}`} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// TestPackGPU has torch hold memory of two GPUs, more and then less: the figures follow.
func TestPackGPU(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"plain"})
	for _, held := range []int64{1 << 30, 3 << 20, 0} {
		r := server.run(t, shows(map[string]any{"1": packNode("PackHolds", map[string]any{"bytes": held})}, link("1", 0)))
		if f := r.Failure(); f != nil {
			t.Fatalf("%+v", f)
		}
		var figures packFigures
		if err := server.Get(t.Context(), "/api/v1/packs", &figures); err != nil {
			t.Fatal(err)
		}
		if len(figures.Processes) != 1 || figures.Processes[0].GPU != 3*held { // of both GPUs
			t.Errorf("torch holds %d bytes, the figures are %+v", 3*held, figures.Processes)
		}
	}
}

// TestPackReload changes a pack and adds one while the server runs.
func TestPackReload(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--isolate-packs"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			server := startPacks(t, []string{"handler"}, flags...)
			if got := server.where(t, "x"); got != "first x" {
				t.Fatalf("shown is %q", got)
			}
			folder := filepath.Join(server.base, "custom_nodes")
			file := filepath.Join(folder, "handler", "__init__.py")
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.ReplaceAll(strings.Replace(string(source), `"first"`, `"second"`, 1), `"HandlerWhere": Where`, `"HandlerWhere": Where, "HandlerNew": Where`)
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(folder, "plain"), os.DirFS(filepath.Join("testdata", "packs", "plain"))); err != nil {
				t.Fatal(err)
			}
			socket, err := server.Dial(t.Context(), "watcher")
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			if err := server.Post(t.Context(), "/api/v1/packs/reload", map[string]any{}, nil); err != nil {
				t.Fatal(err)
			}
			for seen := map[string]any{}; seen["HandlerNew"] == nil || seen["PackJoin"] == nil; {
				m, err := socket.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if m.Type == "comfygo.packs_changed" {
					if err := server.Get(t.Context(), "/object_info", &seen); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := server.where(t, "x"); got != "second x" {
				t.Errorf("after the reload shown is %q", got)
			}
			if err := os.Rename(filepath.Join(folder, "plain"), filepath.Join(folder, "plain.disabled")); err != nil {
				t.Fatal(err)
			}
			if err := server.Post(t.Context(), "/api/v1/packs/reload", map[string]any{"pack": "plain"}, nil); flags == nil && err == nil {
				t.Error("a pack that is disabled is loaded again")
			}
			if err := server.Post(t.Context(), "/api/v1/packs/reload", map[string]any{}, nil); err != nil {
				t.Fatal(err)
			}
			for seen := map[string]any{"PackJoin": true}; seen["PackJoin"] != nil; {
				if _, err := socket.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
				seen = nil
				if err := server.Get(t.Context(), "/object_info", &seen); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	server := startPacks(t, []string{"handler"})
	for body, want := range map[string]int{`{"pack": "none"}`: http.StatusNotFound, `{"pack": 1}`: http.StatusBadRequest} {
		_, err := server.Do(t.Context(), http.MethodPost, "/api/v1/packs/reload", "application/json", strings.NewReader(body))
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(want)) {
			t.Errorf("%s is answered with %v, want %d", body, err, want)
		}
	}
}

// TestPackIsolated runs each pack in a process of its own: values that both sides know go from one to the other, others do not.
func TestPackIsolated(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"handler", "plain", "deadly"}, "--isolate-packs")
	if got := server.where(t, "with"); strings.Contains(got, "plain") {
		t.Errorf("a pack sees another one: %q", got)
	}
	r := server.run(t, shows(map[string]any{
		"1": packNode("HandlerWhere", map[string]any{"text": "a"}), "2": packNode("PackJoin", map[string]any{"a": link("1", 0), "b": "b"}),
	}, link("2", 0)))
	if got := shown(r); got != "first ab@2" {
		t.Errorf("shown is %q; failure %+v", got, r.Failure())
	}
	var figures packFigures
	if err := server.Get(t.Context(), "/api/v1/packs", &figures); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range figures.Processes {
		seen[p.PID] = p.Pack != nil
	}
	if len(figures.Processes) != 3 || len(seen) != 3 {
		t.Errorf("the processes are %+v, want one for each of three packs", figures.Processes)
	}
}

// TestPackUser runs Python as another user: it works, and the server's secrets are out of reach.
func TestPackUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		server := startPacks(t, []string{"handler"}, "--host-user", "root")
		server.awaitLog(t, "only a server that runs as root")
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("no such user", func(t *testing.T) {
		t.Parallel()
		startPacks(t, []string{"handler"}, "--host-user", "comfygo-is-no-user").awaitLog(t, "there is no such user")
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		python := "/usr/bin/python3" // one that others may run; that of the tests may lie in a home folder
		if _, err := os.Stat(python); err != nil {
			python = "python3"
		}
		base := t.TempDir()
		if err := os.Chmod(filepath.Dir(base), 0o755); err != nil { //nolint:gosec // the other user has to reach its packs
			t.Fatal(err)
		}
		server := startPacksIn(t, base, []string{"handler", "plain", "attacker"}, "--host-user", "nobody", "--python", python)
		if got := server.where(t, "user"); got != nobody.Uid {
			t.Errorf("Python runs as %s, want %s", got, nobody.Uid)
		}
		if got := server.where(t, "secrets"); got != "" {
			t.Errorf("Python sees the variables %s", got)
		}
		if got := shown(server.run(t, shows(map[string]any{"1": packNode("AttackParent", map[string]any{})}, link("1", 0)))); got != "not permitted" {
			t.Errorf("a pack that kills the server says %q", got)
		}
		r := server.run(t, map[string]any{
			"1": packNode("PackImage", map[string]any{"value": 0.25}), "2": packNode("ImageInvert", map[string]any{"image": link("1", 0)}),
			"3": packNode("PackBright", map[string]any{"image": link("2", 0), "add": -0.25}), "4": packNode("PreviewImage", map[string]any{"images": link("3", 0)}),
		})
		if f := r.Failure(); f != nil || len(r.Files("4", "images")) != 1 {
			t.Errorf("images do not cross: %+v", f)
		}
	})
}
