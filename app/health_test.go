package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthCommand(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		code int
		body string
	}{
		"/well/health":     {200, `{"status": "healthy"}`},
		"/degraded/health": {200, `{"status": "degraded", "error": "no library"}`},
		"/ill/health":      {503, `{"status": "unhealthy", "error": "the disk is full"}`},
		"/well/ready":      {200, `{"ready": true}`},
		"/full/ready":      {503, `{"ready": false, "reason": "the queue is full"}`},
		"/proxy/health":    {502, `<html>Bad gateway</html>`},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(answers[r.URL.Path].code)
		_, _ = w.Write([]byte(answers[r.URL.Path].body))
	}))
	t.Cleanup(s.Close)
	for _, tt := range []struct {
		server, flag string
		code         int
		says         string
	}{
		{"/well", "", 0, "healthy\n"},
		{"/degraded", "", 0, "degraded: no library\n"},
		{"/ill/", "", 1, "503 Service Unavailable: the disk is full"},
		{"/well", "--ready", 0, "ready\n"},
		{"/full", "--ready", 1, "the queue is full"},
		{"/proxy", "", 1, "502 Bad Gateway"},
	} {
		words := []string{"health", "--server", s.URL + tt.server}
		if tt.flag != "" {
			words = append(words, tt.flag)
		}
		out, errs, code := shell{t, t.TempDir()}.run(words...)
		if code != tt.code || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%v: code %d, %q %q", words, code, out, errs)
		}
	}
	if _, errs, code := (shell{t, t.TempDir()}).run("health", "--port", "1"); code != 1 || !strings.Contains(errs, "127.0.0.1:1") {
		t.Errorf("nothing listens: code %d, %q", code, errs)
	}
}
