package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"comfygo/server/openapi"
)

// served are the routes of a server.
func served(r *rig) (list []openapi.Served) {
	for _, text := range r.server.Routes() {
		method, path, _ := strings.Cut(text, " ")
		list = append(list, openapi.Served{Method: method, Path: path})
	}
	return list
}

// TestOpenAPIRoutes: every route of the router is described, and nothing else.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	undescribed, unserved := openapi.Missing(served(r))
	for _, route := range undescribed {
		t.Errorf("%s is in no table of server/openapi: add a line with its parameters, statuses and error codes", route)
	}
	for _, route := range unserved {
		if strings.Contains(route, "/api/auth/") || strings.Contains(route, "/api/workflows") || strings.Contains(route, "/manage") {
			continue // there with a key store only, see TestOpenAPIStoreRoutes
		}
		t.Errorf("%s is in a table of server/openapi, and the router does not have it", route)
	}
}

// TestOpenAPIStoreRoutes: so are those that are there with a key store only.
func TestOpenAPIStoreRoutes(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, nil)
	undescribed, unserved := openapi.Missing(served(a.rig))
	if len(undescribed) > 0 || len(unserved) > 0 {
		t.Errorf("in no table of server/openapi: %v; in a table, and not served: %v", undescribed, unserved)
	}
	if b := a.as("ann", "GET", "/openapi.json", ""); b.status != http.StatusOK || !strings.Contains(b.body, `"security"`) {
		t.Errorf("the document of a server that asks for keys: %d", b.status)
	}
}

// TestOpenAPIFacts: what the handlers' code says of parameters, statuses and error codes is described.
func TestOpenAPIFacts(t *testing.T) {
	t.Parallel()
	var problems []string
	s := readSource(t)
	for _, row := range s.tables() {
		d, ok := openapi.Described(row.method, row.path)
		if !ok {
			continue // TestOpenAPIRoutes says so
		}
		f := s.of(row.handler)
		at := fmt.Sprintf("%s %s (%s)", row.method, row.path, row.handler.Name.Name)
		for _, name := range keys(f.query) {
			if !slices.Contains(d.Query, name) {
				problems = append(problems, at+": the query parameter "+name)
			}
		}
		for _, name := range keys(f.header) {
			if !slices.Contains(d.Headers, name) && !slices.Contains(unimportant, name) {
				problems = append(problems, at+": the header "+name)
			}
		}
		for _, status := range keys(f.statuses) {
			if !slices.Contains(d.Statuses, status) {
				problems = append(problems, fmt.Sprintf("%s: the status %d", at, status))
			}
		}
		for _, code := range keys(f.codes) {
			if !slices.Contains(d.Codes, code) {
				problems = append(problems, at+": the error code "+code)
			}
		}
	}
	slices.Sort(problems)
	for _, p := range slices.Compact(problems) {
		t.Errorf("server/openapi is missing, of %s", p)
	}
}

// unimportant are headers that every client may send and that no description lists.
var unimportant = []string{"Content-Type", "Origin", "Host", "Accept-Encoding"}

func TestOpenAPIServed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	a := r.do("GET", "/openapi.json", "")
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || !strings.Contains(a.body, `"openapi": "3.1.0"`) {
		t.Fatalf("the document: %d %s", a.status, a.header.Get("Content-Type"))
	}
	doc, err := libopenapi.NewDocument([]byte(a.body))
	if err != nil {
		t.Fatalf("the document cannot be read: %v", err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatalf("the document cannot be used: %v", errs)
	}
	defer v.Release()
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("the document is no OpenAPI 3.1: %s: %s", p.Message, p.Reason)
			for _, s := range p.SchemaValidationErrors {
				t.Errorf("    %s: %s", s.FieldPath, s.Reason)
			}
		}
	}
	if b := r.do("GET", "/openapi.json", "", "If-None-Match", a.header.Get("Etag")); b.status != http.StatusNotModified {
		t.Errorf("the document again: %d", b.status)
	}
	page := r.do("GET", "/docs/api", "")
	if page.status != http.StatusOK || !strings.Contains(page.body, "/api/v2/jobs/{id}/events") || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page: %d %s", page.status, page.header.Get("Content-Security-Policy"))
	}
	for _, word := range []string{"<script", "http://", "https://"} {
		if strings.Contains(page.body, word) {
			t.Errorf("the page needs something from outside: it has %s", word)
		}
	}
}
