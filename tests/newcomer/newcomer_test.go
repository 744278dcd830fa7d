//go:build newcomer && linux

// Package newcomer_test follows a new user, with a release archive: unpack, set up, the first image; as another user, with
// an empty environment, from an install folder that is read-only. `make newcomer` runs it.
package newcomer_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/internal/ortlib"
)

// nobody is a user other than the owner of the install folder, if root runs the test.
const nobody = 65534

// person runs the installed program.
type person struct {
	t       *testing.T
	install string // folder of the program
	state   string // folder of this person's files
}

// command is the program with an empty environment, as another user when that can be.
func (p person) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.t.Context(), filepath.Join(p.install, "comfygo"), args...)
	cmd.Env, cmd.Dir = []string{}, p.state
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

func (p person) run(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("comfygo %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestFirstImage(t *testing.T) {
	archive := build(t)
	// Others may go through the folders above.
	top, err := os.MkdirTemp("", "comfygo-newcomer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	p := person{t, filepath.Join(top, "opt"), filepath.Join(top, "state")}
	for _, dir := range []string{top, p.install, p.state} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(p.state, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	p.install = unpack(t, archive, p.install)
	unpacked := time.Since(begun)
	if said := p.run("version"); !strings.Contains(said, "comfygo ") || strings.Contains(said, "commit unknown") {
		t.Errorf("version: %s", said)
	}
	lib := filepath.Join(p.state, "lib")
	out, err := p.command("setup", "--dir", lib).CombinedOutput()
	if err != nil { // no registry can be reached as this user: the rest is tried with the library of this machine
		t.Logf("NOT TESTED: fetching the library: %s", out)
		lib = library(t, top)
	}
	if said, err := p.command("doctor", "--onnxruntime", lib, "--base-directory", filepath.Join(p.state, "base")).CombinedOutput(); err != nil {
		t.Errorf("doctor: %v\n%s", err, said)
	}
	again := time.Now()
	s := p.serve("--demo-model", "--onnxruntime", lib, "--base-directory", filepath.Join(p.state, "base"), "--port", "0")
	id := s.queue(filepath.Join(p.install, "demo", "workflow.json"))
	s.finished(id)
	t.Logf("from the archive to the first image: %.2f s (unpacking %.2f s, start and image %.2f s), the library's download apart",
		(unpacked + time.Since(again)).Seconds(), unpacked.Seconds(), time.Since(again).Seconds())
	images, err := filepath.Glob(filepath.Join(p.state, "base", "output", "*.png"))
	if err != nil || len(images) != 1 {
		t.Errorf("the images: %v, %v", images, err)
	}
	s.stop()
	// As systemd restarts it: the job is still in the history.
	s = p.serve("--demo-model", "--onnxruntime", lib, "--base-directory", filepath.Join(p.state, "base"), "--port", "0")
	s.finished(id)
	s.stop()
	left := p.run("run", filepath.Join(p.install, "demo", "workflow.json"), "--demo-model", "--onnxruntime", lib, "--base-directory", filepath.Join(p.state, "base"), "--output", filepath.Join(p.state, "images"))
	if !strings.Contains(left, ".png") {
		t.Errorf("run: %s", left)
	}
}

// build makes the release archive of this machine's target.
func build(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./tools/release", "-out", out, "-version", "0.0.0-newcomer")
	cmd.Dir = filepath.Join("..", "..")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making the release: %v\n%s", err, text)
	}
	found, err := filepath.Glob(filepath.Join(out, "*.tar.gz"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the archives: %v, %v", found, err)
	}
	sums := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = out
	if text, err := sums.CombinedOutput(); err != nil {
		t.Errorf("SHA256SUMS: %v\n%s", err, text)
	}
	return found[0]
}

// unpack extracts the archive, makes everything read-only and returns its one folder.
func unpack(t *testing.T, archive, to string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	top := ""
	var dirs []string
	r := tar.NewReader(gz)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, filepath.FromSlash(h.Name))
		top, _, _ = strings.Cut(h.Name, "/")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, filepath.Dir(path))
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, os.FileMode(h.Mode)&0o555)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(out, r)
		if err := errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"comfygo", "LICENSE", "THIRD_PARTY_NOTICES.md", "README.md", "CHANGELOG.md", "deploy/comfygo.service", "demo/workflow.json"} {
		if _, err := os.Stat(filepath.Join(to, top, filepath.FromSlash(want))); err != nil {
			t.Error("the archive: ", err)
		}
	}
	for _, dir := range dirs {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, dir := range dirs {
			_ = os.Chmod(dir, 0o755)
		}
	})
	return filepath.Join(to, top)
}

// library copies the library of this machine to where everyone may read it.
func library(t *testing.T, top string) string {
	t.Helper()
	path, err := ortlib.Find(ortlib.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(top, filepath.Base(path))
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// server is a running one.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	done chan error
}

func (p person) serve(args ...string) *server {
	p.t.Helper()
	s := &server{t: p.t, cmd: p.command(append([]string{"serve"}, args...)...), done: make(chan error, 1)}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	said := &bytes.Buffer{}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if _, url, ok := strings.Cut(lines.Text(), "To see the GUI go to: "); ok {
				address <- url
			}
		}
		s.done <- s.cmd.Wait()
	}()
	select {
	case s.url = <-address:
	case err := <-s.done:
		p.t.Fatalf("the server has ended: %v\n%s", err, said)
	case <-time.After(time.Minute):
		p.t.Fatal("the server does not start")
	}
	if status, body := s.get("/ready"); status != http.StatusOK {
		p.t.Errorf("/ready: %d %s", status, body)
	}
	return s
}

func (s *server) get(path string) (int, []byte) {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// queue sends a workflow and returns its id.
func (s *server) queue(path string) string {
	s.t.Helper()
	workflow, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.url+"/prompt", "application/json", strings.NewReader(fmt.Sprintf(`{"prompt": %s}`, workflow)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		ID string `json:"prompt_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.ID == "" {
		s.t.Fatalf("POST /prompt: %s, %v", resp.Status, err)
	}
	return answer.ID
}

// finished waits until a job is in the history, with success.
func (s *server) finished(id string) {
	s.t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_, body := s.get("/history/" + id)
		if strings.Contains(string(body), `"status_str"`) {
			if !strings.Contains(string(body), `"success"`) {
				s.t.Errorf("the job: %s", body)
			}
			return
		}
	}
	s.t.Fatal("the job does not end")
}

// stop ends the server as systemd does, whose unit counts 143 as success.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-s.done; !errors.As(err, &exit) || exit.ExitCode() != 143 {
		s.t.Errorf("after SIGTERM: %v", err)
	}
}
