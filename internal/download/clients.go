package download

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// Client is a download program that may be on the machine.
type Client struct {
	Name string
	Kind Kind
	// Find returns the command to start, or "" when the machine does not have it.
	Find func() string
	// Args returns the command's arguments for bringing an item into dir.
	Args func(item Item, dir string) []string
}

// Clients returns pip, npm and curl, in this order: the wheel is the smallest and newest form.
func Clients() []Client {
	return []Client{
		{Name: "pip", Kind: Wheel, Find: findPip, Args: pipArgs},
		{Name: "npm", Kind: Package, Find: onPath("npm"), Args: npmArgs},
		{Name: "curl", Kind: Release, Find: onPath("curl"), Args: curlArgs},
	}
}

func onPath(names ...string) func() string {
	return func() string {
		for _, n := range names {
			if p := look(n); p != "" {
				return p
			}
		}
		return ""
	}
}

// look finds a program on PATH or, if it is missing there, in the usual folders.
func look(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if os.Getenv("PATH") != "" {
		return ""
	}
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}

// findPip returns a Python that has pip: a bare `pip` may belong to a Python that is gone.
func findPip() string {
	for _, n := range []string{"python3", "python", "py"} {
		p := look(n)
		if p == "" {
			continue
		}
		if exec.Command(p, "-m", "pip", "--version").Run() == nil {
			return p
		}
	}
	return ""
}

// pipArgs requests the wheel of the pinned platform whatever Python runs pip; only the files in it are used.
func pipArgs(item Item, dir string) []string {
	args := []string{"-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"}
	if item.Platform != "" {
		args = append(args, "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--platform", item.Platform)
	}
	return append(args, "--dest", dir, item.Project+"=="+item.Version)
}

func npmArgs(item Item, dir string) []string {
	return []string{"pack", "--silent", "--pack-destination", dir, item.Project + "@" + item.Version}
}

func curlArgs(item Item, dir string) []string {
	return []string{"--fail", "--silent", "--show-error", "--location", "--output", filepath.Join(dir, path.Base(item.URL)), item.URL}
}
