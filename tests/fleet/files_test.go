package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// TestFilesAnywhere runs servers and workers that share no folder: what one got or made, each server shows, and each worker reads.
func TestFilesAnywhere(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	backend := s3mem.New()
	if err := backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	bucket := httptest.NewServer(gofakes3.New(backend).Server())
	defer bucket.Close()
	for name, flags := range map[string][]string{
		"nats": {"--files", "nats"}, "s3": {"--files", "s3://files/fleet", "--files-endpoint", bucket.URL, "--files-region", "us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := apart(t, flags)
			f.upload("a.png", pngOf(t, 100), "a.png", f.servers[0])
			f.upload("a.png", pngOf(t, 100), "a.png", f.servers[1])
			f.upload("a.png", pngOf(t, 50), "a (1).png", f.servers[1])
			seen := map[string]bool{}
			const jobs = 6
			ids := make([]string, jobs)
			for i := range ids {
				ids[i] = f.prompt(f.servers[i%2], i)
			}
			for i, id := range ids {
				for _, file := range f.outputs(f.servers[(i+1)%2], id) {
					for _, s := range f.servers {
						f.viewed(s, file)
					}
					if file.Type == "output" && seen[file.Filename] {
						t.Errorf("%s was saved twice", file.Filename)
					}
					seen[file.Filename] = true
				}
			}
			if status, _ := f.get(f.servers[0], "/view?filename=none.png", ""); status != http.StatusNotFound {
				t.Errorf("a file that is not there: %d", status)
			}
		})
	}
}

// apart starts NATS, two servers and two workers with a base folder each.
func apart(t *testing.T, flags []string) *fleet {
	t.Helper()
	f := &fleet{t: t, base: t.TempDir()}
	store, port := filepath.Join(f.base, "nats"), freePort(t)
	f.nats = f.add("nats", "nats", "--port", strconv.Itoa(port), "--store", store)
	eventually(t, "NATS has made the credentials", func() bool {
		_, err := os.Stat(filepath.Join(store, "worker.nk"))
		return err == nil
	})
	common := append([]string{"--queue", fmt.Sprintf("nats://127.0.0.1:%d", port), "--cpu", "--no-models", "--disable-all-custom-nodes"}, flags...)
	for i := range 2 {
		p := freePort(t)
		s := f.add(fmt.Sprint("server ", i), append([]string{"--role", "server", "--queue-credentials", filepath.Join(store, "server.nk"), "--port", strconv.Itoa(p), "--base-directory", filepath.Join(f.base, fmt.Sprint("s", i))}, common...)...)
		s.port = p
		f.servers = append(f.servers, s)
		f.workers = append(f.workers, f.add(fmt.Sprint("worker ", i), append([]string{"--role", "worker", "--queue-credentials", filepath.Join(store, "worker.nk"), "--base-directory", filepath.Join(f.base, fmt.Sprint("w", i))}, common...)...))
	}
	for _, s := range f.servers {
		eventually(t, "a server answers", func() bool {
			r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/queue", s.port))
			if err == nil {
				_ = r.Body.Close()
			}
			return err == nil && r.StatusCode == http.StatusOK
		})
	}
	return f
}

func pngOf(t *testing.T, gray uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range m.Pix {
		m.Pix[i] = color.Gray{Y: gray}.Y
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// request sends one request and returns the answer.
func (f *fleet) request(s *process, method, path, contentType string, body []byte, span string) (int, []byte) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path), bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if span != "" {
		r.Header.Set("Range", span)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer.StatusCode, text
}

func (f *fleet) get(s *process, path, span string) (int, []byte) {
	f.t.Helper()
	return f.request(s, http.MethodGet, path, "", nil, span)
}

func (f *fleet) upload(name string, data []byte, want string, s *process) {
	f.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("image", name)
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = part.Write(data) // a buffer takes everything
	if err := form.Close(); err != nil {
		f.t.Fatal(err)
	}
	status, text := f.request(s, http.MethodPost, "/upload/image", form.FormDataContentType(), body.Bytes(), "")
	var answer struct{ Name string }
	if err := json.Unmarshal(text, &answer); err != nil || answer.Name != want {
		f.t.Errorf("uploading %s: %d %s, %v; want %s", name, status, text, err, want)
	}
}

// prompt sends a job that reads an input, saves an image and shows another one.
func (f *fleet) prompt(s *process, number int) (id string) {
	f.t.Helper()
	text := fmt.Sprintf(`{"prompt": {
		"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
		"2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
		"3": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": %d}},
		"4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x/o"}}}}`, number)
	status, answer := f.request(s, http.MethodPost, "/prompt", "application/json", []byte(text), "")
	var v struct {
		ID string `json:"prompt_id"`
	}
	if err := json.Unmarshal(answer, &v); err != nil || v.ID == "" {
		f.t.Fatalf("sending a prompt: %d %s", status, answer)
	}
	return v.ID
}

type savedFile struct{ Filename, Subfolder, Type string }

// outputs waits for a job's end and returns its files.
func (f *fleet) outputs(s *process, id string) (list []savedFile) {
	f.t.Helper()
	var history map[string]struct {
		Status  struct{ Completed bool }
		Outputs map[string]struct{ Images []savedFile }
	}
	eventually(f.t, "a job ends", func() bool {
		_, text := f.get(s, "/history/"+id, "")
		return json.Unmarshal(text, &history) == nil && len(history) == 1
	})
	if !history[id].Status.Completed {
		_, text := f.get(s, "/history/"+id, "")
		f.t.Fatalf("the job has failed: %s", text)
	}
	for _, o := range history[id].Outputs {
		list = append(list, o.Images...)
	}
	if len(list) != 2 {
		f.t.Errorf("the job has shown %v", list)
	}
	return list
}

func (f *fleet) viewed(s *process, file savedFile) {
	f.t.Helper()
	path := fmt.Sprintf("/view?filename=%s&subfolder=%s&type=%s", file.Filename, file.Subfolder, file.Type)
	status, whole := f.get(s, path, "")
	if status != http.StatusOK || !bytes.HasPrefix(whole, []byte("\x89PNG")) {
		f.t.Errorf("%s: %d, %d bytes", path, status, len(whole))
		return
	}
	if status, part := f.get(s, path, "bytes=1-3"); status != http.StatusPartialContent || string(part) != "PNG" {
		f.t.Errorf("%s: %d %q", path, status, part)
	}
}
