package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"strings"
	"testing"

	"comfygo/auth"
	"comfygo/server"
)

// TestNoUploadLimit takes bodies of any size when there is no bound, and tells clients 0 as upstream does.
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

// TestUploadQuota bounds the files that a user of a limited role keeps by uploading, in every way of uploading.
func TestUploadQuota(t *testing.T) {
	t.Parallel()
	a := startAuthWithAssets(t)
	const most = 10 * 4096
	if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, auth.Limits{UploadTotal: most}); err != nil {
		t.Fatal(err)
	}
	form := func(field, name, text string, fields ...string) (body, kind string) {
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
