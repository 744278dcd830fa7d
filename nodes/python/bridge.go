package python

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Bounds in time on what waits for Python.
const (
	waitForClasses = 60 * time.Second // for the first imports
	waitForInfo    = 10 * time.Second // for descriptions
	freshFor       = 2 * time.Second  // how long descriptions count as those of now
	waitForFree    = 10 * time.Second // for models to be let go; a node that runs keeps its own
	waitForPrompt  = 10 * time.Second // for the prompt handlers of packs
)

// Events receives the messages of packs to clients.
type Events interface {
	// Event sends a message to a client, to all clients with client "".
	Event(event string, data any, client string)
	// Binary sends a binary message of upstream's numbers.
	Binary(number int, data []byte, client string)
}

// Bridge makes classes of what a Python host has. A Group puts them into a registry.
type Bridge struct {
	host   *pyhost.Host
	events Events
	log    *slog.Logger
	// OnlyPacks offers no classes but those of packs. The others are there for values that only the host has.
	OnlyPacks bool
	// Unload, if set, is called when a pack requests that all models be released.
	Unload func()

	mu      sync.Mutex
	changed func()
	list    []*nodes.Class // in the host's order
	core    map[string]bool
	stuck   *pyhost.Session // whose prompt handlers did not end in time
	classes map[string]*nodes.Class
	infos   *pyjson.Object
	text    string // infos as text, to see changes
	at      time.Time
	of      *pyhost.Session           // whose infos they are
	running map[string]*nodes.Context // by prompt and node

	fetching sync.Mutex
}

// New makes a bridge; the host's Notify and Started must be the bridge's.
func New(events Events, log *slog.Logger) *Bridge {
	return &Bridge{events: events, log: log, running: map[string]*nodes.Context{}, classes: map[string]*nodes.Class{}}
}

// Use sets the host. It comes before the host's start.
func (b *Bridge) Use(h *pyhost.Host) { b.host = h }

// Host is the bridge's host.
func (b *Bridge) Host() *pyhost.Host { return b.host }

// offered are the classes that the registry is to have, in the host's order.
func (b *Bridge) offered() []*nodes.Class {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.OnlyPacks {
		return b.list
	}
	return slices.DeleteFunc(slices.Clone(b.list), func(c *nodes.Class) bool { return b.core[c.Name] })
}

// Core are the names of the checkout's classes that the registry is to have, in the host's order.
func (b *Bridge) Core() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, c := range b.list {
		if b.core[c.Name] && !b.OnlyPacks {
			names = append(names, c.Name)
		}
	}
	return names
}

// prompt lets the handlers of the host's packs change a request for a job.
func (b *Bridge) prompt(ctx context.Context, request *pyjson.Object) *pyjson.Object {
	s := b.Current()
	if s == nil {
		return request
	}
	if has, _ := s.Ready().Get("prompts"); has != true {
		return request
	}
	b.mu.Lock()
	stuck := b.stuck == s
	b.mu.Unlock()
	if stuck {
		b.log.Warn("the prompt handlers of packs are left out: one has not ended, and loading the packs again is the cure")
		return request
	}
	late, cancel := context.WithTimeout(ctx, waitForPrompt)
	defer cancel()
	answer, err := s.Call(late, "prompt", pyjson.NewObject("prompt", request))
	if err != nil {
		if late.Err() != nil && ctx.Err() == nil {
			b.mu.Lock()
			b.stuck = s
			b.mu.Unlock()
		}
		b.log.Warn("the prompt handlers of packs changed nothing", "error", err)
		return request
	}
	changed := answer.Object("prompt")
	if changed == nil {
		b.log.Warn("the prompt handlers of packs changed nothing: one of them returned no dictionary")
		return request
	}
	return changed
}

// Started takes over the classes of a new life of the process.
func (b *Bridge) Started(s *pyhost.Session) {
	if err := b.fetch(context.Background(), s); err != nil {
		b.log.Error("asking Python for its node classes failed", "error", err)
		return
	}
	ready := s.Ready()
	for _, p := range listIn(ready, "packs") {
		pack, ok := p.(*pyjson.Object)
		if !ok {
			continue
		}
		if text := pack.String("error"); text != "" {
			b.log.Warn("a node pack could not be imported: "+text, "pack", pack.String("name"))
			continue
		}
		seconds, _ := pack.Get("seconds")
		b.log.Info("node pack imported", "pack", pack.String("name"), "classes", len(listIn(pack, "classes")), "seconds", seconds)
	}
}

// fetch requests all descriptions and makes classes of them.
func (b *Bridge) fetch(ctx context.Context, s *pyhost.Session) error {
	b.fetching.Lock()
	defer b.fetching.Unlock()
	b.mu.Lock()
	fresh := b.of == s && time.Since(b.at) < freshFor
	b.mu.Unlock()
	if fresh {
		return nil
	}
	answer, err := s.Call(ctx, "info", nil)
	if err != nil {
		return err
	}
	all := answer.Object("classes")
	text, err := pyjson.Marshal(all)
	if err != nil {
		return err
	}
	b.mu.Lock()
	same := b.text == string(text)
	b.at, b.of = time.Now(), s
	b.mu.Unlock()
	if same {
		return nil
	}
	for name, problem := range answer.Object("failed").All() {
		o, _ := problem.(*pyjson.Object)
		b.log.Warn("a node class of Python cannot be described: "+o.String("message"), "class", name)
	}
	classes, list, core := map[string]*nodes.Class{}, []*nodes.Class{}, map[string]bool{}
	infos := pyjson.NewObject()
	for name, v := range all.All() {
		d, ok := v.(*pyjson.Object)
		if !ok {
			continue
		}
		c, err := b.classOf(name, d)
		if err != nil {
			b.log.Warn("a node class of Python cannot be used", "class", name, "error", err)
			continue
		}
		classes[name] = c
		list = append(list, c)
		if is, _ := d.Get("core"); is == true {
			core[name] = true
		}
		infos.Set(name, d.Object("info"))
	}
	b.mu.Lock()
	b.classes, b.infos, b.text, b.list, b.core = classes, infos, string(text), list, core
	tell := b.changed
	b.mu.Unlock()
	if tell != nil {
		tell()
	}
	return nil
}

// Refresh updates the descriptions, within a bound in time.
func (b *Bridge) Refresh(ctx context.Context) {
	s := b.session(ctx)
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, waitForInfo)
	defer cancel()
	if err := b.fetch(ctx, s); err != nil && ctx.Err() == nil {
		b.log.Warn("asking Python for its node classes failed", "error", err)
	}
}

// Wait waits until the classes are there, within a bound in time.
func (b *Bridge) Wait(ctx context.Context) { b.session(ctx) }

// session waits for the process to be ready, or returns nil if it is not within the bound, which counts from the time it was last ready:
// an import that hangs then blocks no further requests.
func (b *Bridge) session(ctx context.Context) *pyhost.Session {
	ctx, cancel := context.WithTimeout(ctx, max(waitForClasses-b.host.Away(), 0))
	defer cancel()
	s, err := b.host.Session(ctx)
	if err != nil {
		return nil
	}
	return s
}

// pending explains why classes may be missing, or is "" while the process is ready.
func (b *Bridge) pending() string {
	st := b.host.Stats()
	switch {
	case st.State == "ready":
		return ""
	case st.State == "failed":
		return "The Python process of the custom nodes cannot be started: " + st.Reason + "."
	case st.Loading != "":
		return fmt.Sprintf("Custom nodes are still being imported in Python, '%s' now; try again soon.", st.Loading)
	}
	return "Custom nodes are still being imported in Python; try again soon."
}

// live returns the newest description of a class, or nil if Python does not answer in time.
func (b *Bridge) live(name string) *pyjson.Object {
	b.mu.Lock()
	if time.Since(b.at) < freshFor {
		defer b.mu.Unlock()
		return b.infos.Object(name)
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), waitForInfo)
	defer cancel()
	if state, _, _ := b.host.State(); state != "ready" {
		return nil
	}
	s, err := b.host.Session(ctx)
	if err != nil {
		return nil
	}
	answer, err := s.Call(ctx, "info", pyjson.NewObject("classes", []any{name}))
	if err != nil {
		return nil
	}
	info := answer.Object("classes").Object(name).Object("info")
	if info != nil {
		b.mu.Lock()
		if b.infos != nil {
			b.infos = b.infos.Clone()
			b.infos.Set(name, info)
		}
		b.mu.Unlock()
	}
	return info
}

// Current is the process's life of now, without waiting; nil if the process does not run.
func (b *Bridge) Current() *pyhost.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil || !b.of.Live() {
		return nil
	}
	return b.of
}

// Instead finds a class of the host, one of those too that are not offered.
func (b *Bridge) Instead(name string) (*nodes.Class, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.classes[name]
	return c, ok
}

// Free releases the models that Python holds, within a bound in time.
func (b *Bridge) Free(ctx context.Context) {
	s := b.Current()
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, waitForFree)
	defer cancel()
	if _, err := s.Call(ctx, "free", nil); err != nil {
		b.log.Warn("freeing the models in Python failed", "error", err)
	}
}

// begin registers a call for Python's messages about it, until end is called.
func (b *Bridge) begin(ctx *nodes.Context) (end func()) {
	key := ctx.PromptID + "\x00" + ctx.ID
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.running[key]
	b.running[key] = ctx
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if before == nil {
			delete(b.running, key)
			return
		}
		b.running[key] = before
	}
}

// Notify handles Python's unsolicited messages.
func (b *Bridge) Notify(_ *pyhost.Session, op string, m *pyjson.Object) {
	switch op {
	case "progress":
		b.progress(m)
	case "unload":
		if b.Unload != nil {
			b.Unload()
		}
	case "event":
		data, _ := m.Get("data")
		if b.events != nil {
			b.events.Event(m.String("event"), data, m.String("client"))
		}
	case "binary":
		if data, err := base64.StdEncoding.DecodeString(m.String("data")); err == nil && b.events != nil {
			b.events.Binary(int(integer(m, "number")), data, m.String("client"))
		}
	}
}

func (b *Bridge) progress(m *pyjson.Object) {
	b.mu.Lock()
	ctx := b.running[m.String("prompt")+"\x00"+m.String("node")]
	b.mu.Unlock()
	if ctx == nil {
		return
	}
	value, max := number(m, "value"), number(m, "max")
	var shown *nodes.Preview
	if image := m.Object("preview"); image != nil {
		if data, err := base64.StdEncoding.DecodeString(image.String("data")); err == nil {
			shown = &nodes.Preview{Format: "JPEG", Data: data}
			if image.String("type") == "png" {
				shown.Format = "PNG"
			}
		}
	}
	if bar, _ := m.Get("bar"); bar == true {
		ctx.ProgressPreview(value, max, shown)
		return
	}
	ctx.ShowProgress(value, max, shown)
}

func number(o *pyjson.Object, key string) float64 {
	switch v, _ := o.Get(key); v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}
