package app

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"comfygo/cli"
	"comfygo/folders"
	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/python"
	"comfygo/server/packs"
)

// noPython is the value of --python that runs no Python.
const noPython = "none"

// pythonPlan is which Python runs what.
type pythonPlan struct {
	interpreter string
	checkout    string // "" for none
	core        bool   // the checkout's core and partner classes are offered
	packs       []string
}

// wanted reports whether there is anything for Python to run.
func (p pythonPlan) wanted() bool { return len(p.packs) > 0 || p.core }

// errNoPython is why there is no host: there are packs and nothing to run them with.
var errNoPython = errors.New("no Python interpreter was found: name one by --python PATH, or --python none to do without")

// planPython decides which interpreter runs which packs and which checkout's classes. The error says that something
// is wanted and cannot be run; the plan is of use for messages then.
func planPython(cfg cli.Config, dirs *folders.Folders) (pythonPlan, error) {
	p := pythonPlan{packs: pythonPacks(cfg, dirs)}
	if cfg.Python == noPython {
		return pythonPlan{}, nil
	}
	p.checkout = cfg.ComfyUI
	if p.checkout == "" && isCheckout(dirs.Base()) {
		p.checkout = dirs.Base()
	}
	if p.checkout != "" && !isCheckout(p.checkout) {
		return p, errors.New("--comfyui " + p.checkout + " is no ComfyUI checkout: it lacks nodes.py, execution.py or the folder comfy")
	}
	p.core = p.checkout != "" && !cfg.NoCore
	if !p.wanted() {
		return p, nil
	}
	p.interpreter = findPython(cfg.Python, p.checkout, dirs.Base())
	if p.interpreter == "" {
		return p, errNoPython
	}
	return p, nil
}

// isCheckout reports whether a folder is a ComfyUI checkout.
func isCheckout(dir string) bool {
	for _, name := range []string{"nodes.py", "execution.py", "folder_paths.py", filepath.Join("comfy", "model_management.py")} {
		if !exists(filepath.Join(dir, name)) {
			return false
		}
	}
	return true
}

// pythonPacks lists the packs that upstream would import.
func pythonPacks(cfg cli.Config, dirs *folders.Folders) []string {
	var packs []string
	for _, root := range dirs.Roots("custom_nodes") {
		entries, err := os.ReadDir(root)
		if err != nil {
			continue // a folder that is not there has no packs
		}
		for _, e := range entries {
			name := e.Name()
			if name == "__pycache__" || name[0] == '.' || filepath.Ext(name) == ".disabled" || cfg.DisableCustom && !allowed(cfg.WhitelistCustom, name) {
				continue
			}
			if filepath.Ext(name) == ".py" || exists(filepath.Join(root, name, "__init__.py")) {
				packs = append(packs, name)
			}
		}
	}
	return packs
}

func allowed(list []string, name string) bool {
	for _, n := range list {
		if n == name {
			return true
		}
	}
	return false
}

// findPython returns the interpreter: the one that is named, that of a virtual environment in one of the folders, or the
// system's; it is empty if no interpreter is found.
func findPython(named string, dirs ...string) string {
	if named != "" {
		if path, err := exec.LookPath(named); err == nil {
			return path
		}
		return ""
	}
	inside := []string{filepath.Join("bin", "python3"), filepath.Join("bin", "python")}
	if runtime.GOOS == "windows" {
		inside = []string{filepath.Join("Scripts", "python.exe")}
	}
	for _, dir := range dirs {
		for _, venv := range []string{"venv", ".venv"} {
			for _, file := range inside {
				if path := filepath.Join(dir, venv, file); dir != "" && exists(path) {
					return path
				}
			}
		}
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// pythonSide is the Python host of a program, with what connects it.
type pythonSide struct {
	host   *pyhost.Host
	bridge *python.Bridge
	events *packEvents
}

// packEvents passes on what packs say to clients, from the moment when there is a server.
type packEvents struct {
	server atomic.Pointer[packSender]
}

// packSender is what a server does with the messages of packs.
type packSender interface {
	SendOfPack(event string, data any, client string)
	SendBinaryOfPack(number int, data []byte, client string)
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

// startPython starts the host where there is something for it to run; nil otherwise. What is not run is told once.
func startPython(cfg cli.Config, m machine, dirs *folders.Folders, registry *nodes.Registry, log *slog.Logger) *pythonSide {
	plan, err := planPython(cfg, dirs)
	if err != nil {
		log.Warn("node packs and core classes in Python are not loaded: "+err.Error(), "packs", plan.packs)
		return nil
	}
	if !plan.wanted() {
		return nil
	}
	side := &pythonSide{events: &packEvents{}}
	side.bridge = python.New(registry, side.events, log)
	side.host = pyhost.New(pyhost.Config{
		Python: plan.interpreter, Log: log, Notify: side.bridge.Notify, Started: side.bridge.Started,
		Hello: func(skip []string, http string) *pyjson.Object { return helloPython(cfg, m, dirs, plan, skip, http) },
	})
	side.bridge.Use(side.host)
	if err := side.host.Start(); err != nil {
		log.Error("node packs in Python are not loaded", "error", err)
		return nil
	}
	log.Info("loading node classes in Python", "python", plan.interpreter, "comfyui", plan.checkout, "packs", len(plan.packs))
	return side
}

// helloPython says what the host is to load and where things lie.
func helloPython(cfg cli.Config, m machine, dirs *folders.Folders, plan pythonPlan, skip []string, http string) *pyjson.Object {
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
	var checkout any
	if plan.checkout != "" {
		checkout = plan.checkout
	}
	return pyjson.NewObject(
		"checkout", checkout, "core", plan.core, "partner", plan.core && !cfg.DisableAPINodes, "custom", len(plan.packs) > 0,
		"custom_off", cfg.DisableCustom, "whitelist", cfg.WhitelistCustom, "skip", skip, "arguments", arguments, "http", http,
		"folders", pyjson.NewObject("base", dirs.Base(), "output", dirs.Output(), "input", dirs.Input(), "temp", dirs.Temp(), "user", dirs.User(),
			"custom_nodes", dirs.Roots("custom_nodes"), "models", models),
	)
}

// elsewhere is what the executor asks; a nil *pythonSide has nothing.
func (p *pythonSide) elsewhere() nodes.Elsewhere {
	if p == nil {
		return nil
	}
	return p.bridge
}

// sendBy lets packs reach the server's clients.
func (p *pythonSide) sendBy(s packSender) {
	if p != nil {
		p.events.server.Store(&s)
	}
}

// free lets go of what Python holds besides values: models and replays.
func (p *pythonSide) free() {
	if p != nil {
		p.bridge.Free()
	}
}

func (p *pythonSide) close() error {
	if p == nil {
		return nil
	}
	return p.host.Close()
}

// routes are those that packs have added; nil without a host.
func (p *pythonSide) routes() packs.Routes {
	if p == nil {
		return nil
	}
	return &packs.PythonRoutes{Session: p.bridge.Current}
}

// checkPython tells which Python runs what, without starting it.
func checkPython(cfg cli.Config, dirs *folders.Folders) finding {
	const what = "python"
	if cfg.Python == noPython {
		return finding{good, what, "not used (--python none)", ""}
	}
	plan, err := planPython(cfg, dirs)
	switch {
	case err != nil:
		return finding{warning, what, fmt.Sprintf("%d node packs are not loaded: %v", len(plan.packs), err), "install Python 3.9 or newer, or correct the flag"}
	case !plan.wanted():
		return finding{good, what, "not needed: there are no node packs and no ComfyUI checkout", ""}
	}
	text := fmt.Sprintf("%s runs %d node packs", plan.interpreter, len(plan.packs))
	if plan.core {
		text += " and the classes of " + plan.checkout + " that comfygo does not have"
	}
	return finding{good, what, text, ""}
}
