package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"comfygo/internal/pyjson"
)

// mayNotAppear are headers that the program may send only where the real server does.
var mayNotAppear = []string{
	"cache-control", "content-disposition", "vary", "content-security-policy", "access-control-allow-origin", "content-encoding", "location", "pragma", "expires",
}

// Run is one run of the recordings of a variant against a server.
type Run struct {
	// Watch, when set, is shown every request and its answer.
	Watch          func(method, target string, status int, header http.Header, body []byte)
	host, fixtures string
	vars           vars
}

// NewRun makes a run against the server at host (address:port), which was started freshly in the folder base. fixtures
// is the folder that Unpack has filled.
func NewRun(host, base, fixtures string) *Run {
	_, port, _ := strings.Cut(host, ":")
	return &Run{host: host, fixtures: fixtures, vars: vars{"PORT": port, "HOST": host, "BASE": base}}
}

// Exchange replays a case and returns the differences.
func (r *Run) Exchange(c Case) []string {
	for _, step := range objects(c.data, "before") {
		if err := r.step(step); err != nil {
			return []string{"before: " + err.Error()}
		}
	}
	a, err := r.call(c.data.Object("request"))
	if err != nil {
		return []string{err.Error()}
	}
	body := a.describe(c.data.String("body_kind"))
	if body.String("kind") == "json" {
		if err := r.save(c.data.Object("save"), body); err != nil {
			return []string{err.Error()}
		}
	}
	for name, header := range c.data.Object("save_header").All() {
		r.vars[name] = a.headers[pyjson.Str(header)]
	}
	found := r.compare(c.data, a, body)
	for _, step := range objects(c.data, "after") {
		if len(found) > 0 && step.Has("wait_prompt") {
			continue // it may not even run
		}
		if err := r.step(step); err != nil {
			return append(found, "after: "+err.Error())
		}
	}
	return found
}

// save keeps parts of an answer for later requests.
func (r *Run) save(wanted, body *pyjson.Object) error {
	value, _ := body.Get("value")
	for name, path := range wanted.All() {
		v, ok := walk(value, pyjson.Str(path))
		if !ok {
			return fmt.Errorf("the answer has no %s: %s", path, short(value))
		}
		r.vars[name] = v
	}
	return nil
}

// walk follows a dotted path into a value.
func walk(v any, path string) (any, bool) {
	for part := range strings.SplitSeq(path, ".") {
		if part == "" {
			continue
		}
		switch c := v.(type) {
		case *pyjson.Object:
			e, ok := c.Get(part)
			if !ok {
				return nil, false
			}
			v = e
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(c) {
				return nil, false
			}
			v = c[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func (r *Run) compare(data *pyjson.Object, a *answer, body *pyjson.Object) []string {
	want, _ := r.vars.fill(data.Object("response")).(*pyjson.Object)
	v, _ := want.Get("status")
	status, _ := v.(int64)
	if status == 500 && a.status >= 400 && a.status < 500 {
		// The real server fails on this input; a clear refusal is better, and equal to it for every client.
		if body.String("kind") == "json" {
			return nil
		}
		return []string{fmt.Sprintf("status %d without a JSON error", a.status)}
	}
	var found []string
	if int(status) != a.status {
		found = append(found, fmt.Sprintf("status %d, want %d", a.status, status))
	}
	options := data.Object("compare")
	found = append(found, compareHeaders(want.Object("headers"), a.headers, options)...)
	wantBody := want.Object("body")
	switch kind := wantBody.String("kind"); {
	case kind == "ignore":
		return found
	case kind != body.String("kind"):
		return append(found, fmt.Sprintf("the body is %s, want %s", short(body), kind))
	}
	for k, w := range wantBody.All() {
		if k != "kind" {
			c := &comparison{rules: readRules(options)}
			got, _ := body.Get(k)
			c.values(w, got, "", k)
			found = append(found, c.found...)
		}
	}
	return found
}

func compareHeaders(want *pyjson.Object, got map[string]string, options *pyjson.Object) (found []string) {
	v, _ := options.Get("ignore_headers")
	skip := texts(v)
	strictLength, _ := options.Get("content_length")
	for k, v := range want.All() {
		if slices.Contains(skip, k) || k == "content-length" && strictLength != true {
			continue
		}
		have, given := got[k]
		if w := pyjson.Str(v); !given {
			found = append(found, fmt.Sprintf("header %s is missing, want %q", k, w))
		} else if !sameHeader(k, w, have) {
			found = append(found, fmt.Sprintf("header %s: %q, want %q", k, have, w))
		}
	}
	for _, k := range mayNotAppear {
		if v, given := got[k]; given && !want.Has(k) && !slices.Contains(skip, k) {
			found = append(found, fmt.Sprintf("header %s may not be there: %q", k, v))
		}
	}
	return found
}

func sameHeader(name, want, got string) bool {
	switch {
	case isToken(want):
		return tokenFits(want, got)
	case name == "content-type":
		plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), " ", "") }
		return plain(want) == plain(got)
	case name == "allow":
		set := func(s string) []string {
			words := strings.Split(strings.ReplaceAll(s, " ", ""), ",")
			slices.Sort(words)
			return words
		}
		return slices.Equal(set(want), set(got))
	}
	return want == got
}

// step does what stands between two exchanges.
func (r *Run) step(s *pyjson.Object) error {
	limit := callTimeout
	if v, given := s.Get("timeout"); given {
		f, _ := float(v)
		limit = time.Duration(f * float64(time.Second))
	}
	switch {
	case s.Has("sleep"):
		v, _ := s.Get("sleep")
		f, _ := float(v)
		time.Sleep(time.Duration(f * float64(time.Second)))
		return nil
	case s.Has("wait_prompt"):
		id := r.vars.text(s.String("wait_prompt"))
		return r.poll(limit, "/history/"+id, func(v any) bool { o, _ := v.(*pyjson.Object); return o.Len() > 0 })
	case s.Has("wait_running"):
		id := r.vars.text(s.String("wait_running"))
		return r.poll(limit, "/queue", func(v any) bool { return runs(v, id) })
	case s.Has("wait_idle"):
		return r.poll(limit, "/prompt", func(v any) bool { n, _ := walk(v, "exec_info.queue_remaining"); return n == int64(0) })
	case s.Has("poll"):
		want, _ := s.Get("value")
		return r.poll(limit, s.String("poll"), func(v any) bool { got, ok := walk(v, s.String("field")); return ok && sameOrEqual(want, got) })
	}
	return fmt.Errorf("the step %s is unknown", short(s))
}

func sameOrEqual(want, got any) bool { return rules{}.same(want, got, "") }

func runs(queue any, id string) bool {
	v, _ := walk(queue, "queue_running")
	list, _ := v.([]any)
	return slices.ContainsFunc(list, func(job any) bool { got, _ := walk(job, "1"); return got == id })
}

// poll asks until the answer is right.
func (r *Run) poll(limit time.Duration, path string, right func(any) bool) error {
	request := pyjson.NewObject("method", "GET", "path", path)
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		a, err := r.call(request)
		if err != nil {
			return err
		}
		if v, err := pyjson.Unmarshal(a.data); err == nil && a.status == 200 && right(v) {
			return nil
		}
	}
	return fmt.Errorf("%s never became what it should", path)
}
