package tests_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// acting are flags with what is seen of them.
var acting = map[string]flagCase{
	"--enable-cors-header": {[]string{"--enable-cors-header", "http://a.example"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the header", s.fetch(t, "/queue").header.Get("Access-Control-Allow-Origin"), "http://a.example")
	}},
	"--max-upload-size": {[]string{"--max-upload-size", "0.001"}, func(t *testing.T, s *instance, _ string) {
		_, err := s.Do(t.Context(), http.MethodPost, "/userdata/x.txt", "text/plain", strings.NewReader(strings.Repeat("x", 2000)))
		mustHave(t, "the answer", err, "413")
	}},
	"--extra-model-paths-config": {[]string{"--extra-model-paths-config", "{DIR}/paths.yaml"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the list", s.fetch(t, "/models/loras").body, "found.safetensors")
	}},
	"--output-directory": {[]string{"--output-directory", "{DIR}/o"}, func(t *testing.T, s *instance, dir string) {
		savedImage(t, s)
		inFolder(t, filepath.Join(dir, "o"), "flag_")
	}},
	"--input-directory": {[]string{"--input-directory", "{DIR}/i"}, func(t *testing.T, s *instance, dir string) {
		if err := s.Upload(t.Context(), "up.png", []byte("x")); err != nil {
			t.Fatal(err)
		}
		inFolder(t, filepath.Join(dir, "i"), "up.png")
	}},
	"--temp-directory": {[]string{"--temp-directory", "{DIR}/t"}, func(t *testing.T, _ *instance, dir string) { inFolder(t, filepath.Join(dir, "t"), "temp") }},
	"--user-directory": {[]string{"--user-directory", "{DIR}/user"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the settings", s.fetch(t, "/settings").body, `"seen": 5`)
	}},
	"--models-directory": {[]string{"--models-directory", "{DIR}/models"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the list", s.fetch(t, "/models/vae").body, "v.safetensors")
	}},
	"--cpu": {[]string{"--cpu"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the devices", s.fetch(t, "/system_stats").body, `"type": "cpu"`)
	}},
	"--cache-ram": {[]string{"--cache-ram", "0.1", "0.1"}, func(t *testing.T, s *instance, _ string) {
		if n := cachedAgain(t, s); n != 2 {
			t.Errorf("%d nodes are cached", n)
		}
	}},
	"--high-ram": {[]string{"--high-ram"}, func(t *testing.T, s *instance, _ string) {
		if n := cachedAgain(t, s); n != 2 {
			t.Errorf("%d nodes are cached", n)
		}
	}},
	"--disable-metadata": {[]string{"--disable-metadata"}, func(t *testing.T, s *instance, _ string) {
		if bytes.Contains(savedImage(t, s), []byte("EmptyImage")) {
			t.Error("the image carries its workflow")
		}
	}},
	"--disable-all-custom-nodes": {[]string{"--base-directory", "{DIR}", "--disable-all-custom-nodes"}, func(t *testing.T, s *instance, _ string) {
		if body := s.fetch(t, "/extensions").body; strings.Contains(body, "a.js") {
			t.Errorf("the extensions are %s", body)
		}
	}},
	"--whitelist-custom-nodes": {[]string{"--base-directory", "{DIR}", "--disable-all-custom-nodes", "--whitelist-custom-nodes", "two"}, func(t *testing.T, s *instance, _ string) {
		body := s.fetch(t, "/extensions").body
		mustHave(t, "the list", body, "two/b.js")
		if strings.Contains(body, "a.js") {
			t.Errorf("the extensions are %s", body)
		}
	}},
	"--disable-api-nodes": {[]string{"--disable-api-nodes"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the policy", s.fetch(t, "/queue").header.Get("Content-Security-Policy"), "default-src 'self'")
	}},
	"--multi-user": {[]string{"--multi-user"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the answer", s.fetch(t, "/users").body, `"users": {}`)
	}},
	"--front-end-root": {[]string{"--front-end-root", "{DIR}/front"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the page", s.fetch(t, "/").body, "the front end")
	}},
	"--enable-compress-response-body": {[]string{"--enable-compress-response-body"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the coding", s.fetch(t, "/object_info", "Accept-Encoding", "gzip").header.Get("Content-Encoding"), "gzip")
	}},
	"--comfy-api-base": {[]string{"--comfy-api-base", "https://x.testenvs.comfy.org"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the features", s.fetch(t, "/features").body, "x-registry.testenvs.comfy.org")
	}},
	"--database-url": {[]string{"--enable-assets", "--database-url", "sqlite:///{DIR}/mine.db"}, func(t *testing.T, _ *instance, dir string) { inFolder(t, dir, "mine.db") }},
	"--enable-assets": {[]string{"--enable-assets"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the answer", s.fetch(t, "/api/assets").body, `"assets": [`)
	}},
	"--enable-asset-hashing": {[]string{"--base-directory", "{DIR}", "--enable-assets", "--enable-asset-hashing"}, func(t *testing.T, s *instance, _ string) {
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.fetch(t, "/api/assets").body, "blake3:"); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing is hashed: %s", s.fetch(t, "/api/assets").body)
			}
		}
	}},
	"--feature-flag": {[]string{"--feature-flag", "my_flag=seven"}, func(t *testing.T, s *instance, _ string) {
		mustHave(t, "the features", s.fetch(t, "/features").body, `"my_flag": "seven"`)
	}},
}

// fetched is an answer as it came.
type fetched struct {
	header http.Header
	body   string
}

// fetch gets a path; headers are names and values in turn.
func (i *instance) fetch(t *testing.T, path string, headers ...string) fetched {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for n := 0; n+1 < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: status %d, %v", path, resp.StatusCode, err)
	}
	return fetched{resp.Header, string(data)}
}

// inFolder fails unless a file of the folder has a name that begins so.
func inFolder(t *testing.T, dir, start string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, start+"*"))
	if err != nil || len(found) == 0 {
		t.Errorf("%s holds no %s* (%v)", dir, start, err)
	}
}

// TestFlagsAtStart holds the flags that act before there is a server to ask, or at its end.
func TestFlagsAtStart(t *testing.T) {
	t.Parallel()
	t.Run("quick-test", func(t *testing.T) {
		t.Parallel()
		if code, _, stderr := command(t, "--quick-test-for-ci", "--base-directory", t.TempDir()); code != 0 || strings.Contains(stderr, "To see the GUI") {
			t.Errorf("exit code %d:\n%s", code, stderr)
		}
	})
	t.Run("browser", func(t *testing.T) {
		t.Parallel()
		for flags, opened := range map[string]bool{
			"--auto-launch": true, "--windows-standalone-build": true, "--auto-launch --disable-auto-launch": false, "--windows-standalone-build --disable-auto-launch": false, "": false,
		} {
			if got := opensBrowser(t, strings.Fields(flags)); got != opened {
				t.Errorf("with %q a browser was opened: %v", flags, got)
			}
		}
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		log, _ := untilItListens(t, "--dont-print-server")
		if strings.Contains(log, "To see the GUI") || strings.Contains(log, "Starting server") {
			t.Errorf("it prints\n%s", log)
		}
	})
	t.Run("stacks", func(t *testing.T) {
		t.Parallel()
		if _, atEnd := untilItListens(t, "--debug-hang"); !strings.Contains(atEnd, "goroutine ") {
			t.Errorf("at Ctrl-C it prints\n%s", atEnd)
		}
	})
}

// opensBrowser starts the program with a browser that leaves a mark.
func opensBrowser(t *testing.T, flags []string) bool {
	t.Helper()
	dir := t.TempDir()
	mark := filepath.Join(dir, "mark")
	script := "#!/bin/sh\necho \"$1\" > " + mark + "\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil { //nolint:gosec // it has to run
		t.Fatal(err)
	}
	_, _ = runUntilItListens(t, append(os.Environ(), "PATH="+dir+":/usr/bin:/bin"), flags, func() {
		const patience = 2 * time.Second
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if data, err := os.ReadFile(mark); err == nil && len(data) > 0 {
				return
			}
			if len(flags) == 0 || contains(flags, "--disable-auto-launch") {
				time.Sleep(100 * time.Millisecond)
				return
			}
		}
	})
	data, err := os.ReadFile(mark)
	if err != nil {
		return false
	}
	_, err = url.Parse(strings.TrimSpace(string(data)))
	return err == nil
}

func untilItListens(t *testing.T, flags ...string) (log, atEnd string) {
	t.Helper()
	return runUntilItListens(t, os.Environ(), flags, func() {})
}
