package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"comfygo/cli"
	"comfygo/device"
	"comfygo/engine/sampling"
	"comfygo/folders"
	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/python"
	"comfygo/server"
	"comfygo/server/packs"
)

// pythonSide are the Python hosts of a program, with what connects them.
type pythonSide struct {
	cfg      cli.Config
	m        machine
	dirs     *folders.Folders
	registry *nodes.Registry
	log      *slog.Logger
	group    *python.Group
	events   *packEvents
	routes   packs.PythonRoutes
	unload   func()
	tell     atomic.Pointer[func()] // called when classes have come, gone or changed; may be nil

	unloading atomic.Bool
	unloaders sync.WaitGroup // goroutines of unloads
	changing  sync.Mutex     // one change of the hosts at a time
	mu        sync.Mutex
	hosts     []*pythonHost
	asked     map[string]bool // packs that are to be loaded again; "" for all
	closed    bool
}

// pythonHost is one process: of all packs, of the checkout's classes, or of one pack.
type pythonHost struct {
	name   string // the pack; "" for a host of all, or of the checkout
	bridge *python.Bridge
}

func (h *pythonHost) host() *pyhost.Host { return h.bridge.Host() }

// startPython starts the hosts that are needed, or returns nil if Python is disabled. What does not run is reported once. unload releases
// the engine's models when a pack requests it.
func startPython(cfg cli.Config, m machine, dirs *folders.Folders, registry *nodes.Registry, unload func(), log *slog.Logger) *pythonSide {
	if cfg.Python == noPython {
		return nil
	}
	p := &pythonSide{cfg: cfg, m: m, dirs: dirs, registry: registry, log: log, events: &packEvents{}, unload: unload, group: python.NewGroup(registry, log), asked: map[string]bool{}}
	p.routes.Sessions = p.group.Sessions
	p.group.Changed = p.changed
	if err := p.arrange(nil); err != nil {
		log.Warn("node packs and core classes in Python are not loaded: " + err.Error())
	}
	return p
}

// wantedHosts are the names of the hosts that a plan needs, and whether the first is that of the checkout's classes.
func wantedHosts(plan pythonPlan, isolate bool) []string {
	if !plan.wanted() {
		return nil
	}
	if !isolate {
		return []string{""}
	}
	var names []string
	if plan.core {
		names = append(names, "")
	}
	return append(names, plan.packs...)
}

// arrange adapts the hosts to the folders: new ones start, those of removed packs end, and those in again are reloaded.
func (p *pythonSide) arrange(again map[string]bool) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	plan, err := planPython(p.cfg, p.dirs)
	if err != nil {
		return fmt.Errorf("%w (node packs: %d)", err, len(plan.packs))
	}
	var as *pyhost.User
	if p.cfg.HostUser != "" && plan.wanted() {
		if as, err = pyhost.FindUser(p.cfg.HostUser); err != nil {
			return err
		}
	}
	p.mu.Lock()
	old := p.hosts
	p.mu.Unlock()
	var now []*pythonHost
	var fresh []*pyhost.Host
	for _, name := range wantedHosts(plan, p.cfg.Isolate) {
		if at := slices.IndexFunc(old, func(h *pythonHost) bool { return h.name == name }); at >= 0 {
			now = append(now, old[at])
			if again[""] || again[name] || !p.cfg.Isolate && len(again) > 0 {
				old[at].host().Reload()
			}
			continue
		}
		h := p.newHost(plan, name, as)
		now, fresh = append(now, h), append(fresh, h.host())
	}
	bridges := make([]*python.Bridge, len(now))
	for i, h := range now {
		bridges[i] = h.bridge
	}
	p.mu.Lock()
	p.hosts = now
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil
	}
	p.group.Set(bridges)
	for _, h := range old {
		if !slices.Contains(now, h) {
			err = errors.Join(err, h.host().Close())
		}
	}
	for _, h := range fresh {
		err = errors.Join(err, h.Start())
	}
	if len(fresh) > 0 {
		p.log.Info("loading node classes in Python", "python", plan.interpreter, "comfyui", plan.checkout, "packs", len(plan.packs), "processes", len(now))
	}
	return err
}

// newHost makes a host without starting it.
func (p *pythonSide) newHost(plan pythonPlan, name string, as *pyhost.User) *pythonHost {
	h := &pythonHost{name: name, bridge: python.New(p.events, p.log)}
	h.bridge.OnlyPacks, h.bridge.Unload = p.cfg.Isolate && name != "", p.unloads
	h.bridge.Use(pyhost.New(pyhost.Config{
		Python: plan.interpreter, Log: p.log, Notify: h.bridge.Notify, Started: h.bridge.Started, Name: name,
		LoadTimeout: seconds(p.cfg.LoadTimeout), MemoryLimit: hostMemory(p.cfg), User: as,
		Hello: func(skip []string, http string) *pyjson.Object {
			now, err := planPython(p.cfg, p.dirs) // of this moment: packs come and go
			if err != nil {
				now = plan
			}
			var only []string
			if p.cfg.Isolate {
				only = []string{}
				if name != "" {
					only, now.core = append(only, name), false
				}
			}
			hello := helloPython(p.cfg, p.m, p.dirs, now, only, skip, http)
			if now.checkout == "" {
				hello.Set("natives", describeNatives(p.registry, p.dirs))
			}
			return hello
		},
	}))
	return h
}

func (p *pythonSide) all() []*pythonHost {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts
}

// packEvents passes on the messages of packs to clients, once there is a server.
type packEvents struct {
	server atomic.Pointer[server.PackMessages]
}

// Event implements python.Events.
func (e *packEvents) Event(event string, data any, client string) {
	if s := e.server.Load(); s != nil {
		(*s).SendOfPack(event, data, client)
	}
}

// Binary implements python.Events.
func (e *packEvents) Binary(number int, data []byte, client string) {
	if s := e.server.Load(); s != nil {
		(*s).SendBinaryOfPack(number, data, client)
	}
}

// hostMemory returns the number of bytes that a Python process may use: that of the flag, else nearly all memory, so that a pack that
// leaks ends before the system ends something else.
func hostMemory(cfg cli.Config) int64 {
	if cfg.HostMemory > 0 {
		return int64(cfg.HostMemory * gib)
	}
	const most = 0.95
	return int64(most * float64(device.TotalMemory()))
}

// helloPython returns the message that names a host's packs and folders. only lists the packs of a host that does not run all; nil means
// all.
func helloPython(cfg cli.Config, m machine, dirs *folders.Folders, plan pythonPlan, only []string, skip []string, http string) *pyjson.Object {
	models := pyjson.NewObject()
	for _, kind := range dirs.Kinds() {
		models.Set(kind, dirs.Roots(kind))
	}
	arguments := []string{"--base-directory", dirs.Base(), "--front-end-root", filepath.Dir(http), "--database-url", "sqlite:///:memory:"}
	if !m.cuda() {
		arguments = append(arguments, "--cpu")
	}
	if cfg.DisableAPINodes {
		arguments = append(arguments, "--disable-api-nodes")
	}
	if cfg.DisableMetadata {
		arguments = append(arguments, "--disable-metadata")
	}
	if cfg.ReserveVRAM != nil {
		arguments = append(arguments, "--reserve-vram", strconv.FormatFloat(*cfg.ReserveVRAM, 'g', -1, 64))
	}
	var checkout, those any
	if only != nil {
		those = only
	}
	if plan.checkout != "" {
		checkout = plan.checkout
	}
	return pyjson.NewObject(
		"checkout", checkout, "core", plan.core, "partner", plan.core && !cfg.DisableAPINodes, "custom", len(plan.packs) > 0 && (only == nil || len(only) > 0),
		"custom_off", cfg.DisableCustom, "whitelist", cfg.WhitelistCustom, "skip", skip, "only", those, "arguments", arguments, "http", http,
		"samplers", sampling.SamplerNames(), "schedulers", sampling.SchedulerNames(),
		"folders", pyjson.NewObject("base", dirs.Base(), "output", dirs.Output(), "input", dirs.Input(), "temp", dirs.Temp(), "user", dirs.User(),
			"custom_nodes", dirs.Roots("custom_nodes"), "models", models),
	)
}

// describeNatives describes the program's own classes for packs that derive from ComfyUI's classes of these names, with the model folders
// whose files are choices of inputs.
func describeNatives(registry *nodes.Registry, dirs *folders.Folders) *pyjson.Object {
	out := pyjson.NewObject()
	env := nodes.Env{Folders: dirs}
	registry.Walk(func(c *nodes.Class) bool {
		if c.IsForeign() {
			return true
		}
		folders := pyjson.NewObject()
		for _, in := range c.Inputs() {
			if folder := in.Folder(); folder != "" {
				folders.Set(in.Name, folder)
			}
		}
		out.Set(c.Name, pyjson.NewObject("info", c.Info(env), "v3", c.V3, "folders", folders))
		return true
	})
	return out
}

// elsewhere returns the interface that the executor calls; a nil *pythonSide has none.
func (p *pythonSide) elsewhere() nodes.Elsewhere {
	if p == nil {
		return nil
	}
	return p.group
}

// sendBy lets packs reach the server's clients.
func (p *pythonSide) sendBy(s server.PackMessages) {
	if p != nil {
		p.events.server.Store(&s)
	}
}

// free releases what Python holds besides values: models and replays. It waits for that, within a bound.
func (p *pythonSide) free() {
	if p != nil {
		p.group.Free(context.Background())
	}
}

// unloads releases the engine's models when a pack requests it, one request at a time.
func (p *pythonSide) unloads() {
	if !p.unloading.CompareAndSwap(false, true) {
		return
	}
	p.unloaders.Go(func() {
		defer p.unloading.Store(false)
		p.log.Info("a node pack asks for memory: models that are idle are let go")
		p.unload()
	})
}

func (p *pythonSide) close() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.changing.Lock()
	defer p.changing.Unlock()
	errs := make([]error, len(p.all()))
	var w sync.WaitGroup
	for i, h := range p.all() {
		w.Go(func() { errs[i] = h.host().Close() })
	}
	w.Wait()
	p.unloaders.Wait() // no pack asks any more
	return errors.Join(errs...)
}

// served is the side as the server sees it; nil without Python.
func (p *pythonSide) served() packs.Python {
	if p == nil {
		return nil
	}
	return p
}

var _ packs.Python = (*pythonSide)(nil)

// Takes implements packs.Routes.
func (p *pythonSide) Takes(r *http.Request) bool { return p.routes.Takes(r) }

// ServeHTTP implements packs.Routes.
func (p *pythonSide) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }

// Prompt implements packs.Python.
func (p *pythonSide) Prompt(ctx context.Context, request *pyjson.Object) *pyjson.Object {
	return p.group.Prompt(ctx, request)
}

// Stats implements packs.Python.
func (p *pythonSide) Stats() []pyhost.Stats {
	var out []pyhost.Stats
	for _, h := range p.all() {
		out = append(out, h.host().Stats())
	}
	return out
}

// Packs implements packs.Python.
func (p *pythonSide) Packs() []any {
	list := []any{}
	for _, h := range p.all() {
		s := h.bridge.Current()
		if s == nil {
			continue
		}
		v, _ := s.Ready().Get("packs")
		found, _ := v.([]any)
		list = append(list, found...)
		for _, name := range s.LeftOut() {
			list = append(list, pyjson.NewObject("name", name, "error", "its import ended the Python process, or did not end", "classes", []any{}))
		}
	}
	return list
}

// Core implements packs.Python.
func (p *pythonSide) Core() []string {
	names := []string{}
	for _, h := range p.all() {
		for _, name := range h.bridge.Core() {
			if c, ok := p.registry.Get(name); ok && c.IsForeign() {
				names = append(names, name)
			}
		}
	}
	return names
}

// Ask implements packs.Python.
func (p *pythonSide) Ask(pack string) error {
	if pack != "" && !slices.Contains(pythonPacks(p.cfg, p.dirs), pack) && !slices.ContainsFunc(p.all(), func(h *pythonHost) bool { return h.name == pack }) {
		return fmt.Errorf("there is no node pack %s in the folder custom_nodes, or it is disabled", pack)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[pack] = true
	return nil
}

// Reload implements packs.Python.
func (p *pythonSide) Reload() {
	p.mu.Lock()
	again := p.asked
	p.asked = map[string]bool{}
	p.mu.Unlock()
	if len(again) == 0 {
		return
	}
	if err := p.arrange(again); err != nil {
		p.log.Error("loading the node packs again failed", "error", err)
	}
}

// changed notifies clients that node classes were added, removed or changed.
func (p *pythonSide) changed() {
	if s := p.events.server.Load(); s != nil {
		(*s).SendPacksChanged()
	}
	if tell := p.tell.Load(); tell != nil {
		(*tell)()
	}
}

// onChange has f called when node classes have come, gone or changed.
func (p *pythonSide) onChange(f func()) {
	if p != nil {
		p.tell.Store(&f)
	}
}
