package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// contract is a server's own description of its answers, which the live ones are held against.
type contract struct {
	t       *testing.T
	v       validator.Validator
	mu      sync.Mutex
	checked int
	told    map[string]bool
}

// newContract asks a server for its description.
func newContract(t *testing.T, base string) *contract {
	t.Helper()
	resp, err := http.Get(base + "/openapi.json") //nolint:noctx // a server of this test
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the server's description: %d (%v)", resp.StatusCode, err)
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatalf("the server's description: %v", err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatalf("the server's description: %v", errs)
	}
	return &contract{t: t, v: v, told: map[string]bool{}}
}

// check holds an answer against the description. Files of the frontend and of packs are not described, nor are targets that
// no client could write.
func (d *contract) check(method, target string, status int, header http.Header, body []byte) {
	u, err := url.ParseRequestURI(target)
	if err != nil || method == http.MethodOptions || status == http.StatusSwitchingProtocols {
		return
	}
	if (bytes.Contains(body, []byte("NaN")) || bytes.Contains(body, []byte("Infinity"))) && !json.Valid(body) {
		return // Python's numbers, which ComfyUI's clients know and JSON does not
	}
	if strings.Contains(u.Path, "//") || strings.HasSuffix(u.Path, "/") && u.Path != "/" {
		return // the router takes no empty parts for parameters
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	req := &http.Request{Method: method, URL: u, Header: http.Header{}, Host: "localhost"}
	h := header.Clone()
	encoded := h.Get("Content-Encoding") != ""
	if encoded {
		return // packed answers are the same ones
	}
	resp := &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: req}
	ok, errs := d.v.ValidateHttpResponse(req, resp)
	if ok {
		d.checked++
		return
	}
	for _, e := range errs {
		if e.IsPathMissingError() || e.IsOperationMissingError() {
			return
		}
		if len(body) == 0 && strings.Contains(e.Message, "content type") {
			d.checked++ // the status is described, and there is nothing more to it
			return
		}
		text := method + " " + u.Path + ": " + e.Message + ": " + e.Reason
		for _, s := range e.SchemaValidationErrors {
			text += "\n    " + s.FieldPath + ": " + s.Reason
		}
		if key := strings.Join(strings.Fields(text), " "); !d.told[key] {
			d.told[key] = true
			d.t.Errorf("the answer %d is not as /openapi.json describes it: %s\n    %.300s", status, text, body)
		}
	}
}

// close returns how many answers were as they are described.
func (d *contract) close() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.v.Release()
	return d.checked
}
