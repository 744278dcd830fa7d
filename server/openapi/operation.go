package openapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// operation is a line of a table in the form of the document.
func (o op) operation(r Served, tag string, guarded bool) (map[string]any, error) {
	m := map[string]any{"tags": []string{tag}, "summary": o.summary, "operationId": operationID(r)}
	if o.more != "" {
		m["description"] = o.more
	}
	if r.Path != o.path {
		m["x-twin"] = braces(o.path)
	}
	params, err := o.parameters()
	if err != nil {
		return nil, err
	}
	if len(params) > 0 {
		m["parameters"] = params
	}
	if o.body != nil {
		s, err := shape(o.body.shape)
		if err != nil {
			return nil, err
		}
		b := map[string]any{"required": !o.body.optional, "content": map[string]any{o.body.contentType: map[string]any{"schema": s}}}
		if o.body.what != "" {
			b["description"] = o.body.what
		}
		m["requestBody"] = b
	}
	if m["responses"], err = o.responses(r); err != nil {
		return nil, err
	}
	if guarded && !o.public {
		m["security"] = []any{map[string]any{"bearer": []string{}}, map[string]any{"key": []string{}}, map[string]any{"session": []string{}}}
	}
	return m, nil
}

func operationID(r Served) string {
	clean := strings.NewReplacer("/", "_", ":", "", "*", "path", "-", "_", ".", "_").Replace(strings.Trim(r.Path, "/"))
	if clean == "" {
		clean = "root"
	}
	return strings.ToLower(r.Method) + "_" + clean
}

// parameters are the parameters of a line; those of the path that it does not describe are texts.
func (o op) parameters() (list []any, err error) {
	described := map[string]bool{}
	for _, p := range o.params {
		s, err := shape(p.shape)
		if err != nil {
			return nil, err
		}
		described[string(p.in)+p.name] = true
		list = append(list, map[string]any{"name": p.name, "in": string(p.in), "required": p.required, "description": p.what, "schema": s})
	}
	for part := range strings.SplitSeq(o.path, "/") {
		name, is := strings.CutPrefix(part, ":")
		if part == "*" {
			name, is = "path", true
		}
		if is && !described[string(inPath)+name] {
			list = append(list, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	return list, nil
}

// common are answers that do not depend on the handler: what stands before it, and what happens when it breaks down.
func (o op) common() []answer {
	shape, internal := "PromptError", text(http.StatusInternalServerError, "the server got itself in trouble")
	denied := text(http.StatusForbidden, "the request comes from another site's page")
	if isV2(o.path) {
		shape, internal = "V2Error", with(http.StatusInternalServerError, "V2Error", "the server got itself in trouble")
		internal.codes = []string{"upstream_error"}
	}
	list := []answer{internal, denied}
	if strings.HasPrefix(o.path, "/api/auth/") || strings.HasPrefix(o.path, "/api/workflows") {
		list = append(list, storeBody, storeMissing, storeTaken)
	}
	if o.public {
		return list
	}
	add := func(status int, code, what string) {
		list = append(list, answer{status: status, contentType: jsonType, shape: shape, what: what, codes: []string{code}})
	}
	add(http.StatusUnauthorized, "unauthorized", "no valid key was shown")
	add(http.StatusForbidden, "forbidden", "the role does not allow it")
	add(http.StatusTooManyRequests, "rate_limited", "too many requests; Retry-After says when to come again")
	return list
}

func isV2(path string) bool {
	return strings.HasPrefix(path, "/api/v2/assets") || strings.HasPrefix(path, "/api/v2/jobs")
}

// responses are all answers of a line, by status.
func (o op) responses(r Served) (map[string]any, error) {
	out := map[string]any{}
	for _, a := range append(append([]answer{}, o.answers...), o.common()...) {
		key := strconv.Itoa(a.status)
		have, _ := out[key].(map[string]any)
		if have == nil {
			have = map[string]any{"description": a.what}
			if have["description"] == "" {
				have["description"] = http.StatusText(a.status)
			}
			out[key] = have
		}
		if len(a.codes) > 0 {
			codes, _ := have["x-error-codes"].([]string)
			for _, c := range a.codes {
				if !contains(codes, c) {
					codes = append(codes, c)
				}
			}
			have["x-error-codes"] = codes
		}
		if a.contentType == "" || r.Method == http.MethodHead {
			continue
		}
		s, err := shape(a.shape)
		if err != nil {
			return nil, fmt.Errorf("status %d: %w", a.status, err)
		}
		content, _ := have["content"].(map[string]any)
		if content == nil {
			content = map[string]any{}
			have["content"] = content
		}
		addContent(content, a.contentType, s)
	}
	return out, nil
}

// addContent adds a shape of a media type; of several, one has to fit.
func addContent(content map[string]any, contentType string, s map[string]any) {
	if contentType == anyType {
		s = map[string]any{} // files of all kinds, JSON too
	}
	have, there := content[contentType].(map[string]any)
	if !there {
		content[contentType] = map[string]any{"schema": s}
		return
	}
	before, _ := have["schema"].(map[string]any)
	if fmt.Sprint(before) == fmt.Sprint(s) {
		return
	}
	list, is := before["anyOf"].([]any)
	if !is {
		list = []any{before}
	}
	for _, one := range list {
		if fmt.Sprint(one) == fmt.Sprint(s) {
			return
		}
	}
	have["schema"] = map[string]any{"anyOf": append(list, any(s))}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
