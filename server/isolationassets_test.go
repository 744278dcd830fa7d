package server_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// assetForm is an upload to the catalogue.
func assetForm(t *testing.T, name, text string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	err := w.WriteField("tags", `["input"]`)
	if err == nil {
		part, partErr := w.CreateFormFile("file", name)
		if err = partErr; err == nil {
			_, err = part.Write([]byte(text))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// TestAssetsBelongToTheirOwner has users keep assets, of the same content too, and the scanner find files of owners.
func TestAssetsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	add := func(who, name, text string) (id, hash string) {
		body, kind := assetForm(t, name, text)
		got := a.as(who, "POST", "/api/assets", body, "Content-Type", kind)
		var v struct{ ID, AssetHash, Hash string }
		var raw map[string]any
		if err := json.Unmarshal([]byte(got.body), &raw); err != nil || got.status != 201 && got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		v.ID, _ = raw["id"].(string)
		for _, key := range []string{"asset_hash", "hash"} {
			if h, ok := raw[key].(string); ok {
				v.Hash = h
			}
		}
		return v.ID, v.Hash
	}
	id, hash := add("ann", "secret.txt", "what ann knows")
	a.wants("ann", "GET /api/assets/"+id, "", 200, id)
	a.wants("ann", "GET /api/assets/"+id+"/content", "", 200, "what ann knows")
	for _, who := range []string{"bob", "vera"} {
		a.wants(who, "GET /api/assets/"+id, "", 404, "")
		a.wants(who, "GET /api/assets/"+id+"/content", "", 404, "")
		if got := a.as(who, "GET", "/api/assets", ""); strings.Contains(got.body, id) {
			t.Errorf("%s lists ann's asset", who)
		}
		if got := a.as(who, "HEAD", "/api/assets/hash/"+hash, ""); got.status != 404 {
			t.Errorf("%s learns that another user has the content: %d", who, got.status)
		}
		a.wants(who, "GET /view?filename="+hash, "", 404, "")
	}
	a.wants("bob", "POST /api/assets/from-hash", `{"hash": "`+hash+`", "name": "mine.txt", "tags": ["input"]}`, 404, "")
	a.wants("bob", "DELETE /api/assets/"+id, "", 404, "")
	other, _ := add("bob", "copy.txt", "what ann knows")
	a.wants("bob", "GET /api/assets/"+other+"/content", "", 200, "what ann knows")
	for _, who := range []string{"ann", "bob"} {
		files, err := os.ReadDir(filepath.Join(a.base, "input", "@"+a.users[who].ID))
		if err != nil || len(files) != 1 {
			t.Errorf("%s has the files %v, %v", who, files, err)
		}
	}
	body, kind := uploadForm(t, "scanned.txt", "found by the scanner")
	a.as("ann", "POST", "/upload/image", body, "Content-Type", kind)
	write(t, filepath.Join(a.base, "output", "@"+a.users["ann"].ID, "late.txt"), []byte("written by a node"))
	a.until("a scan", func() bool { return a.as("root", "POST", "/api/assets/seed?wait=true", "").status == 200 }) // another one may run
	a.wants("ann", "GET /api/assets?limit=100", "", 200, "late.txt")
	for _, who := range []string{"bob", "root"} {
		if got := a.as(who, "GET", "/api/assets?limit=100", ""); strings.Contains(got.body, "late.txt") || strings.Contains(got.body, "scanned.txt") {
			t.Errorf("%s lists ann's files: %s", who, got.body)
		}
	}
}
