package goldencheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/golden"
	"comfygo/internal/goldencheck"
	_ "comfygo/nodes/all" // schedules are made by nodes
)

// project is the folder of the project's own goldens.
func project(t *testing.T) string {
	t.Helper()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "tests", "testdata", "golden")
}

// check runs a folder and returns the results by golden.
func check(t *testing.T, o goldencheck.Options) (goldencheck.Tally, map[string]goldencheck.Result) {
	t.Helper()
	results := map[string]goldencheck.Result{}
	o.Report = func(r goldencheck.Result) { results[r.Golden] = r }
	tally, err := goldencheck.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := tally.Passed + tally.Failed + tally.Unavailable; n != len(results) {
		t.Errorf("%d goldens are counted, %d are reported", n, len(results))
	}
	return tally, results
}

// TestArithmetic runs the project's goldens that need no network: all of them pass. Then it changes what some of them expect
// and sees that each change is noticed, and nothing else.
func TestArithmetic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file    string
		passed  int
		changes [][2]string // of the JSON, each of another golden
	}{
		{"noise/randn", 135, [][2]string{{`"seed":"42"`, `"seed":"43"`}}},
		{"noise/brownian", 3, [][2]string{{`"seed":"42"`, `"seed":"43"`}}},
		{"samplers/toy", 191, [][2]string{{`"cfg":4.0`, `"cfg":4.5`}, {`"calls":15`, `"calls":16`}}},
		{"schedules/ksampler", 2925 + 17, [][2]string{{`"steps":20`, `"steps":21`}, {`"sigma_min":0.02`, `"sigma_min":0.03`}}},
		{"schedules/nodes", 279, [][2]string{{`"sigma_max":10.0`, `"sigma_max":11.0`}}},
		{"text/tokens", 9, [][2]string{{`[49406,320,1125,539,320,2368,49407]`, `[49406,320,1125,539,321,2368,49407]`}}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			b, err := golden.ReadFile(filepath.Join(project(t), c.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			for _, change := range c.changes {
				if !strings.Contains(text, change[0]) {
					t.Fatalf("the golden does not hold %s", change[0])
				}
				text = strings.Replace(text, change[0], change[1], 1)
			}
			copies := []string{c.file + ".safetensors"}
			if c.file == "text/tokens" {
				copies = nil
			}
			if c.file == "schedules/nodes" { // it names the model samplings of the file beside it
				copies = append(copies, "schedules/ksampler.json")
			}
			dir := write(t, copies, map[string]string{c.file + ".json": text})
			tally, results := check(t, goldencheck.Options{Golden: dir, Only: c.file})
			if tally.Failed != len(c.changes) || tally.Passed < c.passed-len(c.changes) {
				t.Errorf("%v, want %d passed and %d failed", tally, c.passed-len(c.changes), len(c.changes))
			}
			for _, r := range results {
				if r.State == goldencheck.Failed {
					t.Logf("%s: %s", r.Golden, r.Detail)
				}
			}
		})
	}
}

// TestNoRuntime sees that goldens of networks are reported when there is nothing to run them with.
func TestNoRuntime(t *testing.T) {
	t.Parallel()
	tally, results := check(t, goldencheck.Options{Golden: project(t), Only: "vae/vae-sd"})
	if tally != (goldencheck.Tally{Unavailable: 4}) || !strings.Contains(results["vae/vae-sd d0 decode"].Detail, "no runtime") {
		t.Errorf("%v: %v", tally, results)
	}
}

// write makes a folder of goldens: copies of the project's files and texts of its own.
func write(t *testing.T, copies []string, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range copies {
		b, err := golden.ReadFile(filepath.Join(project(t), name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestOtherFolders runs folders that hold what the project's own does not.
func TestOtherFolders(t *testing.T) {
	t.Parallel()
	brownian := func(seed, queries string) string {
		return `{"cases":[{"id":"b0","seed":` + seed + `,"shape":[1,4,4,4],"queries":[` + queries + `]}]}`
	}
	const query = "[14.614643096923828,7.9029340744018555]"
	for name, c := range map[string]struct {
		copies []string
		texts  map[string]string
		golden string
		state  goldencheck.State
		detail string
	}{
		"a name and a folder of its own": {[]string{"noise/brownian.safetensors"}, map[string]string{"noise/brownian.json": ""}, "", goldencheck.Failed, "end of JSON"},
		"fewer values":                   {[]string{"noise/brownian.safetensors"}, map[string]string{"noise/brownian.json": brownian(`"42"`, query)}, "b0", goldencheck.Failed, "64 values, want 704"},
		"another seed":                   {nil, map[string]string{"noise/brownian.json": brownian(`43`, query)}, "", goldencheck.Failed, "brownian.safetensors"},
		"no such tensor":                 {[]string{"noise/brownian.safetensors"}, map[string]string{"noise/brownian.json": strings.Replace(brownian(`1`, query), "b0", "b9", 1)}, "b9", goldencheck.Failed, `no tensor "b9/sigmas"`},
		"unknown format":                 {nil, map[string]string{"future/thing.json": `{"cases":[{"id":"x","spin":1}]}`}, "", goldencheck.Unavailable, "format"},
		"a list":                         {nil, map[string]string{"future/list.json": `[1,2]`}, "", goldencheck.Unavailable, "format"},
		"no manifest":                    {nil, map[string]string{"vae/odd.json": `{"cases":[{"id":"d0","op":"decode","latent":"z","latent_shape":[1,4,8,8]}]}`, "vae/odd.safetensors": "\x08\x00\x00\x00\x00\x00\x00\x00{}      "}, "d0 decode", goldencheck.Unavailable, "no runtime"},
		"tokenizers to come":             {nil, map[string]string{"text/tokens.json": `{"sets":{"s":[{"prompt":"a","tokens":{"qq":[{"len":1,"ids":[5],"pad":[],"w":1.0}]}}]}}`}, "s qq", goldencheck.Unavailable, "not built"},
		"other tokens":                   {nil, map[string]string{"text/tokens.json": `{"sets":{"s":[{"prompt":"a","tokens":{"l":[{"len":77,"ids":[49406,5,49407],"pad":[49407],"w":1.0}]}}]}}`}, "s l", goldencheck.Failed, "token 1: 320, want 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, results := check(t, goldencheck.Options{Golden: write(t, c.copies, c.texts)})
			if len(results) != 1 {
				t.Fatalf("%d results: %v", len(results), results)
			}
			for _, r := range results {
				if r.State != c.state || !strings.HasSuffix(r.Golden, c.golden) || !strings.Contains(r.Detail, c.detail) {
					t.Errorf("%s is %v (%s), want %v (%s)", r.Golden, r.State, r.Detail, c.state, c.detail)
				}
			}
		})
	}
}

// TestManifestsAreNoGoldens runs a folder that holds manifests while -models names another folder.
func TestManifestsAreNoGoldens(t *testing.T) {
	t.Parallel()
	dir := write(t, []string{"models/emb-test.json", "noise/brownian.json", "noise/brownian.safetensors"}, map[string]string{})
	if tally, _ := check(t, goldencheck.Options{Golden: dir, Models: t.TempDir()}); tally != (goldencheck.Tally{Passed: 3}) {
		t.Errorf("%v, want 3 passed", tally)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]goldencheck.Options{
		"no such folder": {Golden: filepath.Join(t.TempDir(), "none")},
		"empty folder":   {Golden: t.TempDir()},
		"bad pattern":    {Golden: project(t), Only: "["},
		"no match":       {Golden: project(t), Only: "nothing/*"},
	} {
		if tally, err := goldencheck.Run(t.Context(), o); err == nil {
			t.Errorf("%s: %v", name, tally)
		}
	}
}
