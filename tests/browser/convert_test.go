package browser_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comfygo/frontend"
	"comfygo/internal/pyjson"
	"comfygo/tests/browser"
	"comfygo/tests/browser/chromium"
	"comfygo/tests/golden"
	"comfygo/workflow"
)

// installed finds the official front end's packages, or skips the test loudly.
func installed(t *testing.T) frontend.Found {
	t.Helper()
	found := chromium.Frontend(moduleRoot(t))
	if found.Root == "" {
		t.Skip("NOT TESTED: ComfyUI's frontend is not installed (comfygo frontend install)")
	}
	return found
}

// nodeInfo returns /object_info with all of upstream's node classes: those that the server lacks as they were recorded, and those of the file
// that COMFYGO_OBJECT_INFO names, such as the classes of online services.
func nodeInfo(t *testing.T, s *browser.Server) []byte {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, data := range [][]byte{recordedInfo(t), nil, extraInfo(t)} {
		more := map[string]json.RawMessage{}
		if data == nil {
			if err := s.Get(t.Context(), "/object_info", &more); err != nil {
				t.Fatal(err)
			}
		} else if err := json.Unmarshal(data, &more); err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, more)
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func recordedInfo(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(moduleRoot(t), "tests", "testdata", "conformance", "object_info_nodesc.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var data json.RawMessage
	if err := json.NewDecoder(z).Decode(&data); err != nil {
		t.Fatal(err)
	}
	return data
}

func extraInfo(t *testing.T) []byte {
	t.Helper()
	path := os.Getenv("COMFYGO_OBJECT_INFO")
	if path == "" {
		return []byte("{}")
	}
	return readFile(t, path)
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// withNodeInfo stands in front of the server and answers /object_info with other node classes.
func withNodeInfo(t *testing.T, s *browser.Server, info []byte) string {
	t.Helper()
	to, err := url.Parse(s.Base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = to.Host
		if r.Out.Header.Get("Origin") != "" {
			r.Out.Header.Set("Origin", s.Base)
		}
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimPrefix(r.URL.Path, "/api") == "/object_info" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(info)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// convertInPage loads a workflow into the front end and asks it for the prompt. What the front end does some frames later
// is waited for, as no person is faster.
const convertInPage = `(async text => {
	try {
		await app.loadGraphData(JSON.parse(text), true, false, null, {skipAssetScans: true, silentAssetErrors: true});
		for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
		return JSON.stringify((await app.graphToPrompt()).output);
	} catch (e) {
		return JSON.stringify({error: String(e)});
	}
})`

// bothWays is the front end in a page, and the converter with the same node classes.
type bothWays struct {
	page *browser.Page
	own  workflow.Converter
}

func newBothWays(t *testing.T) bothWays {
	t.Helper()
	found := installed(t)
	s := browser.Start(t, "--front-end-packages", filepath.Dir(filepath.Dir(found.Root)))
	data := nodeInfo(t, s)
	info, err := pyjson.UnmarshalObject(data)
	if err != nil {
		t.Fatal(err)
	}
	p := browser.Blank(t, withNodeInfo(t, s, data))
	p.Goto("/")
	p.WaitFor("the front end is up", "window.app?.graph && window.app.extensionManager && Object.keys(LiteGraph.registered_node_types).length > 600")
	p.Resize(160, 120) // there is little to draw
	return bothWays{p, workflow.Converter{Definitions: func(class string) *pyjson.Object { return info.Object(class) }}}
}

// front returns the front end's prompt of a workflow.
func (b bothWays) front(t *testing.T, text []byte) map[string]any {
	t.Helper()
	quoted, err := json.Marshal(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(browser.Eval[string](b.page, convertInPage+"("+string(quoted)+")")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// ours returns the converter's.
func (b bothWays) ours(text []byte) (map[string]any, error) {
	saved, err := pyjson.UnmarshalObject(text)
	if err != nil {
		return nil, err
	}
	prompt, err := b.own.Convert(saved)
	if err != nil {
		return nil, err
	}
	data, err := pyjson.Marshal(prompt)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(data, &out)
}

// report is the result for one workflow.
type report struct {
	Unknown     []string `json:"unknown_nodes,omitempty"`
	Differences string   `json:"differences,omitempty"`
}

// compare converts a workflow both ways. Of nodes that the front end does not know only their place is compared: it
// gives them no class. Titles are compared where the workflow has them; the front end takes the others from its
// translations. What a 3D view shows is drawn by the browser.
func (b bothWays) compare(t *testing.T, text []byte) report {
	t.Helper()
	var r report
	front := b.front(t, text)
	ours, err := b.ours(text)
	if err != nil {
		r.Differences = err.Error()
		return r
	}
	titles := string(text)
	for id, v := range front {
		n, ok := v.(map[string]any)
		other, _ := ours[id].(map[string]any)
		if !ok || other == nil {
			continue
		}
		title, _ := n["_meta"].(map[string]any)["title"].(string)
		if quoted, err := json.Marshal(title); err == nil && !strings.Contains(titles, `"title":`+string(quoted)) && !strings.Contains(titles, `"title": `+string(quoted)) {
			delete(n, "_meta")
			delete(other, "_meta")
		}
		if n["class_type"] == nil {
			r.Unknown = append(r.Unknown, fmt.Sprint(id, " ", other["class_type"]))
			front[id], ours[id] = nil, nil
		}
		for _, view := range []string{"viewport_state", "image"} {
			if view == "viewport_state" || n["class_type"] == "Load3D" {
				delete(n["inputs"].(map[string]any), view)
				delete(other["inputs"].(map[string]any), view)
			}
		}
	}
	slices.Sort(r.Unknown)
	r.Differences = cmp.Diff(front, ours)
	return r
}

// all has every template converted by the front end too, and what came out equal written down.
var all = flag.Bool("all", false, "convert every template in the front end, and record those that come out alike")

// alike is the file of equal results: a sum of the front end's version, the workflow and our prompt, by the template's name. While none of
// them changes the front end, which takes half a second for each, need not run.
const alike = "testdata/converted.json"

// sumOf is the entry of a template in that file; "" if the converter refuses it.
func (b bothWays) sumOf(t *testing.T, version string, text []byte) string {
	t.Helper()
	prompt, err := b.ours(text)
	if err != nil {
		return ""
	}
	data, err := json.Marshal(prompt)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(slices.Concat([]byte(version+"\n"), text, data))
	return hex.EncodeToString(sum[:8])
}

// TestConvertTemplates converts every workflow of the templates' package, and has the front end convert those that are not known to come out
// alike and every sixteenth of the others. It keeps a report.
func TestConvertTemplates(t *testing.T) {
	t.Parallel()
	found := installed(t)
	if len(found.Templates) == 0 {
		t.Skip("NOT TESTED: the workflow templates are not installed (comfygo frontend install)")
	}
	b := newBothWays(t)
	known, now := map[string]string{}, map[string]string{}
	if err := json.Unmarshal(readFile(t, alike), &known); err != nil {
		t.Fatal(err)
	}
	reports := map[string]report{}
	inFront := 0
	for _, name := range slices.Sorted(maps.Keys(found.Templates)) {
		text := readFile(t, found.Templates[name])
		saved, err := pyjson.Unmarshal(text)
		if !strings.HasSuffix(name, ".json") || err != nil || !workflow.IsWorkflow(saved) {
			continue
		}
		sum := b.sumOf(t, found.Versions["comfyui-frontend-package"], text)
		if len(reports)%16 != 0 && !*all && sum != "" && sum == known[name] {
			reports[name] = report{}
			continue
		}
		inFront++
		r := b.compare(t, text)
		reports[name] = r
		if r.Differences != "" {
			t.Errorf("%s: front end -, ours +\n%s", name, r.Differences)
			continue
		}
		now[name] = sum
	}
	t.Logf("%d workflows, %d of them in the front end too; report in %s", len(reports), inFront, b.page.Keep("report.json", indented(t, reports)))
	if len(reports) < 100 {
		t.Errorf("only %d workflows were converted", len(reports))
	}
	if *all {
		if err := os.WriteFile(alike, append(indented(t, now), '\n'), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestConvertMuted compares some of the templates with nodes muted and bypassed at random, by a fixed seed: what then
// comes from where depends on types.
func TestConvertMuted(t *testing.T) {
	t.Parallel()
	found := installed(t)
	b := newBothWays(t)
	const every = 12 // of the templates
	for i, name := range slices.Sorted(maps.Keys(found.Templates)) {
		saved, err := pyjson.UnmarshalObject(readFile(t, found.Templates[name]))
		if i%every != 0 || !strings.HasSuffix(name, ".json") || err != nil || !workflow.IsWorkflow(saved) {
			continue
		}
		random := rand.New(rand.NewPCG(1, uint64(i)))
		mute(saved, random)
		subgraphs, _ := saved.Object("definitions").Get("subgraphs")
		for _, s := range asList(subgraphs) {
			mute(s, random)
		}
		text, err := pyjson.Marshal(saved)
		if err != nil {
			t.Fatal(err)
		}
		if r := b.compare(t, text); r.Differences != "" {
			t.Errorf("%s, muted: front end -, ours +\n%s", name, r.Differences)
			b.page.Keep(name, text)
		}
	}
}

// mute mutes one node of twelve and bypasses two.
func mute(graph any, random *rand.Rand) {
	o, ok := graph.(*pyjson.Object)
	if !ok {
		return
	}
	nodes, _ := o.Get("nodes")
	for _, n := range asList(nodes) {
		node, ok := n.(*pyjson.Object)
		if !ok {
			continue
		}
		switch random.IntN(12) {
		case 0:
			node.Set("mode", int64(2))
		case 1, 2:
			node.Set("mode", int64(4))
		}
	}
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

// TestConvertExamples compares the examples of package workflow, whose prompts were recorded with COMFYGO_RECORD=1, with the front end's
// current results.
func TestConvertExamples(t *testing.T) {
	t.Parallel()
	b := newBothWays(t)
	dir := filepath.Join(moduleRoot(t), "workflow", "testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*.workflow.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples in %s (%v)", dir, err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "group") {
			continue // written by hand, see the README beside it
		}
		front := b.front(t, readFile(t, file))
		recorded := strings.TrimSuffix(file, ".workflow.json") + ".prompt.json"
		if os.Getenv("COMFYGO_RECORD") != "" {
			data, err := json.MarshalIndent(front, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(recorded, append(data, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var want map[string]any
		if err := json.Unmarshal(readFile(t, recorded), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, front); diff != "" {
			t.Errorf("%s: recorded -, front end now +\n%s", filepath.Base(file), diff)
		}
		if r := b.compare(t, readFile(t, file)); r.Differences != "" {
			t.Errorf("%s: front end -, ours +\n%s", filepath.Base(file), r.Differences)
		}
	}
}
