package hostile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"net/http"
	"strings"
)

// request is one thing to send. path is sent as it stands.
type request struct {
	what, method, path, contentType string
	body                            string
	headers                         []string // names and values in turn
}

// segments are bad values for a part of a path, as they are sent.
var segments = []string{
	"..", "%2e%2e", "..%2f..%2f..%2foutside%2fsecret.txt", "%252e%252e%252f%252e%252e%252foutside%252fsecret.txt", "..%5c..%5coutside%5csecret.txt",
	"%2fetc%2fpasswd", "C:%5cWindows%5cwin.ini", "%5c%5chost%5cshare", "a%00b", "%00", "link%2fsecret.txt", "link.txt", "link%2fsecret.png", "link%2fs.json",
	"%ff%fe", "%c0%ae%c0%ae%2f", "CON", "a%2f%2fb", ".", "%20", "%", "%zz", "NaN", "1e400", "-1", "99999999999999999999", "__proto__", "__system",
	strings.Repeat("a", 5000), strings.Repeat("..%2f", 60) + "etc%2fpasswd", "secret.safetensors",
}

// wildcards are bad values for the rest of a path.
var wildcards = append([]string{"../../outside/secret.txt", "../../../../../../etc/passwd", "//etc/passwd", "./.././outside/secret.txt", "link/secret.txt"}, segments...)

// parameters are the names that handlers look for in queries; every route is tried with all of them.
var parameters = strings.Fields(`filename subfolder type preview channel dir path recurse full_info split overwrite max_items offset limit status
	sort sort_by sort_order sort_direction order cursor after before workflow_id include_tags exclude_tags include_public name name_contains metadata_filter
	prefix wait since events progress client clientId folder disposition job_ids ids id token hash include_outputs refresh format fields page per_page next redirect state code`)

// values are bad ones for a parameter of a query.
var values = []string{
	"../../outside/secret.txt", "%2e%2e%2f%2e%2e%2foutside%2fsecret.txt", "/etc/passwd", "link/secret.txt", "a%00b", "NaN", "-99999999999999999999", "1e400",
	"%ff", "", "%7b%22a%22%3a", "'%20OR%201=1--", strings.Repeat("9", 3000),
}

// fields are the names that handlers look for in JSON bodies.
var fields = strings.Fields(`prompt prompt_id client_id extra_data partial_execution_targets number front delete clear unload_models free_memory job_ids
	username enabled clientId ids id name tags hash user_metadata mime_type preview_id priority position before after workflow nodes input inputs output
	files events url callback_url metadata timeout password key token scope scopes role expires_at limit user settings steps format roots prune mode wait images`)

// wrong are bad values for a field, as JSON.
var wrong = []string{`null`, `-1`, `NaN`, `1e400`, `"../../outside/secret.txt"`, `[]`, `{}`, `[[{"a":[1]}]]`, `"a\u0000b"`, `true`, `123456789012345678901234567890`, `"\ud800"`}

const depth = 200_000

// bodies are JSON, text that only looks like it, and forms. at picks which pairs of a field and a value this route gets.
func bodies(at int) []request {
	out := []request{
		{what: "nothing"},
		{what: "half an object", body: `{"prompt": {`},
		{what: "null", body: "null"},
		{what: "a list", body: "[]"},
		{what: "a text", body: `"x"`},
		{what: "a number", body: "5"},
		{what: "NaN", body: "NaN"},
		{what: "1e400", body: "1e400"},
		{what: "true", body: "true"},
		{what: "two values", body: "{} {}"},
		{what: "bytes that are no text", body: "{\"a\": \"\xff\xfe\x00\"}"},
		{what: "UTF-16", body: "\xff\xfe{\x00}\x00"},
		{what: "nested lists", body: strings.Repeat("[", depth)},
		{what: "closed nested lists", body: strings.Repeat("[", depth) + strings.Repeat("]", depth)},
		{what: "nested objects", body: strings.Repeat(`{"prompt":`, depth/2) + "1" + strings.Repeat("}", depth/2)},
		{what: "nested objects in a prompt", body: `{"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}}}`},
		{what: "a giant", body: `{"a": "` + strings.Repeat("x", (maxUpload+1)<<20) + `"}`},
		{what: "a giant number", body: `{"number": ` + strings.Repeat("9", 500_000) + `}`},
		{what: "the same key twice", body: `{"prompt": 1, "prompt": {}}`},
	}
	for j, w := range wrong {
		var all []string
		for i, f := range fields {
			all = append(all, fmt.Sprintf("%q: %s", f, w))
			if (at+i+j)%valuesEach == 0 { // another route gets the other pairs
				out = append(out, request{what: f + " " + w, body: fmt.Sprintf("{%q: %s}", f, w)})
			}
		}
		out = append(out, request{what: "everything " + w, body: "{" + strings.Join(all, ", ") + "}"})
	}
	for i := range out {
		out[i].contentType = "application/json"
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "image/png", "multipart/form-data", "application/json; charset=utf-16", "a/b/c;;;=\x01", "multipart/form-data; boundary=" + strings.Repeat("b", 200)} {
		out = append(out, request{what: "as " + kind, contentType: kind, body: `{"prompt": {}}`})
	}
	return append(out, forms()...)
}

const boundary = "cut-here"

// part is one part of a form. filename may be empty.
func part(name, filename, data string) string {
	disposition := fmt.Sprintf("form-data; name=%q", name)
	if filename != "" {
		disposition += `; filename="` + filename + `"`
	}
	return "--" + boundary + "\r\nContent-Disposition: " + disposition + "\r\n\r\n" + data + "\r\n"
}

const formEnd = "--" + boundary + "--\r\n"

// names are bad ones for an uploaded file.
var names = []string{
	"../../outside/up.png", "..\\\\..\\\\outside\\\\up.png", "/tmp/../etc/up.png", "C:\\\\up.png", "link/up.png", "dangling.txt", "a\x00b.png", "..", ".", "/",
	"%2e%2e%2fup.png", strings.Repeat("n", 3000) + ".png", "bomb.png", "link", "link.txt", "con.png", " ", "\xff\xfe.png",
}

// forms are multipart bodies.
func forms() []request {
	img := string(tinyPNG(8, 6))
	out := []request{
		{what: "a form that ends early", body: part("image", "a.png", img)[:60]},
		{what: "a part that ends early", body: strings.TrimSuffix(part("image", "a.png", img), "\r\n")},
		{what: "a form without parts", body: formEnd},
		{what: "no form at all", body: "hello"},
		{what: "a part without headers", body: "--" + boundary + "\r\n\r\nx\r\n" + formEnd},
		{what: "a part with giant headers", body: "--" + boundary + "\r\nX-A: " + strings.Repeat("h", 1<<20) + "\r\n\r\nx\r\n" + formEnd},
		{what: "a thousand parts", body: strings.Repeat(part("x", "", "y"), 1000) + formEnd},
		{what: "a giant field", body: part("subfolder", "", strings.Repeat("s", 3<<19)) + formEnd},
		{what: "a text as the image", body: part("image", "", "text") + formEnd},
		{what: "an odd type", body: part("image", "a.png", img) + part("type", "", "../../outside") + formEnd},
		{what: "a type that is a file", body: part("image", "a.png", img) + part("type", "x", "input") + formEnd},
		{what: "a bomb", body: part("image", "b.png", string(bombPNG())) + part("file", "b.png", string(bombPNG())) + part("tags", "", `["input"]`) + formEnd},
		{what: "a mask for a bomb", body: part("image", "m.png", img) + part("original_ref", "", `{"filename": "bomb.png", "type": "input"}`) + formEnd},
		{what: "a mask for a secret", body: part("image", "m.png", img) + part("original_ref", "", `{"filename": "secret.png", "subfolder": "link", "type": "input"}`) + formEnd},
		{what: "a mask for nonsense", body: part("image", "m.png", img) + part("original_ref", "", strings.Repeat("[", 10000)) + formEnd},
		{what: "nonsense for assets", body: part("file", "a.png", img) + part("tags", "", strings.Repeat("[", 10000)) + part("user_metadata", "", `{"a": NaN, "b": 1e400}`) + formEnd},
		{what: "tags that lead out", body: part("file", "a.png", img) + part("tags", "", `["models", "model_type:../../../outside"]`) + formEnd},
	}
	for _, n := range names {
		out = append(out, request{what: "a file called " + n, body: part("image", n, img) + part("file", n, img+n) + part("tags", "", `["input"]`) + part("overwrite", "", "true") + formEnd})
	}
	for _, s := range []string{"..", "../../outside", "/tmp", "link", "a\x00b", "C:\\x", "..\\..\\outside", "link/../..", strings.Repeat("d/", 3000)} {
		out = append(out, request{what: "a file for the folder " + s, body: part("image", "up.png", img) + part("subfolder", "", s) + formEnd})
	}
	for i := range out {
		out[i].contentType = "multipart/form-data; boundary=" + boundary
	}
	return out
}

// lies are headers that mislead.
var lies = [][]string{
	{"Range", "bytes=5-1,0-0,-99999999999999999999"},
	{"Range", "bytes=" + strings.Repeat("0-1,", 5000)},
	{"If-None-Match", strings.Repeat(`"x",`, 5000)},
	{"If-Modified-Since", "yesterday"},
	{"Accept-Encoding", "gzip;q=NaN, deflate"},
	{"Content-Encoding", "gzip"},
	{"Transfer-Encoding", "gzip"},
	{"Comfy-User", "../../outside"},
	{"Comfy-User", "a\xff"},
	{"Comfy-Usid", strings.Repeat("u", 10000)},
	{"Idempotency-Key", strings.Repeat("k", 10000)},
	{"Authorization", "Bearer " + strings.Repeat("x", 20000)},
	{"Authorization", "Basic !!!"},
	{"Cookie", strings.Repeat("a=b;", 5000)},
	{"X-Forwarded-For", "127.0.0.1, ::1, \"><script>"},
	{"X-HTTP-Method-Override", "DELETE"},
	{"Upgrade", "websocket"},
	{"Expect", "nonsense"},
	{"Sec-Fetch-Site", "cross-site"},
	{"Origin", "null"},
	{"Origin", "http://evil.example"},
	{"Last-Event-ID", "NaN"},
	{"Sec-WebSocket-Key", "x"},
	{"Traceparent", "00-" + strings.Repeat("z", 400)},
}

// casesOf are the requests for a route: "GET /userdata/:file".
func casesOf(route string) []request {
	method, pattern, _ := strings.Cut(route, " ")
	good := fill(pattern, "a.json", "a.json")
	var out []request
	add := func(r request) {
		r.method = method
		if r.path == "" {
			r.path = good
		}
		out = append(out, r)
	}
	if strings.ContainsAny(pattern, ":*") {
		for i, s := range wildcards {
			if i >= len(wildcards)-len(segments) || strings.Contains(pattern, "*") {
				add(request{what: "the path " + s, path: fill(pattern, s, s)})
			}
		}
	}
	at := int(crc32.ChecksumIEEE([]byte(route)) % valuesEach)
	for i, p := range parameters {
		for j, v := range values {
			if (at+i+j)%valuesEach != 0 {
				continue // another route gets it
			}
			add(request{what: "the parameter " + p, path: good + "?" + p + "=" + v})
		}
	}
	for _, v := range values {
		add(request{what: "every parameter", path: good + "?" + strings.Join(parameters, "="+v+"&") + "=" + v})
	}
	add(request{what: "many parameters", path: good + "?" + strings.Repeat("a=b&", 5000)})
	for _, l := range lies {
		add(request{what: "the header " + l[0], headers: l})
	}
	if method != http.MethodGet && method != http.MethodHead {
		for _, b := range bodies(at) {
			add(b)
		}
	}
	return out
}

// fill puts values in the place of a pattern's parameters.
func fill(pattern, segment, rest string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		switch {
		case strings.HasPrefix(p, "*"):
			parts[i] = rest
		case strings.HasPrefix(p, ":"):
			parts[i] = segment
		}
	}
	return strings.Join(parts, "/")
}

func tinyPNG(w, h int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, w, h))); err != nil {
		panic(err) // an image in memory can be written
	}
	return b.Bytes()
}

// bombPNG announces 30000x30000 pixels in a few bytes.
func bombPNG() []byte {
	b := tinyPNG(4, 4)
	const side = 30000
	binary.BigEndian.PutUint32(b[16:], side)
	binary.BigEndian.PutUint32(b[20:], side)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// imagePrompt makes a node of the input folder's image.
func imagePrompt(name string) string {
	return fmt.Sprintf(`{"prompt": {"1": {"class_type": "LoadImage", "inputs": {"image": %q}}, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}}`, name)
}
