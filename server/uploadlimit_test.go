package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"comfygo/auth"
	"comfygo/folders"
	"comfygo/server"
)

// TestNoUploadLimit accepts bodies of any size without a limit, and reports 0 to clients, as upstream does.
func TestNoUploadLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{math.Inf(1), 1e300} {
		r := start(t, func(c *server.Config) { c.MaxUploadSize = limit })
		if got := r.do("POST", "/userdata/x.txt", strings.Repeat("x", 1<<20)); got.status != 200 {
			t.Errorf("limit %v: %d %s", limit, got.status, got.body)
		}
		if body := r.do("GET", "/features", "").body; math.IsInf(limit, 1) && !strings.Contains(body, `"max_upload_size": 0,`) {
			t.Errorf("the features are %s", body)
		}
	}
}

// fileForm is a form with texts, names and values in turn, and one file.
func fileForm(t *testing.T, field, name, text string, fields ...string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile(field, name)
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// TestUploadQuota bounds the files that a user of a limited role keeps by uploading, in every way of uploading.
func TestUploadQuota(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	const most = 10 * 4096
	if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, auth.Limits{UploadTotal: most}); err != nil {
		t.Fatal(err)
	}
	form := func(field, name, text string, fields ...string) (body, kind string) {
		return fileForm(t, field, name, text, fields...)
	}
	text := func(i, n int) string { return strings.Repeat("x", n-4) + fmt.Sprintf("%04d", i) }
	ways := []struct {
		name string
		put  func(user string, i, size int) httpReply
	}{
		{"image", func(user string, i, size int) httpReply {
			body, kind := form("image", fmt.Sprintf("%d.bin", i), text(i, size))
			return a.as(user, "POST", "/upload/image", body, "Content-Type", kind)
		}},
		{"image in the output folder", func(user string, i, size int) httpReply {
			body, kind := form("image", fmt.Sprintf("%d.bin", i), text(i, size), "type", "output", "subfolder", "")
			return a.as(user, "POST", "/upload/image", body, "Content-Type", kind)
		}},
		{"user data", func(user string, i, size int) httpReply {
			return a.as(user, "POST", fmt.Sprintf("/userdata/%d.bin", i), text(i, size))
		}},
	}
	for _, w := range ways {
		if got := w.put("ann", 0, most-4096-1); got.status != 200 {
			t.Errorf("%s within the limit: %d %s", w.name, got.status, got.body)
		}
		got := w.put("ann", 1, 8192)
		if got.status != 413 || !strings.Contains(got.body, "upload_quota_exceeded") || !strings.Contains(got.body, "0.04 MB of your role") || strings.Contains(got.body, a.base) {
			t.Errorf("%s above the limit: %d %s", w.name, got.status, got.body)
		}
		if got := w.put("root", 1, most*2); got.status != 200 {
			t.Errorf("%s of an administrator: %d %s", w.name, got.status, got.body)
		}
		if got := w.put("bob", 1, most/2); got.status != 200 {
			t.Errorf("%s of another user: %d %s", w.name, got.status, got.body)
		}
	}
	// The input folder of ann is full by now.
	body, kind := form("file", "a.png", text(2, 8192), "tags", `["input"]`)
	if got := a.as("ann", "POST", "/api/assets", body, "Content-Type", kind); got.status != 413 || !strings.Contains(got.body, "upload_quota_exceeded") {
		t.Errorf("an asset: %d %s", got.status, got.body)
	}
	body, kind = form("file", "b.png", text(3, 8192), "content_type", "image/png", "file_path", "b.png")
	if got := a.as("ann", "POST", "/api/v2/assets", body, "Content-Type", kind); got.status != 413 || !strings.Contains(got.body, "upload_quota_exceeded") {
		t.Errorf("an asset of the API v2: %d %s", got.status, got.body)
	}
	// What replaces a file counts in its place, and empty files count, too.
	body, kind = form("image", "0.bin", text(9, most-4096-1), "overwrite", "true")
	if got := a.as("ann", "POST", "/upload/image", body, "Content-Type", kind); got.status != 200 {
		t.Errorf("a file in another's place: %d %s", got.status, got.body)
	}
	refused := 0
	for i := range 20 {
		if got := a.as("bob", "POST", fmt.Sprintf("/userdata/empty%d", i), ""); got.status == 413 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("empty files are without limit")
	}
}

// TestQuotaOfMasksAndSettings: what is not a plain file counts, too, and a refusal changes nothing.
func TestQuotaOfMasksAndSettings(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	put := func(name, text string, fields ...string) httpReply {
		body, kind := fileForm(t, "image", name, text, fields...)
		path := "/upload/image"
		if len(fields) > 0 && fields[0] == "original_ref" {
			path = "/upload/mask"
		}
		return a.as("ann", "POST", path, body, "Content-Type", kind)
	}
	limit := func(most int64) {
		if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, auth.Limits{UploadTotal: most}); err != nil {
			t.Fatal(err)
		}
	}
	limit(1 << 20)
	image := string(testPNG(t, 8, 6))
	if got := put("p.png", image); got.status != 200 {
		t.Fatalf("an image: %d %s", got.status, got.body)
	}
	if got := a.as("ann", "POST", "/settings/a", `"kept"`); got.status != 200 {
		t.Fatalf("a setting: %d %s", got.status, got.body)
	}
	limit(2 * 4096) // one more file of input, another of user data
	const ref = `{"filename": "p.png", "type": "input"}`
	for name, want := range map[string]int{"p.png": 200, "m.png": 200} {
		if got := put(name, image, "original_ref", ref, "overwrite", "true"); got.status != want {
			t.Errorf("mask %s: %d %s", name, got.status, got.body)
		}
	}
	for what, got := range map[string]httpReply{
		"a third mask":         put("n.png", image, "original_ref", ref),
		"folders of an upload": put("p.png", image, "subfolder", "a/b/c"),
		"a large setting":      a.as("ann", "POST", "/settings/b", `"`+strings.Repeat("x", 9000)+`"`),
		"large settings":       a.as("ann", "POST", "/settings", `{"a": "`+strings.Repeat("x", 9000)+`"}`),
		"folders of user data": a.as("ann", "POST", "/userdata/a%2Fb%2Fc.json", "{}"),
		"folders of a move":    a.as("ann", "POST", "/userdata/comfy.settings.json/move/a%2Fb%2Fc.json", ""),
	} {
		if got.status != 413 || !strings.Contains(got.body, "upload_quota_exceeded") {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := a.as("ann", "GET", "/settings", ""); got.status != 200 || got.body != `{"a": "kept"}` {
		t.Errorf("settings after the refusals: %d %.200s", got.status, got.body)
	}
	for _, path := range []string{"/internal/files/input", "/v2/userdata"} {
		if got := a.as("ann", "GET", path, ""); got.status != 200 || strings.Contains(got.body, `"a"`) || strings.Contains(got.body, "n.png") {
			t.Errorf("%s after the refusals: %d %s", path, got.status, got.body)
		}
	}
}

// TestUploadsAtOnce uploads at the edge of the limit at the same time, in different ways: what is kept never exceeds it.
func TestUploadsAtOnce(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	const uploads, room, there = 24, 10, 1000
	ann := a.users["ann"].ID
	own, err := folders.New(folders.Config{Base: a.base})
	if err != nil {
		t.Fatal(err)
	}
	userDir, _ := own.UserDir(ann)
	for _, dir := range []string{own.For(ann).Input(), userDir} { // adding them takes long enough for uploads to meet
		for i := range there {
			write(t, filepath.Join(dir, fmt.Sprintf("there%d", i)), nil)
		}
	}
	if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, auth.Limits{UploadTotal: (there + room) * 4096}); err != nil {
		t.Fatal(err)
	}
	var kept, keptData atomic.Int32
	var wg sync.WaitGroup
	for i := range uploads {
		text := strings.Repeat("x", 4000) + fmt.Sprint(i)
		wg.Go(func() {
			body, kind := fileForm(t, "image", fmt.Sprintf("%d.bin", i), text)
			path := "/upload/image"
			if i%2 == 1 {
				path = "/api/assets"
				body, kind = fileForm(t, "file", fmt.Sprintf("%d.bin", i), text, "tags", `["input"]`)
			}
			if got := a.as("ann", "POST", path, body, "Content-Type", kind); got.status < 300 {
				kept.Add(1)
			}
		})
		wg.Go(func() {
			if got := a.as("ann", "POST", fmt.Sprintf("/userdata/%d.bin", i), text); got.status == 200 {
				keptData.Add(1)
			}
		})
	}
	wg.Wait()
	if kept.Load() != room || keptData.Load() != room {
		t.Errorf("%d uploads and %d files of user data were kept, want %d", kept.Load(), keptData.Load(), room)
	}
}
