package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/auth"
	"comfygo/executor"
	"comfygo/nodes"
	"comfygo/server"
)

// TestJobsBelongToTheirOwner has one user finish, run and queue jobs, and all others look for them.
func TestJobsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	done := a.put("ann", `{"prompt": `+graphOf(5)+`}`)
	a.until("the first job", func() bool { return a.as("ann", "GET", "/history/"+done, "").body != "{}" })
	running := a.put("ann", `{"prompt": `+fmt.Sprintf(slow, 1)+`}`)
	a.until("the second job", func() bool {
		return strings.Contains(a.as("ann", "GET", "/api/jobs/"+running, "").body, `"status": "in_progress"`)
	})
	waiting := a.put("ann", `{"prompt": `+fmt.Sprintf(slow, 2)+`}`)
	for _, who := range []string{"bob", "vera", "gus"} {
		a.seesNothing(who, done, running, waiting)
	}
	a.changesNothing(done, running, waiting)

	a.wants("root", "GET /queue", "", 200, running)
	a.wants("root", "GET /history", "", 200, done)
	a.wants("root", "GET /api/jobs/"+waiting, "", 200, waiting)
	a.wants("root", "GET /queue?owner=ann", "", 200, waiting)
	a.wants("root", "GET /queue?owner="+a.users["bob"].ID, "", 200, `"queue_pending": []`)
	a.wants("root", "GET /history?owner=bob", "", 200, `{}`)
	a.wants("root", "GET /api/v1/queue?owner=ann", "", 200, `"pending": 1`)
	a.wants("root", "GET /api/v2/jobs", "", 200, running)
	a.wants("ann", "GET /queue?owner=ann", "", 200, waiting)
	a.wants("ann", "GET /queue?owner=bob", "", 404, "not_found")

	a.wants("ann", "POST /queue", `{"clear": true}`, 200, "")
	a.wants("root", "POST /interrupt", "", 200, "")
	a.until("the end", func() bool { return a.as("ann", "GET", "/history/"+running, "").body != "{}" })
	a.wants("ann", "GET /history/"+waiting, "", 200, "{}")
	a.wants("ann", "POST /history", `{"delete": ["`+done+`"]}`, 200, "")
	a.wants("ann", "POST /history", `{"delete": ["no-such-job"]}`, 200, "")
	a.wants("root", "GET /api/auth/audit?action=delete&owner=ann&result=failed", "", 200, "history no-such-job")
	log := a.wants("root", "GET /api/auth/audit?action=delete&owner=ann", "", 200, "history "+done)
	if !strings.Contains(log.body, `"target":"queue"`) || strings.Contains(log.body, a.users["bob"].ID) {
		t.Errorf("the audit log of what ann has deleted: %s", log.body)
	}
}

// seesNothing looks for the jobs of another owner wherever jobs are shown.
func (a *authRig) seesNothing(who, done, running, waiting string) {
	a.t.Helper()
	a.wants(who, "GET /queue", "", 200, `{"queue_running": [], "queue_pending": []}`)
	a.wants(who, "GET /prompt", "", 200, `"queue_remaining": 0`)
	a.wants(who, "GET /history", "", 200, "{}")
	a.wants(who, "GET /api/jobs", "", 200, `"jobs": []`)
	for _, id := range []string{done, running, waiting} {
		a.wants(who, "GET /history/"+id, "", 200, "{}")
		a.wants(who, "GET /api/jobs/"+id, "", 404, "")
		if who != "gus" {
			a.wants(who, "GET /api/v2/jobs/"+id, "", 404, "")
			a.wants(who, "GET /api/v2/jobs/"+id+"/events", "", 404, "")
			a.wants(who, "GET /api/v2/jobs/"+id+"/workflow", "", 404, "")
		}
	}
	if who == "gus" {
		return
	}
	a.wants(who, "GET /api/v1/queue", "", 200, `"running": 0, "pending": 0, "history": 0`)
	a.wants(who, "GET /api/v1/queue/events", "", 200, `"events": []`)
	if got := a.as(who, "GET", "/api/v2/jobs", ""); strings.Contains(got.body, done) || strings.Contains(got.body, running) {
		a.t.Errorf("%s lists %s", who, got.body)
	}
}

// changesNothing has bob try to end ann's jobs in every way there is.
func (a *authRig) changesNothing(done, running, waiting string) {
	a.t.Helper()
	for _, id := range []string{done, running, waiting} {
		a.wants("bob", "POST /api/jobs/"+id+"/cancel", "", 200, `"cancelled": false`)
		a.wants("bob", "POST /api/jobs/cancel", `{"job_ids": ["`+id+`"]}`, 200, `"cancelled": false`)
		a.wants("bob", "POST /interrupt", `{"prompt_id": "`+id+`"}`, 200, "")
		a.wants("bob", "POST /queue", `{"delete": ["`+id+`"]}`, 200, "")
		a.wants("bob", "POST /history", `{"delete": ["`+id+`"]}`, 200, "")
		a.wants("bob", "POST /api/v1/queue/cancel", `{"prompt_id": "`+id+`"}`, 404, "")
		a.wants("bob", "POST /api/v2/jobs/"+id+"/cancel", "", 404, "")
		a.wants("bob", "POST /prompt", `{"prompt_id": "`+id+`", "prompt": `+graphOf(1)+`}`, 409, "invalid_prompt_id")
	}
	a.wants("bob", "POST /interrupt", "", 200, "")
	a.wants("bob", "POST /queue", `{"clear": true}`, 200, "")
	a.wants("bob", "POST /history", `{"clear": true}`, 200, "")
	time.Sleep(50 * time.Millisecond) // an interrupt would need a moment
	a.wants("ann", "GET /api/jobs/"+running, "", 200, `"status": "in_progress"`)
	a.wants("ann", "GET /api/jobs/"+waiting, "", 200, `"status": "pending"`)
	a.wants("ann", "GET /history/"+done, "", 200, done)
}

// uploadForm is an upload of a file.
func uploadForm(t *testing.T, name, text string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("image", name)
	if err == nil {
		_, err = part.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// TestFilesBelongToTheirOwner has two users keep files of the same name.
func TestFilesBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	for _, who := range []string{"ann", "bob"} {
		body, kind := uploadForm(t, "same.txt", "of "+who)
		if got := a.as(who, "POST", "/upload/image", body, "Content-Type", kind); got.status != 200 || !strings.Contains(got.body, `"name": "same.txt"`) {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	body, kind := uploadForm(t, "ann.txt", "x")
	a.as("ann", "POST", "/upload/image", body, "Content-Type", kind)
	a.wants("ann", "GET /view?type=input&filename=same.txt", "", 200, "of ann")
	a.wants("bob", "GET /view?type=input&filename=same.txt", "", 200, "of bob")
	a.wants("root", "GET /view?type=input&filename=same.txt", "", 404, "")
	a.wants("root", "GET /view?type=input&filename=same.txt&owner=bob", "", 200, "of bob")
	a.wants("root", "GET /view?type=input&filename=note.txt&owner=", "", 200, "hello text")
	a.wants("ann", "GET /view?type=input&filename=note.txt", "", 404, "")
	a.wants("ann", "GET /internal/files/input", "", 200, `"ann.txt [input]"`)
	a.wants("bob", "GET /internal/files/input", "", 200, `["same.txt [input]"]`)
	id := a.users["ann"].ID
	for _, query := range []string{
		"filename=ann.txt", "filename=ann.txt&owner=ann", "filename=ann.txt&subfolder=../@" + id, "filename=ann.txt&subfolder=@" + id,
		"filename=ann.txt&subfolder=" + filepath.Join(a.base, "input", "@"+id), "filename=../@" + id + "/ann.txt", "filename=..%2f@" + id + "%2fann.txt",
		"filename=ann.txt+[input]&subfolder=..%2f@" + id,
	} {
		if got := a.as("bob", "GET", "/view?type=input&"+query, ""); got.status < 400 {
			t.Errorf("bob gets ann's file by %s: %d %s", query, got.status, got.body)
		}
	}
}

func TestSettingsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	a.wants("ann", "POST /settings/color", `"red"`, 200, "")
	a.wants("bob", "POST /settings/color", `"blue"`, 200, "")
	a.wants("ann", "GET /settings/color", "", 200, "red")
	a.wants("bob", "GET /settings", "", 200, "blue")
	a.wants("root", "GET /settings", "", 200, "{}")
	a.wants("root", "GET /settings?owner=ann", "", 200, "red")
	a.wants("ann", "GET /settings?owner=bob", "", 404, "not_found")
	a.wants("ann", "GET /settings?owner=ann", "", 200, "red")
	a.wants("ann", "POST /userdata/workflows%2Fa.json", `{"by": "ann"}`, 200, "workflows/a.json")
	a.wants("ann", "GET /userdata/workflows%2Fa.json", "", 200, "ann")
	a.wants("bob", "GET /userdata/workflows%2Fa.json", "", 404, "")
	a.wants("root", "GET /userdata/workflows%2Fa.json?owner=ann", "", 200, "ann")
	if got := a.as("bob", "GET", "/userdata/..%2F"+a.users["ann"].ID+"%2Fworkflows%2Fa.json", ""); got.status != 403 {
		t.Errorf("bob reaches into ann's folder: %d %s", got.status, got.body)
	}
	if got := a.as("bob", "GET", "/userdata/workflows%2Fa.json", "", "Comfy-User", a.users["ann"].ID); got.status != 404 {
		t.Errorf("bob says to be ann: %d %s", got.status, got.body)
	}
}

// TestEventsBelongToTheirOwner has two users take one client id; each gets the events of its own jobs only.
func TestEventsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	ann, bob, root := a.socket(t, "ann", "same"), a.socket(t, "bob", "same"), a.socket(t, "root", "same")
	a.put("ann", `{"client_id": "same", "prompt": `+graphOf(3)+`}`)
	for m := ""; m != "executing null"; m = a.next(ann) {
		continue
	}
	a.put("ann", `{"prompt": `+graphOf(4)+`}`) // without a client: to all of ann's
	a.put("bob", `{"client_id": "same", "prompt": `+graphOf(6)+`}`)
	var got []string
	for m := ""; m != "executing null"; m = a.next(bob) {
		got = append(got, m)
	}
	if n := strings.Count(strings.Join(got, " "), "execution_start"); n != 1 {
		t.Errorf("bob hears %v", got)
	}
	a.put("root", `{"client_id": "same", "prompt": `+graphOf(7)+`}`)
	got = nil
	for m := ""; m != "executing null"; m = a.next(root) {
		got = append(got, m)
	}
	if n := strings.Count(strings.Join(got, " "), "execution_start"); n != 1 {
		t.Errorf("the administrator hears %v", got)
	}
}

// TestStatusCountsOnesOwn reads how many jobs remain from the sockets.
func TestStatusCountsOnesOwn(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	a.put("ann", `{"prompt": `+fmt.Sprintf(slow, 1)+`}`)
	a.put("ann", `{"prompt": `+fmt.Sprintf(slow, 2)+`}`)
	for who, want := range map[string]int{"ann": 2, "bob": 0, "root": 2} {
		conn, _, err := a.open(t, "?token="+a.keys[who].Secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := conn.Read(t.Context())
		if err != nil || !strings.Contains(string(data), fmt.Sprintf(`"queue_remaining": %d`, want)) {
			t.Errorf("%s is told %s, %v", who, data, err)
		}
	}
	a.wants("root", "POST /queue", `{"clear": true}`, 200, "")
	a.wants("root", "POST /interrupt", "", 200, "")
}

func TestKeysOfRequestsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	first := a.as("ann", "POST", "/prompt", `{"prompt": `+graphOf(1)+`}`, "Idempotency-Key", "one")
	again := a.as("ann", "POST", "/prompt", `{"prompt": `+graphOf(1)+`}`, "Idempotency-Key", "one")
	other := a.as("bob", "POST", "/prompt", `{"prompt": `+graphOf(1)+`}`, "Idempotency-Key", "one")
	if first.body != again.body || other.status != 200 || other.body == first.body {
		t.Errorf("%s\n%s\n%s", first.body, again.body, other.body)
	}
}

func TestFreeIsTheAdministrators(t *testing.T) {
	t.Parallel()
	var freed atomic.Int32
	a := startAuth(t, nil, func(c *server.Config) { c.FreeModels = func() { freed.Add(1) } })
	a.wants("ann", "POST /free", `{"unload_models": true}`, 200, "")
	time.Sleep(50 * time.Millisecond)
	if freed.Load() != 0 {
		t.Error("a user has freed the models of all")
	}
	a.wants("root", "POST /free", `{"unload_models": true}`, 200, "")
	a.until("the models are freed", func() bool { return freed.Load() == 1 })
}

// TestLimitsOfRoles tries the limits on waiting jobs, on the size of images and of uploads.
func TestLimitsOfRoles(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	limits := auth.Limits{Queued: 2, UploadBytes: 1000, Prompts: 1e-3, PromptsBurst: 4}
	if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, limits); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		a.put("ann", `{"prompt": `+fmt.Sprintf(slow, i)+`}`)
	}
	if got := a.wants("ann", "POST /prompt", `{"prompt": `+graphOf(1)+`}`, 429, "queue_full"); got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	a.put("bob", `{"prompt": `+graphOf(1)+`}`)
	body, kind := uploadForm(t, "big.bin", strings.Repeat("x", 2000))
	if got := a.as("bob", "POST", "/upload/image", body, "Content-Type", kind); got.status != 413 {
		t.Errorf("an upload above the limit: %d %s", got.status, got.body)
	}
	if got := a.as("root", "POST", "/upload/image", body, "Content-Type", kind); got.status != 200 {
		t.Errorf("the administrator's upload: %d %s", got.status, got.body)
	}
	a.wants("root", "POST /queue?owner=ann", `{"clear": true}`, 200, "")
	a.wants("root", "POST /interrupt", "", 200, "")
	a.as("ann", "POST", "/prompt", `{}`)
	if got := a.as("ann", "POST", "/prompt", `{}`); got.status != 429 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "rate_limited") {
		t.Errorf("the fifth prompt of a burst of four: %d %v %s", got.status, got.header, got.body)
	}
}

// TestGuestsRunPublicWorkflows registers a workflow and lets a guest run it and others.
func TestGuestsRunPublicWorkflows(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	a.wants("root", "POST /api/workflows", `{"name": "pub", "title": "A number", "public": true, "free": [{"name": "n", "node": "1", "input": "value"}],
		"graph": `+graphOf(3)+`}`, 201, `"name":"pub"`)
	a.wants("root", "POST /api/workflows", `{"name": "pub", "graph": `+graphOf(3)+`}`, 409, "exists")
	a.wants("root", "POST /api/workflows", `{"name": "private", "graph": `+fmt.Sprintf(slow, 3)+`}`, 201, "")
	list := a.wants("gus", "GET /api/workflows", "", 200, `"name":"pub"`)
	if strings.Contains(list.body, "private") || strings.Contains(list.body, "class_type") {
		t.Errorf("a guest sees %s", list.body)
	}
	a.wants("gus", "GET /api/workflows/private", "", 403, `"permission": "GET /workflows/:name for workflow private"`)
	a.wants("gus", "POST /api/workflows/private/run", "", 403, "private")
	a.wants("gus", "POST /prompt", `{"prompt": `+graphOf(9)+`}`, 200, "prompt_id")
	refused := a.wants("gus", "POST /prompt", `{"prompt": `+strings.Replace(graphOf(9), `"Number"`, `"Wait"`, 1)+`}`, 403, "workflow_not_allowed")
	if !strings.Contains(refused.body, `"difference": "`) || !strings.Contains(refused.body, `"workflow": "pub"`) {
		t.Errorf("the refusal does not say what differs: %s", refused.body)
	}
	done := a.wants("gus", "POST /api/workflows/pub/run?wait=20", `{"inputs": {"n": 42}}`, 200, `"text": [42]`)
	var v struct {
		ID string `json:"prompt_id"`
	}
	if err := json.Unmarshal([]byte(done.body), &v); err != nil {
		t.Fatal(err)
	}
	a.wants("gus", "GET /history/"+v.ID, "", 200, v.ID)
	a.wants("gus", "POST /api/workflows/pub/run", `{"inputs": {"m": 1}}`, 400, "no free input")
	a.wants("gus", "POST /api/workflows/pub/run", `{"inputs": {"n": ["2", 0]}}`, 400, "")
	a.wants("vera", "POST /api/workflows/pub/run", "", 403, "POST /workflows/:name/run")
	a.wants("root", "DELETE /api/workflows/pub", "", 204, "")
	a.wants("gus", "POST /api/workflows/pub/run", "", 403, "")
}

// TestUsersCannotReorder: only administrators reorder the queue.
func TestUsersCannotReorder(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	a.wants("root", "POST /api/v1/queue/pause", "", 200, "")
	first := a.put("bob", `{"prompt": `+graphOf(1)+`}`)
	for _, wish := range []string{`"front": true`, `"number": -1e9`, `"number": 0`, `"extra_data": {"comfygo": {"priority": "high"}}`} {
		a.put("ann", `{`+wish+`, "prompt": `+graphOf(2)+`}`)
	}
	last := a.put("root", `{"front": true, "prompt": `+graphOf(3)+`}`)
	var q struct {
		Pending [][]any `json:"queue_pending"`
	}
	if err := json.Unmarshal([]byte(a.as("root", "GET", "/queue", "").body), &q); err != nil || len(q.Pending) != 6 {
		t.Fatalf("%v, %v", q, err)
	}
	if q.Pending[0][1] != last || q.Pending[1][1] != first {
		t.Errorf("the administrator's goes first and bob's second, but the order is %v", q.Pending)
	}
	a.wants("ann", "POST /api/v1/queue/move", `{"prompt_id": "`+last+`", "position": 5}`, 403, "POST /v1/queue/move")
}

// TestListsOfFilesAreOnesOwn: the file lists of nodes are those of the caller.
func TestListsOfFilesAreOnesOwn(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) {
		registry := nodes.NewRegistry()
		if err := registry.Add(&picker{}); err != nil {
			t.Fatal(err)
		}
		c.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}})
	})
	for _, who := range []string{"ann", "bob"} {
		body, kind := uploadForm(t, who+".png", string(testPNG(t, 4, 4)))
		if got := a.as(who, "POST", "/upload/image", body, "Content-Type", kind); got.status != 200 {
			t.Fatal(got.body)
		}
	}
	for _, path := range []string{"/object_info", "/object_info/Picker"} {
		for who, other := range map[string]string{"ann": "bob", "bob": "ann"} {
			if got := a.wants(who, "GET "+path, "", 200, who+".png"); strings.Contains(got.body, other+".png") || strings.Contains(got.body, "pic.png") {
				t.Errorf("%s sees the files of others at %s: %s", who, path, got.body)
			}
		}
	}
	a.wants("root", "GET /object_info?owner=ann", "", 200, "ann.png")
	a.wants("ann", "POST /prompt", `{"prompt": {"1": {"class_type": "Picker", "inputs": {"image": "bob.png"}}}}`, 400, "bob.png")
	a.wants("ann", "POST /prompt", `{"prompt": {"1": {"class_type": "Picker", "inputs": {"image": "ann.png"}}}}`, 200, "prompt_id")
}

// picker chooses a file of the input folder.
type picker struct {
	Image string `in:"image" files:"input:image"`
}

func (*picker) Spec() nodes.Spec {
	return nodes.Spec{Name: "Picker", Category: "test", OutputNode: true}
}
func (n *picker) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(), nil }

// TestCommandLineIsForAdministrators requests the command line, which names folders of the machine.
func TestCommandLineIsForAdministrators(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) { c.Argv = []string{"comfygo", "--base-directory", "/srv/images"} })
	for who, want := range map[string]string{"root": `"argv": ["comfygo", "--base-directory", "/srv/images"]`, "ann": `"argv": ["comfygo"]`, "vera": `"argv": ["comfygo"]`} {
		a.wants(who, "GET /system_stats", "", 200, want)
	}
}
