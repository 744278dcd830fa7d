package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/app"
	"comfygo/cli"
	_ "comfygo/nodes/all"
)

// output is the text that a server has printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// peer is one of the servers on a base directory.
type peer struct {
	t    *testing.T
	url  string
	out  *output
	stop func()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startPeer starts a server on a base directory, or returns why it does not start.
func startPeer(t *testing.T, base string, port int, words ...string) (*peer, error) {
	t.Helper()
	cfg, err := cli.Parse(append([]string{
		"--base-directory", base, "--cpu", "--port", fmt.Sprint(port), "--disable-auto-launch", "--enable-assets", "--multi-user",
	}, words...)...)
	if err != nil {
		t.Fatal(err)
	}
	out := &output{}
	log, err := app.NewLog(cfg, app.LogOutputs{Stdout: out, Stderr: out})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(cfg, log, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	p := &peer{t: t, out: out, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("port %d: %v", port, err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("port %d: %v", port, err)
		}
	})
	t.Cleanup(p.stop)
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r, err := http.Get(p.url + "/ready"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		if time.Now().After(until) {
			t.Fatalf("port %d does not get ready:\n%s", port, out)
		}
	}
}

func (p *peer) do(method, path, kind, body string) (int, string) {
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Content-Type", kind)
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(text)
}

// run queues a job and waits for its files.
func (p *peer) run(prompt string) (id string, files []string) {
	status, text := p.do("POST", "/prompt?wait=60", "application/json", prompt)
	var got struct {
		ID     string `json:"prompt_id"`
		Result struct {
			Outputs map[string]struct {
				Images []struct{ Filename, Type string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK || len(got.Result.Outputs) == 0 {
		p.t.Errorf("a job at %s: %d %s", p.url, status, text)
	}
	for _, o := range got.Result.Outputs {
		for _, f := range o.Images {
			files = append(files, f.Type+"/"+f.Filename)
		}
	}
	return got.ID, files
}

func (p *peer) upload(name, content string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("image", name)
	if err != nil {
		p.t.Fatal(err)
	}
	_, _ = part.Write([]byte(content))
	_ = w.Close()
	if status, text := p.do("POST", "/upload/image", w.FormDataContentType(), b.String()); status != http.StatusOK {
		p.t.Errorf("an upload to %s: %d %s", p.url, status, text)
	}
}

// TestSeveralServersOnOneFolder has eight servers work at once on one base directory: no file is overwritten, no job is lost,
// no preview goes with another server, and each finds its own queue again.
func TestSeveralServersOnOneFolder(t *testing.T) {
	t.Parallel()
	const servers, jobs = 8, 4
	base := t.TempDir()
	ports := make([]int, servers)
	peers := make([]*peer, servers)
	for i := range ports {
		ports[i] = freePort(t)
		var err error
		if peers[i], err = startPeer(t, base, ports[i]); err != nil {
			t.Fatalf("server %d: %v", i, err)
		}
	}
	const prompt = `{"prompt": {"1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": %d}},
		"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "same"}},
		"3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}}`
	var mu sync.Mutex
	made := map[string]int{} // files by how often they were made
	ids := make([][]string, servers)
	var work sync.WaitGroup
	for i, p := range peers {
		work.Go(func() {
			for j := range jobs {
				id, files := p.run(fmt.Sprintf(prompt, i*jobs+j))
				mu.Lock()
				ids[i] = append(ids[i], id)
				for _, f := range files {
					made[f]++
				}
				mu.Unlock()
			}
		})
		work.Go(func() {
			for j := range jobs {
				p.upload("photo.png", fmt.Sprintf("%d of %d", j, i))
				if status, text := p.do("POST", "/users", "application/json", fmt.Sprintf(`{"username": "user %d of %d"}`, j, i)); status != http.StatusOK {
					t.Errorf("a user at %s: %d %s", p.url, status, text)
				}
			}
		})
	}
	work.Wait()
	for f, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", f, n)
		}
		if _, err := os.Stat(filepath.Join(base, f)); err != nil {
			t.Error(err)
		}
	}
	if len(made) != servers*jobs*2 {
		t.Errorf("%d files were made, want %d", len(made), servers*jobs*2)
	}
	if uploads, _ := filepath.Glob(filepath.Join(base, "input", "photo*.png")); len(uploads) != servers*jobs {
		t.Errorf("%d of %d uploads are there", len(uploads), servers*jobs)
	}
	text, err := os.ReadFile(filepath.Join(base, "user", "users.json"))
	if users := regexp.MustCompile(`user \d of \d`).FindAllString(string(text), -1); err != nil || len(users) != servers*jobs {
		t.Errorf("%d of %d users are there: %v", len(users), servers*jobs, err)
	}
	peers[0].stop()
	for f := range made {
		if _, err := os.Stat(filepath.Join(base, f)); err != nil {
			t.Fatalf("when one server has stopped: %v", err)
		}
	}
	peers[3].stop()
	again, err := startPeer(t, base, ports[3])
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids[3] {
		if _, text := again.do("GET", "/history/"+id, "", ""); !strings.Contains(text, id) {
			t.Errorf("the server of before does not know job %s any more: %s", id, text)
		}
	}
	if line := fmt.Sprintf("comfygo-queue-%d.db", ports[3]); strings.Count(again.out.String(), line) != 1 {
		t.Errorf("the start does not say once where the queue is:\n%s", again.out)
	}
	for _, p := range append(peers, again) {
		p.stop()
	}
	if _, err := os.Stat(filepath.Join(base, "temp")); !os.IsNotExist(err) {
		t.Errorf("the last server has left the temp folder: %v", err)
	}
}

// TestQueueFileNamedTwice checks that a command that names the file uses just that one.
func TestQueueFileNamedTwice(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	file := filepath.Join(base, "mine.db")
	if _, err := startPeer(t, base, freePort(t), "--queue-file", file); err != nil {
		t.Fatal(err)
	}
	if _, err := startPeer(t, base, freePort(t), "--queue-file", file); err == nil || !strings.Contains(err.Error(), "another comfygo uses it") {
		t.Errorf("a second server on the same queue file: %v", err)
	}
}
