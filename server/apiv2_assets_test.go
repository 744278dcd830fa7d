package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/assets"
	"comfygo/server"
)

func hashOf(data []byte) string {
	h := assets.NewHasher()
	_, _ = h.Write(data)
	return h.Hash()
}

// both runs a test with a catalogue that is opened late and with that of --enable-assets.
func both(t *testing.T, test func(t *testing.T, r *rigV2)) {
	for _, enabled := range []bool{false, true} {
		t.Run(fmt.Sprintf("enable-assets=%v", enabled), func(t *testing.T) {
			t.Parallel()
			test(t, startV2(t, enabled, nil))
		})
	}
}

func TestV2Assets(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, r *rigV2) {
		data := testPNG(t, 9, 7)
		hash := hashOf(data)
		if a := r.do("HEAD", "/api/v2/assets/by-hash/"+hash, ""); a.status != 404 {
			t.Fatalf("unknown bytes: %d", a.status)
		}
		r.fails(404, "blob_not_found", "POST", "/api/v2/assets/from-hash", `{"hash": "`+hash+`"}`)

		first := r.upload(201, "photos/photo.png", data, [2]string{"expected_hash", hash}, [2]string{"tags", "holiday"})
		for key, want := range map[string]any{
			"hash": hash, "size_bytes": float64(len(data)), "content_type": "image/png", "file_path": "photos/photo.png", "created_new": true,
			"url": r.url + "/api/v2/assets/" + first["id"].(string) + "/content",
		} {
			if first[key] != want {
				t.Errorf("%s is %v, want %v", key, first[key], want)
			}
		}
		second := r.upload(200, "other.png", data)
		if second["created_new"] != false || second["id"] == first["id"] {
			t.Errorf("the second upload of the bytes: %v", second)
		}
		if a := r.do("HEAD", "/api/v2/assets/by-hash/"+strings.Replace(hash, ":", "%3A", 1), ""); a.status != 200 {
			t.Errorf("known bytes: %d", a.status)
		}
		third := r.call(201, "POST", "/api/v2/assets/from-hash", `{"hash": "`+hash+`", "file_path": "third.png", "expires_in": 60}`)
		again := r.call(200, "POST", "/api/v2/assets/from-hash", `{"hash": "`+hash+`", "file_path": "third.png"}`)
		if third["created_new"] != false || third["id"] != again["id"] {
			t.Errorf("from-hash made %v and then %v", third, again)
		}

		one := "/api/v2/assets/" + first["id"].(string)
		if got := r.call(200, "GET", one, ""); got["file_path"] != "photos/photo.png" || got["created_new"] != nil {
			t.Errorf("the asset is %v", got)
		}
		if a := r.do("GET", one+"/content", ""); a.status != 200 || a.body != string(data) || a.header.Get("Content-Type") != "image/png" {
			t.Errorf("the content: %d %s %d bytes", a.status, a.header.Get("Content-Type"), len(a.body))
		}
		if a := r.do("GET", one+"/content", "", "Range", "bytes=3-7"); a.status != 206 || a.body != string(data[3:8]) {
			t.Errorf("a range: %d %q", a.status, a.body)
		}
		if a := r.do("GET", one+"/content", "", "Range", "bytes=99999-"); a.status != 416 {
			t.Errorf("a range behind the end: %d", a.status)
		}

		for _, id := range []any{first["id"], second["id"], third["id"]} {
			path := "/api/v2/assets/" + id.(string)
			if a := r.do("GET", path+"/content", ""); a.status != 200 {
				t.Errorf("the content of %s while others are deleted: %d", id, a.status)
			}
			r.call(204, "DELETE", path, "")
			r.fails(404, "not_found", "DELETE", path, "")
			r.fails(404, "not_found", "GET", path, "")
			r.fails(404, "not_found", "GET", path+"/content", "")
		}
		if a := r.do("HEAD", "/api/v2/assets/by-hash/"+hash, ""); a.status != 404 {
			t.Errorf("bytes of deleted assets: %d", a.status)
		}
		back := r.upload(201, "photo.png", data)
		if a := r.do("GET", "/api/v2/assets/"+back["id"].(string)+"/content", ""); a.status != 200 || a.body != string(data) {
			t.Errorf("the content of what was deleted and sent again: %d", a.status)
		}
	})
}

func TestV2UploadRefused(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	if *r.opens != 0 {
		t.Error("the catalogue was opened before anybody needed it")
	}
	ok := [][2]string{{"content_type", "image/png"}, {"file_path", "a.png"}}
	with := func(more ...[2]string) [][2]string { return append(append([][2]string{}, ok...), more...) }
	for name, c := range map[string]struct {
		status int
		code   string
		fields [][2]string
		file   []byte
	}{
		"no file":          {422, "invalid_request", ok, nil},
		"no content type":  {422, "invalid_request", ok[1:], []byte("x")},
		"no path":          {422, "invalid_request", ok[:1], []byte("x")},
		"no media type":    {422, "invalid_request", [][2]string{{"content_type", "png"}, ok[1]}, []byte("x")},
		"a path upwards":   {422, "invalid_request", [][2]string{ok[0], {"file_path", "../a.png"}}, []byte("x")},
		"a path inside":    {422, "invalid_request", [][2]string{ok[0], {"file_path", "a/../../a.png"}}, []byte("x")},
		"an absolute path": {422, "invalid_request", [][2]string{ok[0], {"file_path", "/a.png"}}, []byte("x")},
		"a model's folder": {422, "invalid_request", [][2]string{ok[0], {"file_path", "models/nothing/a.png"}}, []byte("x")},
		"no hash":          {422, "invalid_request", with([2]string{"expected_hash", "md5:00"}), []byte("x")},
		"another hash":     {409, "hash_mismatch", with([2]string{"expected_hash", hashOf([]byte("y"))}), []byte("x")},
		"a short stay":     {422, "invalid_request", with([2]string{"expires_in", "59"}), []byte("x")},
		"a long stay":      {422, "invalid_request", with([2]string{"expires_in", "604801"}), []byte("x")},
		"a long text":      {422, "invalid_request", with([2]string{"tags", strings.Repeat("x", 5000)}), []byte("x")},
	} {
		body, contentType := formV2(t, c.fields, c.file)
		t.Run(name, func(t *testing.T) {
			r := &rigV2{rig: &rig{t: t, url: r.url}}
			r.fails(c.status, c.code, "POST", "/api/v2/assets", body, "Content-Type", contentType)
		})
	}
	r.fails(422, "invalid_request", "POST", "/api/v2/assets", "{}", "Content-Type", "application/json")
	r.fails(422, "invalid_request", "POST", "/api/v2/assets", "--b\r\n", "Content-Type", "multipart/form-data; boundary=b")
	r.fails(422, "invalid_request", "POST", "/api/v2/assets/from-hash", "[]")
	r.fails(422, "invalid_request", "POST", "/api/v2/assets/from-hash", `{"hash": 5}`)
	r.fails(422, "invalid_request", "POST", "/api/v2/assets/from-hash", `{"hash": "blake3:zz"}`)
	r.fails(404, "not_found", "GET", "/api/v2/assets/nothing", "")
	r.fails(404, "not_found", "GET", "/api/v2/assets/9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b", "")
	r.fails(404, "not_found", "GET", "/api/v2/jobs/x/y/z", "")
	r.fails(405, "method_not_allowed", "PUT", "/api/v2/jobs", "")

	left, err := filepath.Glob(filepath.Join(r.base, "temp", ".upload-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("refused uploads have left %v (%v)", left, err)
	}
}

func TestV2UploadTooLarge(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, func(c *server.Config) { c.MaxUploadSize = 0.001 })
	body, contentType := formV2(t, [][2]string{{"content_type", "image/png"}, {"file_path", "a.png"}}, make([]byte, 4000))
	r.fails(413, "request_too_large", "POST", "/api/v2/assets", body, "Content-Type", contentType)
	r.fails(413, "request_too_large", "POST", "/api/v2/jobs", `{"workflow": {"1": "`+strings.Repeat("x", 4000)+`"}}`)
}

func TestV2ModelUpload(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	body, contentType := formV2(t, [][2]string{{"content_type", "application/octet-stream"}, {"file_path", "models/loras/mine.safetensors"}}, []byte("weights"))
	got := r.call(201, "POST", "/api/v2/assets", body, "Content-Type", contentType)
	if got["file_path"] != "models/loras/mine.safetensors" {
		t.Errorf("the model is %v", got)
	}
	files, err := os.ReadDir(filepath.Join(r.base, "models", "loras"))
	if err != nil || len(files) != 1 || !strings.HasSuffix(files[0].Name(), ".safetensors") {
		t.Errorf("the folder of models holds %v (%v)", files, err)
	}
}

func TestV2IdempotentUpload(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	send := func(path string) (string, []string) {
		body, contentType := formV2(t, [][2]string{{"content_type", "image/png"}, {"file_path", path}}, []byte("x"))
		return body, []string{"Content-Type", contentType, "Idempotency-Key", "one"}
	}
	body, headers := send("../no.png")
	r.fails(422, "invalid_request", "POST", "/api/v2/assets", body, headers...)
	body, headers = send("yes.png")
	r.call(201, "POST", "/api/v2/assets", body, headers...) // the refused one has not used the key up
	r.fails(422, "idempotency_key_reuse", "POST", "/api/v2/assets", body, headers...)
	r.fails(422, "invalid_request", "POST", "/api/v2/assets", body, headers[0], headers[1], "Idempotency-Key", strings.Repeat("k", 256))
}

func TestV2AssetPages(t *testing.T) {
	t.Parallel()
	r := startV2(t, false, nil)
	want := map[any]bool{}
	for i := range 5 {
		want[r.upload(201, fmt.Sprintf("p%d.png", i), []byte{byte(i)}, [2]string{"tags", "mine"})["id"]] = true
	}
	path := "/api/v2/assets?tags=mine&limit=2"
	for pages := 0; ; pages++ {
		v := r.call(200, "GET", path, "")
		for _, a := range v["assets"].([]any) {
			id := a.(map[string]any)["id"]
			if !want[id] {
				t.Errorf("%v is listed twice or is not one of the uploads", id)
			}
			delete(want, id)
		}
		next, _ := v["next_cursor"].(string)
		if next == "" || pages > 5 {
			break
		}
		path = "/api/v2/assets?tags=mine&limit=2&cursor=" + next
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
	r.fails(422, "invalid_cursor", "GET", "/api/v2/assets?cursor=nothing", "")
	r.fails(422, "invalid_request", "GET", "/api/v2/assets?limit=0", "")
}
