package packdir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// schemes are the ways to a git repository that are taken; others, as ext::, run commands.
var schemes = []string{"https://", "http://", "ssh://", "git://", "file://"}

var scpAddress = regexp.MustCompile(`^[\w.-]+@[\w.-]+:[^:].*$`)

func isAddress(source string) bool {
	for _, s := range schemes {
		if strings.HasPrefix(source, s) {
			return true
		}
	}
	return scpAddress.MatchString(source)
}

// git runs git without questions, hooks, and protocols that run commands.
func (d *Dir) git(ctx context.Context, args ...string) error {
	path, err := exec.LookPath("git")
	if err != nil {
		return errors.New("git is needed for this and is not installed")
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false"}, args...)...)
	cmd.Env = append(environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:http:ssh:git:file")
	cmd.Stdout, cmd.Stderr = d.Output, d.Output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("git failed, and says above why (%w)", err)
	}
	return nil
}

// environ leaves out the variables that are for comfygo itself, keys among them: pip may run code to build a requirement.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "COMFYGO_") })
}

func (d *Dir) clone(ctx context.Context, address, ref, to string) error {
	args := []string{"clone", "--depth", "1"}
	if ref != "" {
		args = append(args, "--branch="+ref)
	}
	return d.git(ctx, append(args, "--", address, to)...)
}

func (d *Dir) pull(ctx context.Context, dir string) error {
	return d.git(ctx, "-C", dir, "pull", "--ff-only")
}

// require installs a pack's requirements into the environment.
func (d *Dir) require(ctx context.Context, name, dir string) error {
	if !there(dir, "requirements.txt") {
		return nil
	}
	python, err := d.environment(ctx)
	if err != nil {
		return fmt.Errorf("installing the requirements of node pack %s: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", "requirements.txt")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, d.Output, d.Output, environ()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("installing the requirements of node pack %s: pip failed, and says above why (%w); --no-requirements leaves them out", name, err)
	}
	return nil
}

// Interpreter is the interpreter of the environment in a folder; "" if it is missing or no longer works.
func Interpreter(venv string) string {
	file := filepath.Join("bin", "python")
	if runtime.GOOS == "windows" {
		file = filepath.Join("Scripts", "python.exe")
	}
	path := filepath.Join(venv, file)
	if _, err := os.Stat(path); err != nil { // also a link to an interpreter that has gone
		return ""
	}
	return path
}

// environment returns the interpreter of the environment, which it makes if it is missing.
func (d *Dir) environment(ctx context.Context) (string, error) {
	if path := Interpreter(d.Venv); path != "" {
		return path, nil
	}
	if d.Python == "" {
		return "", errors.New("no Python interpreter was found: name one by --python PATH")
	}
	path, err := d.make(ctx)
	if err != nil {
		_ = os.RemoveAll(d.Venv) // half made
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", err
	}
	return path, nil
}

// make makes the environment. It takes pip from the interpreter that made it, else from Python itself.
func (d *Dir) make(ctx context.Context) (string, error) {
	if out, err := exec.CommandContext(ctx, d.Python, "-m", "venv", "--clear", "--without-pip", d.Venv).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s cannot make a virtual environment (the system's package for venv may be missing): %w: %s", d.Python, err, lastLine(string(out)))
	}
	path := Interpreter(d.Venv)
	if path == "" {
		return "", fmt.Errorf("%s has made no interpreter in %s", d.Python, d.Venv)
	}
	if err := d.inherit(ctx, path); err != nil {
		return "", err
	}
	if exec.CommandContext(ctx, path, "-m", "pip", "--version").Run() == nil {
		return path, nil
	}
	if out, err := exec.CommandContext(ctx, path, "-m", "ensurepip").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s has no pip, and the system's package for it may be missing: %w: %s", d.Python, err, lastLine(string(out)))
	}
	return path, nil
}

// inherit lets the environment see the packages of the interpreter that made it, which is often that of an environment itself: torch and
// what else ComfyUI needs are there.
func (d *Dir) inherit(ctx context.Context, python string) error {
	const parents = `import json, sys; print(json.dumps([p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]))`
	var paths []string
	if err := ask(ctx, d.Python, parents, &paths); err != nil {
		return err
	}
	var own string
	if err := ask(ctx, python, `import json, sysconfig; print(json.dumps(sysconfig.get_path("purelib")))`, &own); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(own, "comfygo-parent.pth"), []byte(strings.Join(paths, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // as its neighbours
		return fmt.Errorf("writing into the virtual environment: %w", err)
	}
	return nil
}

func ask(ctx context.Context, python, code string, v any) error {
	out, err := exec.CommandContext(ctx, python, "-c", code).Output()
	if err == nil {
		err = json.Unmarshal(out, v)
	}
	if err != nil {
		return fmt.Errorf("asking %s for its folders: %w", python, err)
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
