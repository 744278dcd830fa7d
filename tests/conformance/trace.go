package conformance

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"comfygo/internal/pyjson"
)

// conversation is a trace that is being replayed.
type conversation struct {
	run     *Run
	clients map[string]*listener
	at      map[string]int
	order   []opened
}

type opened struct {
	name string
	l    *listener
}

// Converse replays a trace and returns the differences.
func (r *Run) Converse(t Trace) []string {
	c := &conversation{run: r, clients: map[string]*listener{}, at: map[string]int{}}
	var failure error
	for _, step := range objects(t.data, "steps") {
		if failure = c.step(step); failure != nil {
			failure = fmt.Errorf("%s: %w", step.String("op"), failure)
			break
		}
	}
	got := c.end()
	if failure != nil {
		return []string{failure.Error()}
	}
	return r.compareTrace(t.data, got)
}

func (c *conversation) step(s *pyjson.Object) error {
	name := s.String("client")
	l := c.clients[name]
	switch op := s.String("op"); op {
	case "connect":
		return c.connect(name, s)
	case "http":
		return c.request(s)
	case "sleep":
		v, _ := s.Get("seconds")
		return c.run.step(pyjson.NewObject("sleep", v))
	case "wait_idle", "wait_prompt", "wait_running":
		v, _ := s.Get("prompt")
		err := c.run.step(pyjson.NewObject(op, v))
		if op == "wait_running" && err == nil {
			c.begun(v)
		}
		return err
	case "send", "until", "close":
		if l == nil {
			return fmt.Errorf("client %s is not connected", name)
		}
		return c.act(op, name, l, s)
	}
	return fmt.Errorf("the step %s is unknown", short(s))
}

// begun waits until a client is notified of the job's first node: between the moment in which a job counts as running
// and that message, the next step of the conversation could come in between, although it did not in the recording. A
// client that gets no message of the job is not waited for long.
func (c *conversation) begun(id any) {
	const patience = 300 * time.Millisecond
	match := pyjson.NewObject("prompt_id", c.run.vars.fill(id))
	for _, l := range c.clients {
		if _, err := l.until("executing", match, patience, 0); err == nil {
			return
		}
	}
}

func (c *conversation) act(op, name string, l *listener, s *pyjson.Object) (err error) {
	switch op {
	case "send":
		if v, given := s.Get("json"); given {
			text, err := pyjson.Marshal(c.run.vars.fill(v))
			if err != nil {
				return err
			}
			return l.send(string(text))
		}
		return l.send(s.String("text"))
	case "close":
		l.close()
		time.Sleep(100 * time.Millisecond)
		return nil
	}
	limit := callTimeout
	if v, given := s.Get("timeout"); given {
		f, _ := float(v)
		limit = time.Duration(f * float64(time.Second))
	}
	match, _ := c.run.vars.fill(s.Object("match")).(*pyjson.Object)
	c.at[name], err = l.until(s.String("type"), match, limit, c.at[name])
	return err
}

func (c *conversation) connect(name string, s *pyjson.Object) error {
	path := "/ws"
	if s.Has("path") {
		path = s.String("path")
	}
	if v, _ := s.Get("client_id"); v != nil {
		path += "?clientId=" + url.QueryEscape(c.run.vars.text(pyjson.Str(v)))
	}
	l, status, err := c.run.dial(path, s.Object("headers"))
	if err != nil {
		return err
	}
	want := int64(101)
	if v, given := s.Get("status"); given {
		want, _ = v.(int64)
	}
	if l != nil {
		c.clients[name], c.at[name] = l, 0
	}
	c.order = append(c.order, opened{name, l})
	if int64(status) != want {
		return fmt.Errorf("status %d, want %d", status, want)
	}
	if l == nil || s.Has("no_wait") {
		return nil
	}
	if _, err := l.until("status", nil, callTimeout, 0); err != nil {
		return err
	}
	if save := s.String("save_sid"); save != "" {
		l.mu.Lock()
		c.run.vars[save] = l.messages[0].Object("data").String("sid")
		l.mu.Unlock()
	}
	return nil
}

func (c *conversation) request(s *pyjson.Object) error {
	a, err := c.run.call(s)
	if err != nil {
		return err
	}
	body := a.describe("")
	if err := c.run.save(s.Object("save"), body); err != nil {
		return err
	}
	want := int64(200)
	if v, given := s.Get("status"); given {
		want, _ = v.(int64)
	}
	if int64(a.status) != want {
		return fmt.Errorf("%s %s: status %d, want %d: %s", s.String("method"), s.String("path"), a.status, want, short(body))
	}
	return nil
}

// end closes all connections, a moment after the last step, and returns what each client got. A client that connected
// several times has several sections.
func (c *conversation) end() map[string][]any {
	time.Sleep(150 * time.Millisecond)
	got := map[string][]any{}
	for _, o := range c.order {
		var messages []any
		if o.l != nil {
			for _, m := range o.l.close() {
				messages = append(messages, m)
			}
		}
		if before, again := got[o.name]; again {
			n := 1 + len(slices.Collect(sections(before)))
			messages = append(append(before, pyjson.NewObject("reconnect", int64(n))), messages...)
		}
		got[o.name] = messages
	}
	return got
}

func sections(messages []any) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		for _, m := range messages {
			if m.(*pyjson.Object).Has("reconnect") && !yield(m) { //nolint:errcheck // messages are objects
				return
			}
		}
	}
}

var traceUnordered = []string{
	"*.nodes", "*.data.nodes", "data.nodes", "*.data.executed", "*.data.current_outputs", "data.executed", "data.current_outputs",
}

func (r *Run) compareTrace(data *pyjson.Object, got map[string][]any) (found []string) {
	options := data.Object("compare")
	how := readRules(options)
	how.unordered = append(how.unordered, traceUnordered...)
	want, _ := r.vars.fill(data.Object("trace")).(*pyjson.Object)
	for client, v := range want.All() {
		list, _ := v.([]any)
		w, g := filtered(list, options), filtered(got[client], options)
		if options.String("mode") == "set" {
			c := &comparison{rules: how}
			c.messages(w, slices.Clone(g))
			found = append(found, c.found...)
			continue
		}
		found = append(found, compareMessages(client, w, g, how)...)
	}
	return found
}

func compareMessages(client string, want, got []any, how rules) (found []string) {
	for i := range max(len(want), len(got)) {
		at := fmt.Sprintf("%s[%d]", client, i)
		switch {
		case i >= len(want):
			found = append(found, fmt.Sprintf("%s: too much: %s", at, short(got[i])))
		case i >= len(got):
			found = append(found, fmt.Sprintf("%s: missing: %s", at, short(want[i])))
		default:
			c := &comparison{rules: how}
			c.values(want[i], got[i], "", "")
			for _, f := range c.found {
				found = append(found, at+" "+kindOf(want[i])+" "+f)
			}
			if len(c.found) > 0 && kindOf(want[i]) != kindOf(got[i]) {
				return append(found, fmt.Sprintf("%s: want the messages %s", client, kinds(want)), fmt.Sprintf("%s: have the messages %s", client, kinds(got)))
			}
		}
	}
	return found
}

func kindOf(m any) string {
	o, _ := m.(*pyjson.Object)
	if o.Has("type") {
		return o.String("type")
	}
	return "binary"
}

func kinds(messages []any) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = kindOf(m)
	}
	return out
}

// filtered leaves out what a trace does not look at, and of some kinds all but one between two others.
func filtered(messages []any, options *pyjson.Object) []any {
	v, _ := options.Get("ignore_types")
	ignored := texts(v)
	v, _ = options.Get("collapse")
	collapsed := texts(v)
	var out []any
	seen := map[string]bool{}
	for _, m := range messages {
		kind := kindOf(m)
		if slices.Contains(ignored, kind) {
			continue
		}
		if slices.Contains(collapsed, kind) {
			if seen[kind] {
				continue
			}
			seen[kind] = true
		} else {
			clear(seen)
		}
		out = append(out, m)
	}
	return out
}
