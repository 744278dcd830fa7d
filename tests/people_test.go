package tests_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const peopleKey = "people-key-0123456789"

// asks runs a command against a server and reads its JSON.
func (i *instance) asks(t *testing.T, code int, v any, args ...string) (stderr string) {
	t.Helper()
	args = append(args, "--server", i.Base, "--api-key", peopleKey)
	if v != nil {
		args = append(args, "--json")
	}
	got, stdout, stderr := command(t, args...)
	if got != code {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(stdout), v); err != nil {
			t.Fatalf("%v: %v in %s", args, err, stdout)
		}
	}
	return stdout + stderr
}

// TestPeopleCommands drives the commands that talk to a running server.
func TestPeopleCommands(t *testing.T) {
	t.Parallel()
	s := start(t, "--api-key", peopleKey)
	s.Key = peopleKey
	photo := readFile(t, testImage(t))
	writeFile(t, filepath.Join(s.base, "input", "photo.png"), photo)
	if err := os.MkdirAll(filepath.Join(s.base, "models", "loras"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(s.base, "models", "loras", "style.safetensors"), []byte("x"))

	type queue struct {
		Paused           bool
		Running, Pending int
		Jobs             []struct{ ID, Status string }
	}
	var q queue
	s.asks(t, 0, &q, "queue", "pause")
	if !q.Paused {
		t.Errorf("the queue after a pause: %+v", q)
	}
	var ids []string
	for range 3 {
		id, err := s.Queue(t.Context(), json.RawMessage(exampleWorkflow), "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	q = queue{}
	s.asks(t, 0, &q, "queue")
	if q.Pending != 3 || len(q.Jobs) != 3 || q.Jobs[0].ID != ids[0] || q.Jobs[2].ID != ids[2] {
		t.Errorf("the queue: %+v, want %v", q, ids)
	}
	if text := s.asks(t, 0, nil, "queue"); !strings.Contains(text, "0 running, 3 waiting, paused") || !strings.Contains(text, "place 2") {
		t.Errorf("the queue for people:\n%s", text)
	}
	var cancelled map[string]string
	s.asks(t, 0, &cancelled, "cancel", ids[1])
	if cancelled[ids[1]] != "pending" {
		t.Errorf("cancelled: %v", cancelled)
	}
	s.asks(t, 1, nil, "cancel", ids[1])
	s.asks(t, 0, &q, "queue", "resume")
	var jobs []struct{ ID, Status string }
	for deadline := time.Now().Add(time.Minute); len(jobs) < 2 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		s.asks(t, 0, &jobs, "history")
	}
	if len(jobs) != 2 || !slices.ContainsFunc(jobs, func(j struct{ ID, Status string }) bool { return j.ID == ids[2] && j.Status == "completed" }) {
		t.Errorf("history: %v", jobs)
	}
	s.asks(t, 0, &cancelled, "cancel", "--all")

	var models map[string][]struct {
		Name, Family, Problem string
		Usable                *bool
	}
	s.asks(t, 0, &models, "models", "loras")
	if list := models["loras"]; len(list) != 1 || list[0].Name != "style.safetensors" || list[0].Usable == nil || *list[0].Usable || list[0].Problem == "" {
		t.Errorf("models: %+v", models)
	}
	if text := s.asks(t, 0, nil, "models", "loras"); !strings.Contains(text, "style.safetensors") || !strings.Contains(text, "cannot be used") {
		t.Errorf("models for people:\n%s", text)
	}
	s.asks(t, 1, nil, "models", "nothing")
	var report []struct{ Verdict, What string }
	s.asks(t, 0, &report, "doctor")
	if len(report) < 5 || report[0].What != "server" {
		t.Errorf("the doctor: %v", report)
	}
	code, _, stderr := command(t, "queue", "--server", s.Base)
	if code != 1 || !strings.Contains(stderr, "asks for a key") {
		t.Errorf("without a key: %d %s", code, stderr)
	}
	code, _, stderr = command(t, "queue", "--server", "http://127.0.0.1:1")
	if code != 1 || !strings.Contains(stderr, "no server answers") {
		t.Errorf("without a server: %d %s", code, stderr)
	}
}

// TestRunAtServer runs a workflow on a server and fetches its image.
func TestRunAtServer(t *testing.T) {
	t.Parallel()
	s := start(t, "--api-key", peopleKey)
	writeFile(t, filepath.Join(s.base, "input", "photo.png"), readFile(t, testImage(t)))
	dir := t.TempDir()
	workflow := filepath.Join(dir, "workflow.json")
	writeFile(t, workflow, []byte(exampleWorkflow))
	var out struct {
		OK    bool
		Files []string
		Error string
	}
	text := s.asks(t, 0, &out, "run", workflow, "--output", filepath.Join(dir, "out"), "--input", "2.scale_by=2")
	if !out.OK || len(out.Files) != 1 || !strings.HasPrefix(out.Files[0], filepath.Join(dir, "out")) {
		t.Fatalf("the run: %+v", out)
	}
	if data := readFile(t, out.Files[0]); string(data[1:4]) != "PNG" {
		t.Error("what was fetched is no image")
	}
	if !strings.Contains(text, "ImageScaleBy") {
		t.Errorf("the run shows no progress:\n%s", text)
	}
	if text := s.asks(t, 1, nil, "run", workflow, "--output", dir, "--input", "1.image=gone.png"); !strings.Contains(text, "gone.png") {
		t.Errorf("a run that is refused:\n%s", text)
	}
}

// needsReport is the JSON output of check.
type needsReport struct {
	OK       bool     `json:"ok"`
	Nodes    []string `json:"missing_nodes"`
	Models   []string `json:"missing_models"`
	Files    []string `json:"missing_files"`
	Problems []struct{ Kind, Node, Input, Text string }
}

// TestCheck checks the reported needs of workflows, here and at a server, in both forms of
// workflows.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := start(t, "--api-key", peopleKey)
	dir := t.TempDir()
	check := func(text string) (local, remote needsReport) {
		t.Helper()
		path := filepath.Join(dir, "w.json")
		writeFile(t, path, []byte(text))
		code, stdout, stderr := command(t, "check", path, "--json", "--base-directory", s.base)
		if err := json.Unmarshal([]byte(stdout), &local); err != nil || (code == 0) != local.OK {
			t.Fatalf("check: %d %v\n%s%s", code, err, stdout, stderr)
		}
		s.asks(t, code, &remote, "check", path)
		return local, remote
	}
	writeFile(t, filepath.Join(s.base, "input", "photo.png"), readFile(t, testImage(t)))
	for _, r := range both(check(exampleWorkflow)) {
		if !r.OK || len(r.Problems) > 0 {
			t.Errorf("nothing is missing, and check says %+v", r)
		}
	}
	for _, r := range both(check(`{
		"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}},
		"2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a cat, (embedding:easynegative:1.2)"}},
		"3": {"class_type": "KSampler", "inputs": {"model": ["1", 2], "positive": ["2", 0], "negative": ["9", 0], "seed": 1, "steps": 2, "cfg": 1, "sampler_name": "nothing", "scheduler": "normal"}},
		"4": {"class_type": "NoSuchNode", "inputs": {}},
		"5": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}}`)) {
		if r.OK || !slices.Equal(r.Nodes, []string{"NoSuchNode"}) || !slices.Equal(r.Files, []string{"gone.png"}) ||
			!slices.Equal(r.Models, []string{"gone.safetensors", "easynegative"}) {
			t.Errorf("the report is %+v", r)
		}
		for _, want := range []string{"input negative", "input latent_image", "value model", "value sampler_name", "value denoise"} {
			kind, input, _ := strings.Cut(want, " ")
			if want == "value denoise" {
				kind = "input"
			}
			found := false
			for _, p := range r.Problems {
				found = found || p.Kind == kind && p.Input == input && p.Node == "3"
			}
			if !found {
				t.Errorf("nothing is said of %s: %+v", want, r.Problems)
			}
		}
	}
	for _, r := range both(check(`{"nodes": [{"id": 1, "type": "NoSuchNode", "pos": [0, 0], "size": [1, 1], "flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "widgets_values": []}],
		"links": [], "version": 0.4, "last_node_id": 1, "last_link_id": 0}`)) {
		if r.OK || !slices.Equal(r.Nodes, []string{"NoSuchNode"}) {
			t.Errorf("of a saved workflow the report is %+v", r)
		}
	}
	code, stdout, _ := command(t, "check", filepath.Join(dir, "w.json"), "--base-directory", s.base)
	if code != 1 || !strings.Contains(stdout, "node 1 (NoSuchNode): there is no such node class here: it is no core class") {
		t.Errorf("the report for people: %d %s", code, stdout)
	}
}

func both(local, remote needsReport) []needsReport { return []needsReport{local, remote} }

// TestCompletion completes command lines in the shells that are here.
func TestCompletion(t *testing.T) {
	t.Parallel()
	script := func(shell string) string {
		code, stdout, stderr := command(t, "completion", shell)
		if code != 0 {
			t.Fatalf("completion %s: %d %s", shell, code, stderr)
		}
		return stdout
	}
	for _, c := range []struct{ words, want string }{
		{"comfygo qu", "queue"}, {"comfygo queue cl", "clear"}, {"comfygo keys --ov", "--overlap"}, {"comfygo --demo", "--demo-model"}, {"comfygo --queue sq", "sqlite"},
	} {
		words := strings.Fields(c.words)
		cmd := exec.CommandContext(t.Context(), tool(t, "bash"), "--norc", "-c", script("bash")+`
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _comfygo; printf '%s\n' "${COMPREPLY[@]}"`)
		cmd.Args = append(append(cmd.Args, "bash"), words...)
		out, err := cmd.CombinedOutput()
		if err != nil || !slices.Contains(strings.Fields(string(out)), c.want) {
			t.Errorf("%s completes to %q (%v), want %s", c.words, out, err, c.want)
		}
	}
	for shell, flag := range map[string]string{"zsh": "-n", "fish": "--no-execute"} {
		text := script(shell)
		for _, want := range []string{"doctor", "models", "check", "demo-model"} {
			if !strings.Contains(text, want) {
				t.Errorf("the completion for %s does not know %s", shell, want)
			}
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("NOT TESTED: %s is not here; its completion was read, not run", shell)
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, flag)
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s cannot read its completion: %v\n%s", shell, err, out)
		}
	}
}
