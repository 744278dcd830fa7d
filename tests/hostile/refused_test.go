package hostile_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefused names requests that must be refused, each with the only statuses that will do.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := start(t)
	before := r.snapshot()
	form := func(parts ...string) request {
		return request{method: http.MethodPost, contentType: "multipart/form-data; boundary=" + boundary, body: strings.Join(parts, "") + formEnd}
	}
	img := string(tinyPNG(8, 6))
	var cases []request
	add := func(statuses string, method, path, body string) {
		cases = append(cases, request{what: statuses, method: method, path: path, body: body, contentType: "application/json"})
	}
	upload := func(statuses, path string, parts ...string) {
		f := form(parts...)
		f.what, f.path = statuses, path
		cases = append(cases, f)
	}
	for _, v := range []string{
		"../outside/secret.txt", "%2e%2e%2foutside%2fsecret.txt", "..%2f..%2foutside%2fsecret.txt", "%2fetc%2fpasswd", "/etc/passwd", "a%00b",
	} {
		add("400", "GET", "/view?type=input&filename="+v, "")
		add("400 403", "GET", "/view?type=input&filename=secret.txt&subfolder="+v, "")
		add("400 404", "GET", "/view?type=temp&filename="+v, "")
	}
	for _, v := range []string{"link", "link/", "./link", "sub/../link"} {
		add("403 404", "GET", "/view?type=input&filename=secret.txt&subfolder="+v, "")
		add("403 404", "GET", "/view?type=output&filename=secret.png&preview=webp&subfolder="+v, "")
	}
	add("403 404", "GET", "/view?type=input&filename=link.txt", "")
	add("404", "GET", `/view?type=input&filename=C:%5CWindows%5Cwin.ini`, "")
	add("404", "GET", `/view?type=input&filename=%252e%252e%252foutside%252fsecret.txt`, "")
	add("400", "GET", "/view?type=..&filename=secret.txt", "")
	add("400", "GET", "/view?type=input&filename=bomb.png&preview=webp", "")
	add("400", "GET", "/view?type=input&filename=bomb.png&channel=rgb", "")
	add("400", "GET", "/view?type=input&filename=broken.png&preview=jpeg", "")
	for _, v := range []string{"..%2f..%2foutside%2fsecret.txt", "%252e%252e%252f%252e%252e%252foutside%252fsecret.txt", "%2fetc%2fpasswd", "link%2fsecret.txt", "link.txt", "a%2500b"} {
		add("403 404", "GET", "/userdata/"+v, "")
		add("403 404", "POST", "/userdata/"+v, "overwritten")
		add("403 404", "DELETE", "/userdata/"+v, "")
		add("403", "POST", "/userdata/a.json/move/"+v, "")
		add("400 403 404", "GET", "/v2/userdata?path="+v, "")
		add("403 404", "GET", "/userdata?dir="+v, "")
		add("403", "GET", "/experiment/models/preview/checkpoints/0/..%2f"+v, "")
	}
	add("403", "POST", "/userdata/dangling.txt", "a link to where nothing is yet")
	add("403", "GET", "/experiment/models/preview/checkpoints/0/a.safetensors", "")
	add("404", "GET", "/experiment/models/preview/checkpoints/0/bomb.safetensors", "")
	add("403 404", "GET", "/extensions/pack/ext.js", "")
	add("403 404", "GET", "/api/workflow_templates/pack/link%2fw.json", "")
	add("403 404", "GET", "/api/workflow_templates/pack/..%2f..%2f..%2foutside%2fw.json", "")
	for _, body := range []string{"{", "", "[", strings.Repeat("[", depth), strings.Repeat(`{"a":`, depth), "\xff\xfe", `{"prompt": {`, "nul"} {
		for _, path := range []string{"/prompt", "/queue", "/history", "/settings", "/users", "/free"} {
			add("400", "POST", path, body)
		}
	}
	for _, body := range []string{
		`{"prompt": 5}`, `{"prompt": []}`, `{"prompt": null}`, `{"prompt": {"1": 5}}`, `{"prompt": {"1": {"class_type": 5, "inputs": {}}}}`,
		`{"prompt": {"1": {"class_type": "PreviewAny", "inputs": null}}}`, `{"prompt": {}, "client_id": {"a": 1}}`, `{"prompt": {}, "prompt_id": "../x"}`, `{"prompt": {}, "extra_data": 7}`, `[]`, `7`, `"x"`, `null`,
	} {
		add("400", "POST", "/prompt", body)
	}
	giant := `{"a": "` + strings.Repeat("x", (maxUpload+1)<<20) + `"}`
	for _, path := range []string{"/prompt", "/queue", "/userdata/giant.json", "/settings", "/upload/image"} {
		add("413", "POST", path, giant)
	}
	for _, n := range []string{"../../outside/up.png", "/tmp/up.png", "link/up.png", "dangling.txt", "a\x00b.png", strings.Repeat("n", 3000)} {
		upload("400 403", "/upload/image", part("image", n, img), part("overwrite", "", "true"))
	}
	for _, s := range []string{"../../outside", "/tmp", "link", "a\x00b", "link/deeper", strings.Repeat("d/", 3000)} {
		upload("400 403", "/upload/image", part("image", "up.png", img), part("subfolder", "", s))
	}
	upload("400", "/upload/image", part("image", "up.png", img), part("type", "", "../../outside"))
	upload("400", "/upload/mask", part("image", "up.png", img), part("original_ref", "", "nonsense"))
	upload("400", "/upload/mask", part("image", "up2.png", img), part("original_ref", "", `{"filename": "bomb.png", "type": "input"}`))
	upload("400", "/upload/mask", part("image", "bomb2.png", string(bombPNG())), part("original_ref", "", `{"filename": "pic.png", "type": "input"}`))
	upload("400", "/api/assets", part("file", "up.png", img), part("tags", "", `["models", "model_type:../../../outside"]`))
	half := form(part("image", "half.png", img))
	half.what, half.path, half.body = "400", "/upload/image", half.body[:90]
	cases = append(cases, half)
	for _, c := range cases {
		a := r.try(t, c)
		if !strings.Contains(" "+c.what+" ", fmt.Sprintf(" %d ", a.status)) && (a.status != 0 || c.what != "413") {
			t.Errorf("%s %s with %q: status %d, want %s", c.method, c.path, shorten(c.body), a.status, c.what)
		}
	}
	r.alive("all of it")
	r.untouched(before)
}

// TestBombs loads images that announce huge sizes: they are refused at once, and the server keeps
// working.
func TestBombs(t *testing.T) {
	t.Parallel()
	r := start(t)
	const atOnce = 5 * time.Second // a busy machine; decoding 900 million pixels takes longer, and 3.6 GB
	for _, name := range []string{"bomb.png", "broken.png"} {
		begun := time.Now()
		a := r.try(t, request{what: "a prompt", method: http.MethodPost, path: "/prompt?wait=30", body: imagePrompt(name), contentType: "application/json"})
		var v struct {
			Finished bool
			Result   struct{ Status struct{ Messages [][]any } }
		}
		if err := json.Unmarshal(a.body, &v); err != nil || !v.Finished {
			t.Fatalf("%s: %s, %v", name, a.body, err)
		}
		if took := time.Since(begun); took > atOnce || !strings.Contains(string(a.body), "execution_error") {
			t.Errorf("%s: after %v: %s", name, took, a.body)
		}
		r.alive(name)
	}
}
