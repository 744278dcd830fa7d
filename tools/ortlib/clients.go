package ortlib

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Client is a download program that may be on the machine.
type Client struct {
	Name string
	Kind Kind
	// Find returns the command to start, or "" when the machine does not have it.
	Find func() string
	// Args returns the command's arguments for bringing an asset into dir.
	Args func(o Options, a Asset, dir string) []string
}

// DefaultClients returns pip, npm and curl, in this order: the wheel is the smallest and newest form.
func DefaultClients() []Client {
	return []Client{
		{Name: "pip", Kind: Wheel, Find: findPip, Args: pipArgs},
		{Name: "npm", Kind: Package, Find: onPath("npm"), Args: npmArgs},
		{Name: "curl", Kind: Release, Find: onPath("curl"), Args: curlArgs},
	}
}

func onPath(names ...string) func() string {
	return func() string {
		for _, n := range names {
			if p, err := exec.LookPath(n); err == nil {
				return p
			}
		}
		return ""
	}
}

// findPip returns a Python that has pip: a bare `pip` may belong to a Python that is gone.
func findPip() string {
	for _, n := range []string{"python3", "python", "py"} {
		p, err := exec.LookPath(n)
		if err != nil {
			continue
		}
		if exec.Command(p, "-m", "pip", "--version").Run() == nil {
			return p
		}
	}
	return ""
}

// pipArgs asks for the wheel of the pinned platform whatever Python runs pip; only the library in it is used.
func pipArgs(_ Options, a Asset, dir string) []string {
	return []string{
		"-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
		"--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--platform", a.Platform,
		"--dest", dir, a.Project + "==" + a.Version,
	}
}

func npmArgs(_ Options, a Asset, dir string) []string {
	return []string{"pack", "--silent", "--pack-destination", dir, a.Project + "@" + a.Version}
}

func curlArgs(o Options, a Asset, dir string) []string {
	name := a.Project + "-" + a.Platform + "-" + a.Version + ".tgz"
	url := strings.TrimSuffix(o.Release, "/") + "/v" + a.Version + "/" + name
	return []string{"--fail", "--silent", "--show-error", "--location", "--output", filepath.Join(dir, name), url}
}

// download runs the client and returns the one file it left in dir.
func download(ctx context.Context, c Client, o Options, a Asset, dir string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Find(), c.Args(o, a, dir)...)
	cmd.Dir = dir
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("running %s: %w: %s", c.Name, err, lastLine(stderr.String()))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading what %s left: %w", c.Name, err)
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) != 1 {
		return "", fmt.Errorf("running %s: it left %d files, one archive was expected", c.Name, len(files))
	}
	return files[0], nil
}

// lastLine returns the last line of a program's complaint: that is where pip, npm and curl put the reason.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
