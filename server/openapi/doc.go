// Package openapi describes everything that the server answers, as an OpenAPI 3.1 document and as a page for people.
//
// Each resource has a table in a file of its own: a line for every method of a path, with its parameters, its body and all
// its answers. The document is made of those tables and of the server's list of routes; a test walks the
// routes and the handlers' code and reports what a table is missing. The package must not know how a request is answered.
package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Version is the version of the specification.
const Version = "3.1.0"

// in is the location of a parameter.
type in string

const (
	inQuery  in = "query"
	inHeader in = "header"
	inPath   in = "path"
)

// param is a parameter; its type is written as shapes are.
type param struct {
	in       in
	name     string
	shape    string
	required bool
	what     string
}

func query(name, shape, what string) param  { return param{inQuery, name, shape, false, what} }
func needed(name, shape, what string) param { return param{inQuery, name, shape, true, what} }
func header(name, what string) param        { return param{inHeader, name, "string", false, what} }

// body is the body of a request.
type body struct {
	contentType, shape, what string
	optional                 bool
}

func takes(shape, what string) *body { return &body{contentType: jsonType, shape: shape, what: what} }

func mayTake(shape, what string) *body {
	return &body{contentType: jsonType, shape: shape, what: what, optional: true}
}

func form(shape, what string) *body {
	return &body{contentType: "multipart/form-data", shape: shape, what: what}
}

const (
	jsonType = "application/json"
	textType = "text/plain"
	anyType  = "*/*"
)

// answer is one status that a method answers with. codes identify its errors for programs.
type answer struct {
	status             int
	contentType, shape string
	what               string
	codes              []string
}

func ok(shape, what string) answer {
	return answer{status: http.StatusOK, contentType: jsonType, shape: shape, what: what}
}

func with(status int, shape, what string) answer {
	return answer{status: status, contentType: jsonType, shape: shape, what: what}
}

func file(status int, contentType, what string) answer {
	return answer{status: status, contentType: contentType, shape: "binary", what: what}
}

func text(status int, what string) answer {
	return answer{status: status, contentType: textType, shape: "string", what: what}
}
func empty(status int, what string) answer { return answer{status: status, what: what} }

// op is one method of a path, which is written as in the router.
type op struct {
	method, path  string
	summary, more string
	params        []param
	body          *body
	answers       []answer
	// public needs no key even with authentication.
	public bool
}

// group is a resource.
type group struct {
	name, what string
	ops        []op
}

// groups are all tables, in the order in which people read them.
var groups = []group{
	promptGroup, jobsGroup, v2Assets, v2Jobs, nodesGroup, filesGroup, modelsGroup, queueGroup, assetsGroup, userGroup,
	accessGroup, serverGroup, pagesGroup,
}

// Served is a route as in the router: "GET", "/view/:name".
type Served struct{ Method, Path string }

// Info is the document's general information about the server.
type Info struct {
	Version string // of the program
	// Guarded is set when the server requires authentication.
	Guarded bool
}

// find returns the table's line for a served route, which may be the twin below /api of the one in the table.
func find(r Served) (op, string, bool) {
	for _, path := range []string{r.Path, strings.TrimPrefix(r.Path, "/api")} {
		for _, g := range groups {
			for _, o := range g.ops {
				if o.method == r.Method && o.path == path {
					return o, g.name, true
				}
			}
		}
	}
	return op{}, "", false
}

// Missing lists the served routes that no table has, and the lines of tables that no route serves. HEAD goes with GET.
func Missing(routes []Served) (undescribed, unserved []string) {
	served := map[Served]bool{}
	for _, r := range routes {
		served[r] = true
		if r.Method == http.MethodHead && slices.Contains(routes, Served{http.MethodGet, r.Path}) {
			continue
		}
		if _, _, ok := find(r); !ok {
			undescribed = append(undescribed, r.Method+" "+r.Path)
		}
	}
	for _, g := range groups {
		for _, o := range g.ops {
			if !served[Served{o.method, o.path}] && o.path != "/" {
				unserved = append(unserved, o.method+" "+o.path)
			}
		}
	}
	return undescribed, unserved
}

// Document is the document for the served routes, as JSON.
func Document(info Info, routes []Served) ([]byte, error) {
	paths := map[string]map[string]any{}
	for _, r := range routes {
		o, tag, ok := find(r)
		if !ok {
			continue
		}
		path := braces(r.Path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		m, err := o.operation(r, tag, info.Guarded)
		if err != nil {
			return nil, fmt.Errorf("describing %s %s: %w", r.Method, r.Path, err)
		}
		paths[path][strings.ToLower(r.Method)] = m
	}
	components, err := schemas()
	if err != nil {
		return nil, err
	}
	var tags []any
	for _, g := range groups {
		tags = append(tags, map[string]any{"name": g.name, "description": g.what})
	}
	doc := map[string]any{
		"openapi": Version,
		"info": map[string]any{
			"title": "comfygo", "version": info.Version, "license": map[string]any{"name": "GPL-3.0"},
			"description": "The HTTP API of comfygo: ComfyUI's own, its asset API, the Comfy API v2, and what comfygo has beyond them. " +
				"Paths that stand below /api, too, are listed twice; x-twin names the shorter one. The WebSocket's messages are described at /ws.",
		},
		"servers": []any{map[string]any{"url": "/"}},
		"tags":    tags, "paths": paths,
		"components": map[string]any{"schemas": components, "securitySchemes": securitySchemes},
	}
	return json.MarshalIndent(doc, "", " ")
}

var securitySchemes = map[string]any{
	"bearer":  map[string]any{"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY, a key or a token"},
	"key":     map[string]any{"type": "apiKey", "in": "header", "name": "X-API-Key"},
	"session": map[string]any{"type": "apiKey", "in": "cookie", "name": "comfygo_session", "description": "the cookie of /login"},
}

// braces is a path of the router as OpenAPI writes it.
func braces(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		switch {
		case strings.HasPrefix(p, ":"):
			parts[i] = "{" + p[1:] + "}"
		case p == "*":
			parts[i] = "{path}"
		}
	}
	return strings.Join(parts, "/")
}

// Description is a table's description of one method of a path.
type Description struct {
	Query, Headers, Codes []string
	Statuses              []int
}

// Described returns the tables' description of a method of a path, in the router's form.
func Described(method, path string) (Description, bool) {
	o, _, ok := find(Served{method, path})
	if !ok {
		return Description{}, false
	}
	var d Description
	for _, p := range o.params {
		switch p.in {
		case inQuery:
			d.Query = append(d.Query, p.name)
		case inHeader:
			d.Headers = append(d.Headers, p.name)
		}
	}
	for _, a := range append(append([]answer{}, o.answers...), o.common()...) {
		d.Statuses = append(d.Statuses, a.status)
		d.Codes = append(d.Codes, a.codes...)
	}
	return d, true
}
