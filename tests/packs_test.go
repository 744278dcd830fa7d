package tests_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/internal/apiclient"
)

// startPacks starts the program with packs of testdata in its folder of custom nodes.
func startPacks(t *testing.T, packs []string, flags ...string) *instance {
	t.Helper()
	return startPacksIn(t, t.TempDir(), packs, flags...)
}

func startPacksIn(t *testing.T, base string, packs []string, flags ...string) *instance {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("the tests of node packs need python3, which `make setup` of the README names too")
	}
	for _, p := range packs {
		if err := os.CopyFS(filepath.Join(base, "custom_nodes", p), os.DirFS(filepath.Join("testdata", "packs", p))); err != nil {
			t.Fatal(err)
		}
	}
	p := launch(t, base, append([]string{"--python", python, "--queue", "memory", "--cpu"}, flags...)...)
	t.Cleanup(func() { _ = p.Stop(30 * time.Second) }) // the end of the process is that of the Python host
	i := &instance{Client: &apiclient.Client{Base: p.URL}, process: p, base: base}
	return i
}

// shows is a workflow that ends in PackShow.
func shows(nodes map[string]any, from []any) map[string]any {
	nodes["show"] = map[string]any{"class_type": "PackShow", "inputs": map[string]any{"value": from}}
	return nodes
}

func packNode(class string, inputs map[string]any) map[string]any {
	return map[string]any{"class_type": class, "inputs": inputs}
}

// shown returns the output of PackShow.
func shown(r apiclient.Result) string {
	var texts []string
	if err := json.Unmarshal(r.Outputs["show"]["text"], &texts); err != nil {
		return ""
	}
	return strings.Join(texts, "|")
}

func TestPacks(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"plain", "broken", "deadly"})
	type inputs = map[string]any
	cases := []struct {
		name  string
		nodes map[string]any
		from  []any
		want  string // what is shown; "" where the job fails or shows nothing
		fails string // part of the error's message
		kind  string // its exception type
	}{
		{"constants and a hidden id", map[string]any{"1": packNode("PackJoin", inputs{"a": "x", "b": "y"})}, link("1", 0), "xy@1", "", ""},
		{"a value of Python's own", map[string]any{
			"1": packNode("PackThing", inputs{"text": "kept"}), "2": packNode("PackThingText", inputs{"thing": link("1", 0)}),
		}, link("2", 0), "kept", "", ""},
		{"lists", map[string]any{"1": packNode("PackList", inputs{"n": 4}), "2": packNode("PackSum", inputs{"all": link("1", 0)})}, link("2", 0), "6", "", ""},
		{"each of a list", map[string]any{"1": packNode("PackList", inputs{"n": 3})}, link("1", 0), "0|1|2", "", ""},
		{"expansion", map[string]any{"1": packNode("PackExpand", inputs{"text": "in"})}, link("1", 0), "in!@1.0.0.1", "", ""},
		{"a blocker with a message", map[string]any{"1": packNode("PackBlock", inputs{"text": "not now"})}, link("1", 0), "", "", ""},
		{"inputs of every name", map[string]any{"1": packNode("PackAdd", inputs{"one": 1, "two": 2})}, link("1", 0), "3", "", ""},
		{"lazy inputs", map[string]any{
			"1": packNode("PackFails", inputs{}), "2": packNode("PackJoin", inputs{"a": "l", "b": "z"}),
			"3": packNode("PackChoose", inputs{"first": false, "a": link("1", 0), "b": link("2", 0)}),
		}, link("3", 0), "lz@2", "", ""},
		{"a native node behind Python", map[string]any{
			"1": packNode("PackList", inputs{"n": 1}),
			"2": packNode("ComfyNumberConvert", inputs{"value": link("1", 0)}),
		}, link("2", 1), "0", "", ""},
		{"an exception", map[string]any{"1": packNode("PackFails", inputs{})}, link("1", 0), "", "by zero", "ZeroDivisionError"},
		{"sys.exit", map[string]any{"1": packNode("PackLeaves", inputs{"how": "exit"})}, link("1", 0), "", "3", "SystemExit"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := server.run(t, shows(c.nodes, c.from))
			if c.fails == "" {
				if got := shown(r); got != c.want {
					t.Fatalf("shown is %q, want %q; failure %+v", got, c.want, r.Failure())
				}
				return
			}
			f := r.Failure()
			if f == nil || !strings.Contains(f.Message, c.fails) || c.kind != "" && f.Type != c.kind {
				t.Fatalf("the failure is %+v, want one of type %q with %q", f, c.kind, c.fails)
			}
		})
	}
	t.Run("states", func(t *testing.T) {
		for _, want := range []string{"1", "2"} {
			if got := shown(server.run(t, shows(map[string]any{"1": packNode("PackCounts", inputs{})}, link("1", 0)))); got != want {
				t.Fatalf("the node has counted to %q, want %q", got, want)
			}
		}
	})
	t.Run("images both ways", func(t *testing.T) {
		r := server.run(t, map[string]any{
			"1": packNode("PackImage", inputs{"value": 0.25}),
			"2": packNode("ImageInvert", inputs{"image": link("1", 0)}),
			"3": packNode("PackBright", inputs{"image": link("2", 0), "add": -0.25}),
			"4": packNode("PreviewImage", inputs{"images": link("3", 0)}),
			"5": packNode("PreviewImage", inputs{"images": link("2", 0)}),
		})
		for id, want := range map[string]uint8{"4": 127, "5": 191} { // 0.5 and 0.75 of 255, cut off
			files := r.Files(id, "images")
			if len(files) != 1 {
				t.Fatalf("node %s has saved %v; failure %+v", id, files, r.Failure())
			}
			if got := decodeRGB(t, server.view(t, files[0])).Pix[0]; got != want {
				t.Errorf("node %s has made %d of 255, want %d", id, got, want)
			}
		}
	})
	t.Run("validation", func(t *testing.T) {
		_, err := server.Queue(t.Context(), shows(map[string]any{"1": packNode("PackEven", inputs{"n": 3})}, link("1", 0)), "")
		if err == nil || !strings.Contains(err.Error(), "3 is odd") {
			t.Fatalf("an odd number is answered with %v", err)
		}
	})
	t.Run("descriptions", func(t *testing.T) {
		var info map[string]struct {
			DisplayName string `json:"display_name"`
			Module      string `json:"python_module"`
		}
		if err := server.Get(t.Context(), "/object_info", &info); err != nil {
			t.Fatal(err)
		}
		if d := info["PackJoin"]; d.DisplayName != "Join two texts" || d.Module != "custom_nodes.plain" {
			t.Errorf("PackJoin is described as %+v", d)
		}
	})
	t.Run("what is not loaded", func(t *testing.T) {
		log := server.process.Log()
		for _, part := range []string{"a_package_that_is_not_installed", "deadly"} {
			if !strings.Contains(log, part) {
				t.Errorf("the log does not tell of %s:\n%s", part, log)
			}
		}
	})
}

// TestPackEndsPython ends the Python process in a node: the job fails with a readable message, values that the process held are made
// again, the server keeps working.
func TestPackEndsPython(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"plain"})
	thing := func(text string) map[string]any {
		return shows(map[string]any{
			"1": packNode("PackThing", map[string]any{"text": "held"}),
			"2": packNode("PackThingText", map[string]any{"thing": link("1", 0)}), "3": packNode("PackJoin", map[string]any{"a": link("2", 0), "b": text}),
		}, link("3", 0))
	}
	if got := shown(server.run(t, thing("1"))); got != "held1@3" {
		t.Fatalf("shown is %q", got)
	}
	r := server.run(t, shows(map[string]any{"1": packNode("PackLeaves", map[string]any{"how": "os"})}, link("1", 0)))
	if f := r.Failure(); f == nil || !strings.Contains(f.Message, "Python process has ended") {
		t.Fatalf("the failure is %+v", f)
	}
	if got := shown(server.run(t, thing("2"))); got != "held2@3" {
		t.Fatalf("after the process was started again shown is %q", got)
	}
}

// TestPackInterrupt interrupts a node that asks and one that does not.
func TestPackInterrupt(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"plain"})
	for class, inputs := range map[string]map[string]any{"PackEndless": {"seconds": 60}, "PackStuck": {}} {
		t.Run(class, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			id, err := server.Queue(ctx, shows(map[string]any{"1": packNode(class, inputs)}, link("1", 0)), "")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // it runs by then, or is interrupted before it does
			if err := server.Post(ctx, "/interrupt", map[string]any{}, nil); err != nil {
				t.Fatal(err)
			}
			for {
				r, ok, err := server.History(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					if r.Status.Text == "success" {
						t.Fatal("the job has succeeded")
					}
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	if got := shown(server.run(t, shows(map[string]any{"1": packNode("PackJoin", map[string]any{"a": "on", "b": ""})}, link("1", 0)))); got != "on@1" {
		t.Fatalf("after the interrupts shown is %q", got)
	}
}

// TestPackImpatientClient leaves while a prompt is checked in Python: the node that runs meanwhile is not disturbed.
func TestPackImpatientClient(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"plain"})
	id, err := server.Queue(t.Context(), shows(map[string]any{"1": packNode("PackEndless", map[string]any{"seconds": 3})}, link("1", 0)), "")
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := server.Queue(short, shows(map[string]any{"1": packNode("PackSlowCheck", map[string]any{"seconds": 2})}, link("1", 0)), ""); err == nil {
		t.Fatal("the check of two seconds has ended within one")
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		r, ok, err := server.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			if got := shown(r); got != "ended" {
				t.Fatalf("shown is %q; failure %+v", got, r.Failure())
			}
			return
		}
	}
	t.Fatal("the job has not ended")
}

// TestPackFolders looks for what the Python process leaves behind at its end: its sources, its sockets and its shared memory.
func TestPackFolders(t *testing.T) { // not parallel: it moves the folder for temporary files
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	server := startPacks(t, []string{"plain"})
	r := server.run(t, map[string]any{
		"1": packNode("PackImage", map[string]any{"value": 1.0}), "2": packNode("PreviewImage", map[string]any{"images": link("1", 0)}),
	})
	if f := r.Failure(); f != nil {
		t.Fatalf("the job failed: %+v", f)
	}
	pid := server.process.PID()
	if err := server.process.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{filepath.Join(temp, "comfygo-python-*"), fmt.Sprintf("/dev/shm/comfygo-%d-*", pid)} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
