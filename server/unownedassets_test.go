package server_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnownedAssets: files older than the first owner belong to the administrators. Models are visible to all
// and can be changed by none.
func TestUnownedAssets(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	write(t, filepath.Join(a.base, "input", "old.txt"), []byte("before owners"))
	write(t, filepath.Join(a.base, "models", "checkpoints", "base.safetensors"), []byte("a model"))
	a.until("a scan", func() bool { return a.as("root", "POST", "/api/assets/seed?wait=true", "").status == 200 })
	ids := map[string]string{}
	var list struct {
		Assets []struct{ ID, Name string }
	}
	if err := json.Unmarshal([]byte(a.as("root", "GET", "/api/assets?limit=100", "").body), &list); err != nil {
		t.Fatal(err)
	}
	for _, it := range list.Assets {
		ids[it.Name] = it.ID
	}
	old, model := ids["old.txt"], ids["base.safetensors"]
	if old == "" || model == "" {
		t.Fatalf("the administrator sees %v", list)
	}
	if got := a.as("bob", "GET", "/api/assets?limit=100", ""); strings.Contains(got.body, old) || !strings.Contains(got.body, model) {
		t.Errorf("bob lists %s", got.body)
	}
	if got := a.as("bob", "GET", "/api/v2/assets", ""); strings.Contains(got.body, old) {
		t.Errorf("bob lists %s", got.body)
	}
	a.wants("bob", "GET /api/assets/"+old, "", 404, "")
	a.wants("bob", "GET /api/assets/"+old+"/content", "", 404, "")
	a.wants("bob", "GET /api/assets/"+model, "", 200, "")
	mine, kind := uploadForm(t, "mine.txt", "bob's")
	a.as("bob", "POST", "/upload/image", mine, "Content-Type", kind)
	body, kind := assetForm(t, "ann.txt", "ann's")
	var anns struct{ ID string }
	if err := json.Unmarshal([]byte(a.as("ann", "POST", "/api/assets", body, "Content-Type", kind).body), &anns); err != nil || anns.ID == "" {
		t.Fatal(anns, err)
	}
	for id, status := range map[string]int{old: 404, model: 403, anns.ID: 404} {
		a.wants("bob", "PUT /api/assets/"+id, `{"name": "taken"}`, status, "")
		a.wants("bob", "POST /api/assets/"+id+"/tags", `{"tags": ["models"]}`, status, "")
		a.wants("bob", "DELETE /api/assets/"+id+"/tags", `{"tags": ["models"]}`, status, "")
		a.wants("bob", "DELETE /api/assets/"+id, "", status, "")
	}
	body, kind = assetForm(t, "own.txt", "bob's own")
	var own struct{ ID string }
	if err := json.Unmarshal([]byte(a.as("bob", "POST", "/api/assets", body, "Content-Type", kind).body), &own); err != nil || own.ID == "" {
		t.Fatal(own, err)
	}
	a.wants("bob", "PUT /api/assets/"+own.ID, `{"preview_id": "`+anns.ID+`"}`, 404, "")
	a.wants("bob", "PUT /api/assets/"+own.ID, `{"name": "renamed.txt"}`, 200, "renamed.txt")
	for who, status := range map[string]int{"bob": 403, "root": 201} {
		body, kind = assetForm(t, "new.safetensors", "a model of "+who)
		body = strings.Replace(body, `["input"]`, `["models", "model_type:checkpoints"]`, 1)
		if got := a.as(who, "POST", "/api/assets", body, "Content-Type", kind); got.status != status {
			t.Errorf("%s adds a model: %d %s", who, got.status, got.body)
		}
	}
	a.wants("root", "PUT /api/assets/"+old, `{"name": "kept.txt"}`, 200, "kept.txt")
	a.wants("root", "DELETE /api/assets/"+old, "", 204, "")
}
