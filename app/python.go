package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"comfygo/cli"
	"comfygo/folders"
	"comfygo/internal/packdir"
	"comfygo/internal/pyhost"
	"comfygo/nodes"
	"comfygo/nodes/all"
	"comfygo/nodes/catalog"
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

// errNoPython is the reason why there is no host: there are packs but no Python to run them.
var errNoPython = errors.New("no Python interpreter was found: name one by --python PATH, or --python none to do without")

// planPython decides which interpreter runs which packs and which checkout's classes. The error explains what is enabled
// but cannot run; the plan is then still useful for messages.
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
	if p.interpreter = packdir.Interpreter(filepath.Join(dirs.Base(), packsVenv)); p.interpreter == "" || cfg.Python != "" {
		p.interpreter = interpreterIn(cfg.Python, p.checkout, dirs.Base())
	}
	if p.interpreter == "" {
		return p, errNoPython
	}
	return p, nil
}

// nativeClasses are the node classes that comfygo runs itself: its own but for those that --python-class takes from the checkout.
func nativeClasses(cfg cli.Config, dirs *folders.Folders) (*nodes.Registry, error) {
	native := all.Registry()
	if len(cfg.PythonClasses) == 0 {
		return native, nil
	}
	if err := checkPythonClasses(cfg, dirs, native); err != nil {
		return nil, err
	}
	return native.Without(cfg.PythonClasses...), nil
}

// checkPythonClasses fails where --python-class names a class that comfygo does not have, or where no checkout offers it.
func checkPythonClasses(cfg cli.Config, dirs *folders.Folders, native *nodes.Registry) error {
	for _, name := range cfg.PythonClasses {
		if _, ok := native.Get(name); !ok {
			return fmt.Errorf("--python-class %s: comfygo has no class of this name to replace (docs/nodes.md lists them)", name)
		}
	}
	plan, err := planPython(cfg, dirs)
	switch {
	case err != nil:
		return fmt.Errorf("--python-class: %w", err)
	case !plan.core:
		return errors.New("--python-class: no ComfyUI checkout offers its classes: name one by --comfyui DIR, and leave out --no-python-core and --python none")
	}
	return nil
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

// interpreterIn returns the interpreter: the one that is named, that of a virtual environment in one of the folders, or the
// system's; it is empty if no interpreter is found.
func interpreterIn(named string, dirs ...string) string {
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

// missingCore are ComfyUI's core classes that comfygo does not have.
func missingCore() []string {
	var missing []string
	for _, name := range catalog.Names() {
		if _, ok := nodes.Default().Get(name); !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// checkPython reports which Python runs which packs, without starting it.
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
	if cfg.HostUser != "" {
		if _, err := pyhost.FindUser(cfg.HostUser); err != nil {
			return finding{warning, what, err.Error(), "start the server as root, or leave --host-user away"}
		}
	}
	text := fmt.Sprintf("%s runs %d node packs", plan.interpreter, len(plan.packs))
	if cfg.HostUser != "" {
		text += " as user " + cfg.HostUser
	}
	if cfg.Isolate {
		text += ", each in a process of its own"
	}
	if plan.core {
		text += " and the classes of " + plan.checkout + " that comfygo does not have: " + strings.Join(append(missingCore(), "partner nodes"), ", ")
	}
	if len(cfg.PythonClasses) > 0 {
		if err := checkPythonClasses(cfg, dirs, nodes.Default()); err != nil {
			return finding{warning, what, err.Error(), "correct the flag: the server does not start with it"}
		}
		text += "; in place of comfygo's own: " + strings.Join(cfg.PythonClasses, ", ")
	}
	return finding{good, what, text, ""}
}
