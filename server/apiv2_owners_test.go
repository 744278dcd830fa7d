package server_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/nodes"
	"comfygo/server"
	"comfygo/server/reply"
)

// startV2Owners runs a server with a key store and the API v2.
func startV2Owners(t *testing.T) *authRig {
	t.Helper()
	return startAuth(t, nil, func(c *server.Config) {
		var once sync.Mutex
		var lib *assets.Library
		c.OpenAssets = func() (*assets.Library, error) {
			once.Lock()
			defer once.Unlock()
			var err error
			if lib == nil {
				lib, err = assets.Open(assets.Config{Folders: c.Folders, ContentType: reply.GuessType})
			}
			return lib, err
		}
		t.Cleanup(func() {
			if lib != nil {
				_ = lib.Close()
			}
		})
		registry := nodes.NewRegistry()
		for _, n := range []nodes.Node{&show{}, &copies{}} {
			if err := registry.Add(n); err != nil {
				t.Fatal(err)
			}
		}
		c.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}})
	})
}

// TestV2Owners: jobs and assets are their owner's; others do not even hear that they exist.
func TestV2Owners(t *testing.T) {
	t.Parallel()
	a := startV2Owners(t)
	data := testPNG(t, 6, 5)
	upload := func(user string, want int) string {
		t.Helper()
		body, contentType := formV2(t, [][2]string{{"content_type", "image/png"}, {"file_path", "p.png"}}, data)
		r := a.as(user, "POST", "/api/v2/assets", body, "Content-Type", contentType)
		var v struct{ ID string }
		if err := json.Unmarshal([]byte(r.body), &v); err != nil || r.status != want {
			t.Fatalf("the upload of %s: %d %s, want %d", user, r.status, r.body, want)
		}
		return v.ID
	}
	ofAnn := upload("ann", 201)
	hash := hashOf(data)
	a.wants("bob", "HEAD /api/v2/assets/by-hash/"+hash, "", 404, "")
	a.wants("bob", "POST /api/v2/assets/from-hash", `{"hash": "`+hash+`"}`, 404, "blob_not_found")
	a.wants("bob", "GET /api/v2/assets/"+ofAnn, "", 404, "not_found")
	a.wants("bob", "GET /api/v2/assets/"+ofAnn+"/content", "", 404, "not_found")
	a.wants("bob", "DELETE /api/v2/assets/"+ofAnn, "", 404, "not_found")
	workflow := func(asset string) string {
		return `{"workflow": {"a": {"class_type": "Copies", "inputs": {"file": {"__type": "core/ASSET", "info": {"id": "` + asset + `"}}, "name": "out.png"}}}}`
	}
	a.wants("bob", "POST /api/v2/jobs", workflow(ofAnn), 422, "missing_asset")

	ofBob := upload("bob", 201) // the same bytes, which bob must not learn
	type job struct {
		ID, Status string
		Outputs    []struct{ ID string }
		Error      any
	}
	run := func(user, asset string) job {
		t.Helper()
		r := a.as(user, "POST", "/api/v2/jobs", workflow(asset))
		var j job
		if err := json.Unmarshal([]byte(r.body), &j); err != nil || r.status != http.StatusCreated {
			t.Fatalf("the job of %s: %d %s", user, r.status, r.body)
		}
		a.until("the end of the job", func() bool {
			r := a.as(user, "GET", "/api/v2/jobs/"+j.ID, "")
			return json.Unmarshal([]byte(r.body), &j) == nil && (j.Status == "succeeded" || j.Status == "failed")
		})
		if j.Status != "succeeded" || len(j.Outputs) != 1 {
			t.Fatalf("the job of %s: %+v", user, j)
		}
		if r := a.as(user, "GET", "/api/v2/assets/"+j.Outputs[0].ID+"/content", ""); r.body != string(data) {
			t.Errorf("the output of %s: %d, %d bytes", user, r.status, len(r.body))
		}
		return j
	}
	first, second := run("ann", ofAnn), run("bob", ofBob)
	self := "/api/v2/jobs/" + first.ID
	for _, request := range []string{"GET " + self, "GET " + self + "/workflow", "GET " + self + "/events", "POST " + self + "/cancel", "GET /api/v2/assets/" + first.Outputs[0].ID} {
		a.wants("bob", request, "", 404, "not_found")
	}
	a.wants("root", "GET "+self, "", 200, "succeeded")
	if r := a.as("bob", "GET", "/api/v2/jobs", ""); strings.Contains(r.body, first.ID) || !strings.Contains(r.body, second.ID) {
		t.Errorf("bob's list: %s", r.body)
	}
	if r := a.as("bob", "GET", "/api/v2/assets", ""); strings.Contains(r.body, ofAnn) || !strings.Contains(r.body, ofBob) {
		t.Errorf("bob's assets: %s", r.body)
	}
	for _, user := range []string{"ann", "bob"} { // each in its own folder
		if list, err := filepath.Glob(filepath.Join(a.base, "output", "@"+a.users[user].ID, "out.png")); err != nil || len(list) != 1 {
			t.Errorf("the output folder of %s has %v (%v)", user, list, err)
		}
	}
}

// TestV2Refused: what stands before the handlers answers in the contract's form, too.
func TestV2Refused(t *testing.T) {
	t.Parallel()
	a := startV2Owners(t)
	code := func(r httpReply) string {
		var v struct {
			Error struct {
				Code, Message string
				Details       map[string]any
			}
		}
		if err := json.Unmarshal([]byte(r.body), &v); err != nil || v.Error.Message == "" {
			t.Errorf("the answer %d is %s", r.status, r.body)
		}
		return v.Error.Code
	}
	if r := a.do("GET", "/api/v2/jobs", ""); r.status != 401 || code(r) != "unauthorized" {
		t.Errorf("without a key: %d %s", r.status, r.body)
	}
	if r := a.do("GET", "/api/v2/jobs", "", "Authorization", "Bearer nothing"); r.status != 401 || code(r) != "unauthorized" {
		t.Errorf("with a wrong key: %d %s", r.status, r.body)
	}
	if r := a.as("vera", "POST", "/api/v2/jobs", `{"workflow": {}}`); r.status != 403 || code(r) != "forbidden" {
		t.Errorf("a viewer: %d %s", r.status, r.body)
	}
	if r := a.as("gus", "POST", "/api/v2/jobs", `{"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}}`); r.status != 403 || code(r) != "forbidden" {
		t.Errorf("a guest: %d %s", r.status, r.body)
	}
}
