package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/server"
)

// TestWebDirectory reads WEB_DIRECTORY from packs' Python as Python would have set it; want is the folder that is served, "" for none.
func TestWebDirectory(t *testing.T) {
	t.Parallel()
	const here = "import os\nfrom pathlib import Path\n"
	cases := []struct{ source, want string }{
		{`WEB_DIRECTORY = "js"`, "js"},
		{`WEB_DIRECTORY = './web/deep'  # where`, "web/deep"},
		{"NODES = {}\r\nWEB_DIRECTORY='js'\r\n", "js"},
		{"\ufeffWEB_DIRECTORY = r\"js\"", "js"},
		{`WEB_DIRECTORY = """js"""`, "js"},
		{"WEB_DIRECTORY = (\n  'web' # a\n  '/deep'\n)\n", "web/deep"},
		{`WEB_DIRECTORY = "web" + "/" + "deep"`, "web/deep"},
		{`WEB_DIRECTORY: str = "js"`, "js"},
		{`NODES = {"a": 1}; WEB_DIRECTORY = "js"`, "js"},
		{`WEB_DIRECTORY = ""`, "."},
		{"WEB_DIRECTORY = 'js'\nWEB_DIRECTORY = 'web'\n", "web"},
		{"WEB_DIRECTORY = 'js'\nWEB_DIRECTORY = None\n", ""},
		{"WEB_DIRECTORY = 'js'\nWEB_DIRECTORY = choose()\n", ""},
		{"if True:\n    WEB_DIRECTORY = 'js'\n", "js"},
		{"try:\n\tWEB_DIRECTORY = 'js'\nexcept Exception:\n\tpass\n", "js"},
		{"def f():\n    WEB_DIRECTORY = 'js'\n    x = {\n}\n    WEB_DIRECTORY = 'js'\n", ""},
		{"class A:\n    WEB_DIRECTORY = 'js'\nWEB_DIRECTORY = 'web'\n", "web"},
		{"version = 'deep'\nWEB_DIRECTORY = f'./web/{version}'\n", "web/deep"},
		{"WEB_DIRECTORY = f'{unknown}'\n", ""},
		{here + `WEB_DIRECTORY = os.path.join(os.path.dirname(os.path.realpath(__file__)), "web", "deep")`, "web/deep"},
		{here + "here = os.path.dirname(__file__)\nWEB_DIRECTORY = os.path.join(\n    here,\n    'js',\n)\n", "js"},
		{here + `WEB_DIRECTORY = str(Path(__file__).parent / "web" / "deep")`, "web/deep"},
		{here + `WEB_DIRECTORY = Path(__file__).resolve().parent.joinpath("js").as_posix()`, "js"},
		{"# WEB_DIRECTORY = 'js'\n", ""},
		{"\"\"\"\nWEB_DIRECTORY = 'js'\n\"\"\"\n", ""},
		{"x = 'WEB_DIRECTORY = \"js\"'\n", ""},
		{"WEB_DIRECTORY == 'js'\n", ""},
		{"WEB_DIRECTORY += 'js'\n", ""},
		{"MY_WEB_DIRECTORY = 'js'\n", ""},
		{"WEB_DIRECTORY = b'js'\n", ""},
		{"WEB_DIRECTORY = ('js', 'web')\n", ""},
		{"WEB_DIRECTORY = 'js' if x else 'web'\n", ""},
		{"WEB_DIRECTORY = '../outside'\n", ""},
		{"WEB_DIRECTORY = '/etc'\n", ""},
		{"WEB_DIRECTORY = 'nowhere'\n", ""},
		{"WEB_DIRECTORY = " + strings.Repeat("(", 5000) + "'js'" + strings.Repeat(")", 5000), ""},
		{"WEB_DIRECTORY = 'js", ""},
		{"WEB_DIRECTORY =", ""},
	}
	r := start(t, nil)
	nodes := filepath.Join(r.base, "custom_nodes")
	for i, c := range cases {
		dir := filepath.Join(nodes, fmt.Sprintf("web%02d", i))
		for _, folder := range []string{"js", "web/deep"} {
			if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, folder, "x.js"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "__init__.py"), []byte(c.source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(nodes, "outside"), 0o755); err != nil {
		t.Fatal(err)
	}
	var listed []string
	r.get("/extensions", &listed)
	for i, c := range cases {
		prefix := fmt.Sprintf("/extensions/web%02d/", i)
		want := map[string][]string{"": nil, "js": {prefix + "x.js"}, "web/deep": {prefix + "x.js"}, "web": {prefix + "deep/x.js"}, ".": {prefix + "js/x.js", prefix + "web/deep/x.js"}}[c.want]
		got := slices.DeleteFunc(slices.Clone(listed), func(s string) bool { return !strings.HasPrefix(s, prefix) })
		if !slices.Equal(got, want) {
			t.Errorf("%q: listed %v, want %v", c.source, got, want)
		}
	}
}

// TestPackLinks has a pack whose folders are links to a folder outside of it: none of them is served or listed.
func TestPackLinks(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *server.Config) {
		base := c.Folders.Base()
		outside := filepath.Join(base, "outside")
		write(t, filepath.Join(outside, "inner.js"), []byte("secret"))
		write(t, filepath.Join(outside, "inner.json"), []byte(`{"secret": 1}`))
		write(t, filepath.Join(outside, "en", "main.json"), []byte(`{"secret": 1}`))
		pack := filepath.Join(base, "custom_nodes", "links")
		write(t, filepath.Join(pack, "__init__.py"), []byte("WEB_DIRECTORY = 'web'"))
		for _, name := range []string{"web", "example_workflows", "locales"} {
			if err := os.Symlink(outside, filepath.Join(pack, name)); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, path := range []string{
		"/extensions", "/workflow_templates", "/i18n", "/extensions/links/inner.js", "/api/workflow_templates/links/inner.json", "/api/workflow_templates/links/inner.js",
	} {
		resp, err := http.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if text := string(body); strings.Contains(text, "secret") || resp.StatusCode == http.StatusOK && strings.Contains(text, "inner") {
			t.Errorf("%s is answered with %d %.200s", path, resp.StatusCode, body)
		}
	}
}

// TestPacksOfTheSameName has the same packs in two search folders: what the later one has counts, and its examples are listed with the
// other's. Translations are merged in the order of the folders' paths.
func TestPacksOfTheSameName(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *server.Config) {
		base := c.Folders.Base()
		c.Folders.AddRoot("custom_nodes", filepath.Join(base, "more"), false)
		for file, text := range map[string]string{
			"custom_nodes/both/__init__.py": "WEB_DIRECTORY = 'js'", "custom_nodes/both/js/one.js": "", "custom_nodes/both/workflows/one.json": "{}",
			"more/both/__init__.py": "WEB_DIRECTORY = 'js'", "more/both/js/two.js": "", "more/both/example/two.json": "{}",
			"custom_nodes/kept/__init__.py": "WEB_DIRECTORY = 'js'", "custom_nodes/kept/js/one.js": "", "more/kept/__init__.py": "",
			"custom_nodes/a+b &/__init__.py": "WEB_DIRECTORY = 'js'", "custom_nodes/a+b &/js/x.js": "",
			"custom_nodes/l/locales/en/main.json": `{"order": ["l"]}`, "custom_nodes/l-x/locales/en/main.json": `{"order": ["l-x"]}`,
		} {
			write(t, filepath.Join(base, file), []byte(text))
		}
	})
	for path, want := range map[string][]string{
		"/extensions":                           {`"/extensions/both/two.js"`, `"/extensions/kept/one.js"`, `"/extensions/a%2Bb%20%26/x.js"`},
		"/workflow_templates":                   {`"both": ["one", "two"]`},
		"/i18n":                                 {`"order": ["l-x", "l"]`},
		"/api/workflow_templates/both/two.json": {"{}"},
	} {
		got := r.do("GET", path, "").body
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s lacks %s: %s", path, w, got)
			}
		}
		if strings.Contains(got, "both/one.js") {
			t.Errorf("%s has what another pack replaced", path)
		}
	}
	for path, status := range map[string]int{"/extensions/both/one.js": 404, "/extensions/both/two.js": 200, "/extensions/a+b%20&/x.js": 200, "/extensions/both": 403, "/api/workflow_templates/both/one.json": 404} {
		if got := r.do("GET", path, ""); got.status != status {
			t.Errorf("GET %s: %d, want %d", path, got.status, status)
		}
	}
}
