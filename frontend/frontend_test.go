package frontend_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"comfygo/frontend"
	"comfygo/internal/download"
)

// wheel writes a zip archive with the given files and returns its path, checksum and unpacked size.
func wheel(t *testing.T, files map[string]string) (path, sum string, size int64) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
		size += int64(len(files[name]))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "package.whl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(b.Bytes())
	return path, hex.EncodeToString(s[:]), size
}

// copier is a client that "downloads" a local file.
func copier(src string, runs *int) download.Client {
	return download.Client{
		Name: "cp", Kind: download.Wheel,
		Find: func() string { return "/bin/sh" },
		Args: func(_ download.Item, dir string) []string {
			*runs++
			return []string{"-c", `cp "$0" "$1"`, src, dir}
		},
	}
}

// small is the front end's package in its layout, with nothing in it.
func small(version string) map[string]string {
	return map[string]string{
		"comfyui_frontend_package/static/index.html":                      "<title>" + version + "</title>",
		"comfyui_frontend_package-" + version + ".dist-info/METADATA":     "Version: " + version,
		"comfyui_frontend_package/static/assets/dir with space/script.js": "1",
	}
}

func TestInstallAndFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"1.0.0", "1.0.1"} { // the second takes the place of the first
		src, sum, size := wheel(t, small(version))
		runs := 0
		o := frontend.Options{
			Dir:      dir,
			Packages: []frontend.Package{{Project: "comfyui-frontend-package", Module: "comfyui_frontend_package", Version: version, SHA256: sum, Unpacked: size}},
			Clients:  []download.Client{copier(src, &runs)},
		}
		for range 2 {
			if _, err := frontend.Install(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		if runs != 1 {
			t.Errorf("%s was fetched %d times", version, runs)
		}
		found := frontend.Find([]string{t.TempDir(), dir})
		page, err := os.ReadFile(filepath.Join(found.Root, "index.html"))
		if err != nil || string(page) != "<title>"+version+"</title>" {
			t.Errorf("the page is %q (%v)", page, err)
		}
		if found.Versions["comfyui-frontend-package"] != version {
			t.Errorf("versions %v", found.Versions)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".fetch-*")); len(left) > 0 {
		t.Errorf("work folders were left: %v", left)
	}
}

func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	good := small("1.0.0")
	outside := maps.Clone(good)
	outside["../outside"] = "x"
	tests := map[string]struct {
		files map[string]string
		less  int64
		sum   string
		want  string
	}{
		"another sum":     {files: good, sum: strings.Repeat("0", 64), want: "its sha256 is"},
		"too large":       {files: good, less: 1, want: "more than it should"},
		"a way out":       {files: outside, want: "is no name of a file in it"},
		"another version": {files: small("2.0.0"), want: "does not hold comfyui_frontend_package 1.0.0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, sum, size := wheel(t, test.files)
			if test.sum != "" {
				sum = test.sum
			}
			runs, dir := 0, t.TempDir()
			_, err := frontend.Install(t.Context(), frontend.Options{
				Dir:      dir,
				Packages: []frontend.Package{{Project: "comfyui-frontend-package", Module: "comfyui_frontend_package", Version: "1.0.0", SHA256: sum, Unpacked: size - test.less}},
				Clients:  []download.Client{copier(src, &runs)},
			})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if found := frontend.Find([]string{dir}); found.Root != "" {
				t.Errorf("something was installed at %s", found.Root)
			}
		})
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"comfyui_workflow_templates-0.11.44.dist-info/METADATA":           "",
		"comfyui_workflow_templates/__init__.py":                          "",
		"comfyui_workflow_templates_json/templates/index.json":            "[]",
		"comfyui_workflow_templates_json/templates/a.json":                "{}",
		"comfyui_workflow_templates_media_image/templates/a-1.webp":       "w",
		"comfyui_workflow_templates_media_other/templates/logo/maker.png": "p",
		"comfyui_embedded_docs-0.5.10.dist-info/METADATA":                 "",
		"comfyui_embedded_docs/docs/KSampler/en.md":                       "#",
		"outside.json": "secret",
		"comfyui_workflow_templates_core/manifest.json": `{"templates": [
			{"id": "index", "bundle": "media-other", "assets": [{"filename": "index.json"}]},
			{"id": "a", "bundle": "media-image", "assets": [{"filename": "a.json"}, {"filename": "a-1.webp"}, {"filename": "a-2.webp"},
				{"filename": "logo/maker.png", "bundle": "media-other"}, {"filename": "../../outside.json"}]},
			{"id": "b", "bundle": "media-video", "assets": [{"filename": "b-1.webp"}]}]}`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := frontend.Find([]string{dir})
	if got, want := slices.Sorted(maps.Keys(found.Templates)), []string{"a-1.webp", "a.json", "index.json", "logo/maker.png"}; !slices.Equal(got, want) {
		t.Errorf("templates %q, want %q", got, want)
	}
	if found.Docs != filepath.Join(dir, "comfyui_embedded_docs", "docs") || found.Root != "" {
		t.Errorf("found %+v", found)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	site := filepath.Join(home, "lib", "python3.12", "site-packages")
	if err := os.MkdirAll(site, 0o700); err != nil {
		t.Fatal(err)
	}
	env := func(values map[string]string) func(string) string { return func(k string) string { return values[k] } }
	if got := frontend.Places("", env(map[string]string{"VIRTUAL_ENV": home})); got[0] != site {
		t.Errorf("the active environment is not looked into first: %q", got)
	}
	if got := frontend.Places("", env(map[string]string{frontend.EnvDir: home})); !slices.Equal(got, []string{home}) {
		t.Errorf("a named folder gives %q", got)
	}
	if got := frontend.Places(frontend.None, env(map[string]string{frontend.EnvDir: home})); len(got) != 0 {
		t.Errorf("none gives %q", got)
	}
}

func TestPinsAreWellFormed(t *testing.T) {
	t.Parallel()
	hex64 := regexp.MustCompile(`^[0-9a-f]{64}$`)
	all := frontend.Pinned(true)
	for _, p := range all {
		if !hex64.MatchString(p.SHA256) || p.Size <= 0 || p.Unpacked < p.Size/2 || strings.ReplaceAll(p.Project, "-", "_") != p.Module {
			t.Errorf("a bad pin: %+v", p)
		}
	}
	if few := frontend.Pinned(false); len(few) != 5 || len(all) != 10 {
		t.Errorf("%d packages, %d with media", len(few), len(all))
	}
}

// releasePage is a project's release page with two pages of releases.
func releasePage(t *testing.T, archive string, asked *[]string) *httptest.Server {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RequestURI())
		entry := func(tag, pre string) string {
			return `{"tag_name": "` + tag + `", "prerelease": ` + pre + `, "assets": [{"name": "dist.zip", "url": "` + s.URL + `/dist"}]}`
		}
		switch r.URL.RequestURI() {
		case "/repos/o/r/releases/latest":
			_, _ = w.Write([]byte(entry("v1.2.0", "false")))
		case "/repos/o/r/releases":
			w.Header().Set("Link", `<`+s.URL+`/repos/o/r/releases?page=2>; rel="next"`)
			_, _ = w.Write([]byte("[" + entry("v1.3.0-rc", "true") + "," + entry("v1.2.0", "false") + "]"))
		case "/repos/o/r/releases?page=2":
			_, _ = w.Write([]byte(`[` + entry("v1.1.0", "false") + `,{"tag_name": "v1.0.0", "assets": []}]`))
		case "/dist":
			http.ServeFile(w, r, archive)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestReleases(t *testing.T) {
	t.Parallel()
	archive, _, _ := wheel(t, map[string]string{"index.html": "built"})
	var asked []string
	page := releasePage(t, archive, &asked)
	r := frontend.Releases{Dir: t.TempDir(), API: page.URL, Client: page.Client()}
	for _, test := range []struct{ version, dir, problem string }{
		{"o/r@latest", "1.2.0", ""},
		{"o/r@prerelease", "1.3.0-rc", ""},
		{"o/r@v1.1.0", "1.1.0", ""},
		{"o/r@1.2.0", "1.2.0", ""},
		{"o/r@1.0.0", "", "has no dist.zip"},
		{"o/r@9.9.9", "", "there is no release 9.9.9"},
		{"o/other@latest", "", "404 Not Found"},
		{"o/r@new", "", "is not owner/repo@version"},
		{"o/..@latest", "", "is not owner/repo@version"},
	} {
		dir, err := r.Get(context.Background(), test.version)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: got %v, want an error with %q", test.version, err, test.problem)
			}
			continue
		}
		data, readErr := os.ReadFile(filepath.Join(dir, "index.html"))
		if err != nil || readErr != nil || string(data) != "built" || dir != filepath.Join(r.Dir, "o_r", test.dir) {
			t.Errorf("%s: %s, %v, %v", test.version, dir, err, readErr)
		}
	}
	asked = nil
	if _, err := r.Get(context.Background(), "o/r@v1.1.0"); err != nil || len(asked) > 0 {
		t.Errorf("a release that is here: %v, asked %q", err, asked)
	}
}

// A folder that is given by a relative name is the same as by its whole name.
func TestInstallIntoRelativeFolder(t *testing.T) {
	src, sum, size := wheel(t, small("1.0.0"))
	t.Chdir(t.TempDir())
	runs := 0
	_, err := frontend.Install(t.Context(), frontend.Options{
		Dir:      "below",
		Packages: []frontend.Package{{Project: "comfyui-frontend-package", Module: "comfyui_frontend_package", Version: "1.0.0", SHA256: sum, Unpacked: size}},
		Clients:  []download.Client{copier(src, &runs)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := frontend.Find([]string{"below"}); found.Root == "" {
		t.Error("the package is not there")
	}
}
