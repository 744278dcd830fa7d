package server_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"comfygo/server"
)

// exchange is one line of testdata/exchanges.json: a request and what the answer has to be like.
type exchange struct {
	Request string            // method and path
	Headers map[string]string // of the request
	Body    string
	Status  int
	Want    map[string]string // headers of the answer by pattern; "" means that the header is absent
	Match   string            // pattern of the body
}

// TestExchanges tries every exchange of the data file, in its order, on one server per list. The lists' names say how
// the server is set up.
func TestExchanges(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/exchanges.json")
	if err != nil {
		t.Fatal(err)
	}
	var lists map[string][]exchange
	if err := json.Unmarshal(data, &lists); err != nil {
		t.Fatal(err)
	}
	setups := map[string]func(*server.Config){
		"plain":    nil,
		"csp":      func(c *server.Config) { c.DisableAPINodes = true },
		"cors":     func(c *server.Config) { c.CORSOrigin = "*" },
		"compress": func(c *server.Config) { c.Compress = true },
		"small":    func(c *server.Config) { c.MaxUploadSize = 0.001 },
		"multi":    func(c *server.Config) { c.MultiUser = true },
		"front": func(c *server.Config) {
			c.FrontEndRoot = c.Folders.Base() + "/web"
			c.Templates = map[string]string{"index.json": c.Folders.Base() + "/web/index.html", "logo/a.png": c.Folders.Base() + "/input/pic.png"}
			c.DocsRoot = c.Folders.Base() + "/input"
			c.PackageVersions = map[string]string{"comfyui-workflow-templates": "0.11.44"}
		},
		"flags": func(c *server.Config) {
			c.FeatureFlags = []string{"a=1", "enable_telemetry", "show_signin_button=yes", "assets=true"}
			c.ComfyAPIBase = "https://x.testenvs.comfy.org/"
		},
	}
	for name, list := range lists {
		setup, ok := setups[name]
		if !ok {
			t.Fatalf("no setup called %q", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, setup)
			for _, x := range list {
				try(t, r, x)
			}
		})
	}
}

func try(t *testing.T, r *rig, x exchange) (body string) {
	t.Helper()
	method, path, _ := strings.Cut(x.Request, " ")
	var headers []string
	for k, v := range x.Headers {
		headers = append(headers, k, strings.ReplaceAll(v, "{HOST}", strings.TrimPrefix(r.url, "http://")))
	}
	a := r.do(method, path, x.Body, headers...)
	if a.status != x.Status {
		t.Errorf("%s: status %d, want %d; body %.200s", x.Request, a.status, x.Status, a.body)
	}
	for k, pattern := range x.Want {
		got := a.header.Get(k)
		if pattern == "" && got != "" || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(got) {
			t.Errorf("%s: header %s is %q, want %q", x.Request, k, got, pattern)
		}
	}
	if x.Match != "" && !regexp.MustCompile("(?s)^(?:"+x.Match+")$").MatchString(a.body) {
		t.Errorf("%s: body %.300q, want %q", x.Request, a.body, x.Match)
	}
	return a.body
}
