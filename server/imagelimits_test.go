package server_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/server"
	"comfygo/server/images"
)

// scanned is a tiny progressive JPEG with its last scan repeated.
func scanned(t *testing.T, times int) []byte {
	t.Helper()
	data, err := os.ReadFile("../internal/imaging/testdata/load/whole_prog.jpg")
	if err != nil {
		t.Fatal(err)
	}
	scan := data[bytes.LastIndex(data, []byte{0xff, 0xda}) : len(data)-2]
	return append(append(data[:len(data)-2:len(data)-2], bytes.Repeat(scan, times)...), 0xff, 0xd9)
}

// TestScansOfAJPEG gives the whole server a JPEG with a few more scans than a lowered limit, in every way that images are decoded: it is refused
// before it is decoded, and the next image is shown.
func TestScansOfAJPEG(t *testing.T) {
	t.Parallel()
	limits := images.Limits
	limits.Passes = 12
	r := start(t, func(c *server.Config) { c.ImageLimits = &limits })
	input, loras := filepath.Join(r.base, "input"), filepath.Join(r.base, "models", "loras")
	if err := os.MkdirAll(loras, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, times := range map[string]int{
		filepath.Join(input, "many.jpg"): 20, filepath.Join(input, "few.jpg"): 1, filepath.Join(loras, "many.jpg"): 20, filepath.Join(loras, "few.jpg"): 1,
	} {
		if err := os.WriteFile(path, scanned(t, times), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ways := map[string]func(name string) httpReply{
		"preview":       func(name string) httpReply { return r.do("GET", "/view?type=input&preview=webp&filename="+name, "") },
		"channel":       func(name string) httpReply { return r.do("GET", "/view?type=input&channel=rgb&filename="+name, "") },
		"model preview": func(name string) httpReply { return r.do("GET", "/experiment/models/preview/loras/0/"+name, "") },
		"mask": func(name string) httpReply {
			data, err := os.ReadFile(filepath.Join(input, name))
			if err != nil {
				t.Fatal(err)
			}
			return r.do("POST", "/upload/mask", "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"m.png\"\r\n\r\n"+string(data)+
				"\r\n--b\r\nContent-Disposition: form-data; name=\"original_ref\"\r\n\r\n{\"filename\": \"few.jpg\", \"type\": \"input\"}\r\n--b--\r\n",
				"Content-Type", "multipart/form-data; boundary=b")
		},
	}
	for way, get := range ways {
		status, words := 400, "scans or passes"
		if way == "model preview" {
			status, words = 404, "" // as upstream
		}
		for range 4 { // more than there are slots
			if got := get("many.jpg"); got.status != status || !strings.Contains(got.body, words) {
				t.Errorf("%s of many scans: %d %.200s", way, got.status, got.body)
			}
		}
		if got := get("few.jpg"); got.status != 200 {
			t.Errorf("%s of few scans: %d %.200s", way, got.status, got.body)
		}
	}
}

// noMemory is a budget that is used up.
type noMemory struct{}

func (noMemory) Reserve(_ context.Context, what string, bytes int64) (func(), error) {
	return nil, &imaging.SizeError{What: what, Need: uint64(bytes)}
}

// TestPreviewsWithoutMemory: a preview that fails for lack of memory is not reported as missing.
func TestPreviewsWithoutMemory(t *testing.T) {
	t.Parallel()
	limits := codec.DefaultLimits
	r := start(t, func(c *server.Config) { c.ImageBudget, c.ImageLimits = noMemory{}, &limits })
	loras := filepath.Join(r.base, "models", "loras")
	if err := os.MkdirAll(loras, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.jpg": scanned(t, 1), "broken.jpg": []byte("no image")} {
		if err := os.WriteFile(filepath.Join(loras, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"a.jpg": 507, "broken.jpg": 404, "none.jpg": 404} {
		got := r.do("GET", "/experiment/models/preview/loras/0/"+name, "")
		if got.status != want || want == 507 && !strings.Contains(got.body, "out_of_memory") {
			t.Errorf("%s: %d %.200s", name, got.status, got.body)
		}
	}
}
