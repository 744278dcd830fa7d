package server_test

import (
	"bytes"
	"encoding/base64"
	"image"
	_ "image/jpeg" // decoders of answers
	_ "image/png"  // the same
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/server"
)

// TestPathsAsUpstream requests paths in the forms that select routes and folders.
func TestPathsAsUpstream(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *server.Config) {
		c.FrontEndRoot = filepath.Join(c.Folders.Base(), "web")
		c.DocsRoot = filepath.Join(c.Folders.Base(), "input")
	})
	for name, text := range map[string]string{
		"custom_nodes/.hidden/__init__.py": "WEB_DIRECTORY = 'web'\n", "custom_nodes/.hidden/web/h.js": "h",
		"custom_nodes/.hidden/locales/en/main.json": `{"hidden": 1}`, "custom_nodes/pack/locales/.x/main.json": `{"hidden": 1}`,
		"custom_nodes/pack/locales/en/main.json": `{"seen": 1}`,
		"custom_nodes/proj/__init__.py":          "", "custom_nodes/proj/js/p.js": "p",
		"custom_nodes/proj/pyproject.toml": "[project]\nname = \"My-Proj\" # its name\n[tool.comfy]\nweb = 'js'\n[tool.other]\nweb = 'x'\n",
		"custom_nodes/out/__init__.py":     "", "custom_nodes/out/pyproject.toml": "[project]\nname = \"out\"\n[tool.comfy]\nweb = \"../pack/js\"\n",
	} {
		write(t, filepath.Join(r.base, name), []byte(text))
	}
	for _, x := range []exchange{
		{Request: "GET /%66eatures", Status: 200},
		{Request: "GET /a%70i/%66eatures", Status: 200},
		{Request: "POST /settings/a/b", Body: "1", Status: 405, Want: map[string]string{"Allow": "GET,HEAD"}},
		{Request: "GET /settings/a/b", Status: 404},
		{Request: "POST /settings/a%2fb", Body: "1", Status: 200},
		{Request: "GET /settings/a%2Fb", Status: 200, Match: "1"},
		{Request: "GET /global_subgraphs/a/b", Status: 404},
		{Request: "GET /upload/image", Status: 404, Want: map[string]string{"Allow": ""}},
		{Request: "GET /extensions/pack", Status: 403},
		{Request: "GET /docs", Status: 403},
		{Request: "GET /docs/note.txt", Status: 200},
		{Request: "GET /docsnote.txt", Status: 404},
		{Request: "GET /extensions/.hidden/h.js", Status: 200, Match: "h"},
		{Request: "GET /extensions/My-Proj/p.js", Status: 200, Match: "p"},
		{Request: "GET /extensions/proj/p.js", Status: 404},
		{Request: "GET /extensions/out/ext.js", Status: 404},
		{Request: "GET /extensions", Status: 200, Match: `(?:.*"/extensions/\.hidden/h\.js".*"/extensions/My-Proj/p\.js".*)`},
		{Request: "GET /i18n", Status: 200, Match: `\{"en": \{"loadWorkflowWarning": .*"seen": 1\}, "es": .*\}`},
	} {
		try(t, r, x)
	}
}

// TestFilesAsUpstream makes conditional requests for a file.
func TestFilesAsUpstream(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const file = "/view?filename=note.txt&type=input"
	path := filepath.Join(r.base, "input", "note.txt")
	changed := time.Date(2024, 5, 6, 7, 8, 9, 500_000_000, time.UTC)
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
	const told = "Mon, 06 May 2024 07:08:10 GMT"
	for _, x := range []exchange{
		{Request: "GET " + file, Status: 200, Want: map[string]string{"Last-Modified": told}},
		{Request: "GET " + file, Headers: map[string]string{"If-Modified-Since": told}, Status: 304},
		{Request: "GET " + file, Headers: map[string]string{"If-Modified-Since": "Mon, 06 May 2024 07:08:09 GMT"}, Status: 200},
		{Request: "GET " + file, Headers: map[string]string{"If-Modified-Since": "6 May 2024 07:08:10 +0200"}, Status: 304},
		{Request: "GET " + file, Headers: map[string]string{"If-Unmodified-Since": told}, Status: 200},
		{Request: "GET " + file, Headers: map[string]string{"If-Range": told, "Range": "bytes=0-1"}, Status: 206},
		{Request: "GET " + file, Headers: map[string]string{"Range": "Bytes=0-1"}, Status: 206, Match: "he"},
		{Request: "GET " + file, Headers: map[string]string{"If-None-Match": "*"}, Status: 304},
		{Request: "GET " + file, Headers: map[string]string{"If-None-Match": `"x",*`}, Status: 200},
		{Request: "GET " + file, Headers: map[string]string{"If-Match": `"x",*`}, Status: 412},
	} {
		try(t, r, x)
	}
}

// TestUserdataAsUpstream moves files to where something is.
func TestUserdataAsUpstream(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, x := range []exchange{
		{Request: "POST /userdata/a.json", Body: "1", Status: 200},
		{Request: "POST /userdata/d%2Fb.json", Body: "2", Status: 200},
		{Request: "POST /userdata/a.json/move/a.json", Status: 200, Match: `"a\.json"`},
		{Request: "GET /userdata/a.json%2Fx", Status: 404},
		{Request: "POST /userdata/a.json/move/d", Status: 200, Match: `"d"`},
		{Request: "GET /userdata/d%2Fa.json", Status: 200, Match: "1"},
		{Request: "POST /userdata/a.json", Body: "3", Status: 200},
		{Request: "POST /userdata/a.json/move/d", Status: 400}, // d/a.json is not lost
		{Request: "GET /userdata/d%2Fa.json", Status: 200, Match: "1"},
		{Request: "POST /settings", Body: `{"n": NaN, "e": "\u007f\u00fc"}`, Status: 200},
		{Request: "GET /settings", Status: 200, Match: `\{"n": NaN, "e": "\\u007f\\u00fc"\}`},
	} {
		try(t, r, x)
	}
	data, err := os.ReadFile(filepath.Join(r.base, "user", "default", "comfy.settings.json"))
	if want := "{\n    \"n\": NaN,\n    \"e\": \"\\u007f\\u00fc\"\n}"; err != nil || string(data) != want {
		t.Errorf("the settings are kept as %q (%v)", data, err)
	}
	multi := start(t, func(c *server.Config) { c.MultiUser = true })
	try(t, multi, exchange{Request: "POST /settings/x", Body: "no JSON", Status: 401})
}

// TestUploadsAsUpstream sends parts as no browser does.
func TestUploadsAsUpstream(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, c := range []struct{ about, name, body, kept string }{
		{`filename="/abs.png"`, "abs.png", "1", "1"},
		{`filename="\\x.png"`, "x.png", "2", "2"},
		{`filename="C:\dir\w.png"`, "C:dirw.png", "3", "3"},
		{`filename="a\\b\"c.png"`, `a\\b\"c.png`, "4", "4"},
		{`filename="b64.png"` + "\r\nContent-Transfer-Encoding: base64", "b64.png", base64.StdEncoding.EncodeToString([]byte("5")), "5"},
		{`filename="qp.png"` + "\r\nContent-Transfer-Encoding: Quoted-Printable", "qp.png", "=36", "6"},
	} {
		a := r.do("POST", "/upload/image", "--b\r\nContent-Disposition: form-data; name=\"image\"; "+c.about+"\r\n\r\n"+c.body+"\r\n--b--\r\n",
			"Content-Type", "multipart/form-data; boundary=b")
		if want := `{"name": "` + c.name + `", "subfolder": "", "type": "input"}`; a.status != 200 || a.body != want {
			t.Errorf("%s: %d %s", c.about, a.status, a.body)
			continue
		}
		name := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(c.name)
		if data, err := os.ReadFile(filepath.Join(r.base, "input", name)); err != nil || string(data) != c.kept {
			t.Errorf("%s: kept %q (%v)", c.about, data, err)
		}
	}
	a := r.do("POST", "/upload/image", "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"u.png\"\r\nContent-Transfer-Encoding: x\r\n\r\n1\r\n--b--\r\n",
		"Content-Type", "multipart/form-data; boundary=b")
	if a.status != 400 {
		t.Errorf("an unknown transfer encoding: %d %s", a.status, a.body)
	}
}

// TestTextsAsUpstream sends texts in several charsets, as bodies and in forms, and masks under several names.
func TestTextsAsUpstream(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, c := range []struct {
		kind, body string
		status     int
		kept       string
	}{
		{"application/json", `"\u00e4\xc3\xa4"`, 200, `"\u00e4\u00e4"`},
		{"application/json; charset=ISO-8859-1", "\"\xe4\"", 200, `"\u00e4"`},
		{"application/json; charset=UTF_8", "\"\xc3\xa4\"", 200, `"\u00e4"`},
		{"application/json", "\"\xe4\"", 400, ""},
		{"application/json; charset=us-ascii", "\"\xc3\xa4\"", 400, ""},
		{"application/json; charset=klingon", "1", 400, ""},
	} {
		body := strings.NewReplacer(`\xc3\xa4`, "\xc3\xa4").Replace(c.body)
		if a := r.do("POST", "/settings/s", body, "Content-Type", c.kind); a.status != c.status {
			t.Errorf("%s %q: %d %s", c.kind, body, a.status, a.body)
		} else if got := r.do("GET", "/settings/s", "").body; c.status == 200 && got != c.kept {
			t.Errorf("%s %q: kept %s", c.kind, body, got)
		}
	}
	form := func(head, sub string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x.png\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"subfolder\"\r\n" +
			head + "\r\n" + sub + "\r\n--b--\r\n"
	}
	const multi = "multipart/form-data; boundary=b"
	if a := r.do("POST", "/upload/image", form("Content-Type: text/plain; charset=latin-1\r\n", "\xe4"), "Content-Type", multi); !strings.Contains(a.body, `"subfolder": "\u00e4"`) {
		t.Errorf("a folder in Latin-1: %d %s", a.status, a.body)
	}
	if a := r.do("POST", "/upload/image", form("", "\xe4"), "Content-Type", multi); a.status != 400 {
		t.Errorf("a folder in no charset: %d %s", a.status, a.body)
	}
	pic := string(testPNG(t, 8, 6))
	for name, want := range map[string]string{"m.png": "\x89PNG", "m.webp": "RIFF", "m.jpg": "", "m": "", "m.txt": ""} {
		a := r.do("POST", "/upload/mask", "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\""+name+"\"\r\n\r\n"+pic+
			"\r\n--b\r\nContent-Disposition: form-data; name=\"original_ref\"\r\n\r\n{\"filename\": \"pic.png\", \"type\": \"input\"}\r\n--b--\r\n", "Content-Type", multi)
		data, _ := os.ReadFile(filepath.Join(r.base, "input", name))
		if (a.status == 200) != (want != "") || !strings.HasPrefix(string(data), want) || want == "" && len(data) > 0 {
			t.Errorf("a mask as %s: %d %s, kept %.10q", name, a.status, a.body, data)
		}
	}
}

// TestRefusalsReadable sees that a page of the origin that CORS lets in can read why it is refused, and that our page is
// found without a key by both its addresses.
func TestRefusalsReadable(t *testing.T) {
	t.Parallel()
	keys := withKeys(t)
	r := start(t, func(c *server.Config) {
		keys(c)
		c.CORSOrigin = "https://page.example"
	})
	mayRead := map[string]string{"Access-Control-Allow-Origin": "https://page.example", "Access-Control-Allow-Credentials": "true"}
	for _, x := range []exchange{
		{Request: "GET /prompt", Status: 401, Want: mayRead},
		{Request: "GET /prompt", Headers: map[string]string{"X-API-Key": "wrong"}, Status: 401, Want: mayRead},
		{Request: "GET /prompt", Headers: map[string]string{"X-API-Key": theKey}, Status: 200, Want: mayRead},
		{Request: "POST /settings", Headers: map[string]string{"X-API-Key": theKey}, Body: "x", Status: 400, Want: mayRead},
		{Request: "PUT /prompt", Headers: map[string]string{"X-API-Key": theKey}, Status: 405, Want: map[string]string{"Access-Control-Allow-Origin": ""}},
		{Request: "OPTIONS /prompt", Status: 200, Want: mayRead},
		{Request: "OPTIONS *", Status: 200, Want: mayRead},
		{Request: "OPTIONS /x.png", Status: 200, Want: map[string]string{"Cache-Control": "public, max-age=86400"}},
		{Request: "GET /app", Status: 200},
		{Request: "GET /app/", Status: 308, Want: map[string]string{"Location": `\.\./app`}},
		{Request: "GET /app/none.js", Status: 401},
	} {
		if x.Request == "OPTIONS *" {
			optionsOfAll(t, r, mayRead)
			continue
		}
		try(t, r, x)
	}
}

func optionsOfAll(t *testing.T, r *rig, want map[string]string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = "*"
	a, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	for k, v := range want {
		if a.StatusCode != 200 || a.Header.Get(k) != v {
			t.Errorf("OPTIONS *: %d, header %s %q", a.StatusCode, k, a.Header.Get(k))
		}
	}
}

// TestAnimationsAreViewed requests views of an animated WebP file: its first frame, in libwebp's colours.
func TestAnimationsAreViewed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	data, err := os.ReadFile("testdata/animated.webp")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.base, "input", "a.webp"), data)
	for _, c := range []struct {
		query, kind string
		first       [3]uint32 // the colour of the first pixel
		near        int
	}{
		{"channel=rgb", "png", [3]uint32{200, 40, 30}, 3},
		{"preview=jpeg;100&channel=rgb", "jpeg", [3]uint32{200, 40, 30}, 6},
	} {
		a := r.do("GET", "/view?type=input&filename=a.webp&"+c.query, "")
		img, kind, err := image.Decode(bytes.NewReader([]byte(a.body)))
		if a.status != 200 || err != nil || kind != c.kind || img.Bounds().Dx() != 8 {
			t.Fatalf("%s: %d %v %.200s", c.query, a.status, err, a.body)
		}
		red, green, blue, _ := img.At(0, 0).RGBA()
		for i, v := range []uint32{red >> 8, green >> 8, blue >> 8} {
			if d := int(v) - int(c.first[i]); d > c.near || -d > c.near {
				t.Errorf("%s: the first pixel is %d %d %d", c.query, red>>8, green>>8, blue>>8)
			}
		}
	}
	if a := r.do("GET", "/view?type=input&filename=a.webp&preview=webp", ""); a.status != 200 || !strings.HasPrefix(a.body, "RIFF") {
		t.Errorf("a preview: %d %.100q", a.status, a.body)
	}
}

// TestHalvedColourIsViewed compares a JPEG file with halved chroma with Pillow's result; the decoders round in other
// places.
func TestHalvedColourIsViewed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write(t, filepath.Join(r.base, "input", "h.jpg"), read("halved.jpg"))
	want, _, err := image.Decode(bytes.NewReader(read("halved.png")))
	if err != nil {
		t.Fatal(err)
	}
	a := r.do("GET", "/view?type=input&filename=h.jpg&channel=rgb", "")
	got, _, err := image.Decode(strings.NewReader(a.body))
	if a.status != 200 || err != nil || got.Bounds() != want.Bounds() {
		t.Fatalf("%d %v", a.status, err)
	}
	const near = 3
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			r1, g1, b1, _ := got.At(x, y).RGBA()
			r2, g2, b2, _ := want.At(x, y).RGBA()
			for _, d := range []int{int(r1>>8) - int(r2>>8), int(g1>>8) - int(g2>>8), int(b1>>8) - int(b2>>8)} {
				if d > near || -d > near {
					t.Errorf("%d,%d differs by %d", x, y, d)
				}
			}
		}
	}
}
