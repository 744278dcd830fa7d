// Package testprogram builds comfygo for tests that drive it from outside. Test packages that need the same program share one
// build of it.
package testprogram

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"comfygo/internal/filelock"
	"comfygo/internal/golden"
)

// patience is the time to wait for another test package's build, which compiles everything on a new machine.
const patience = 20 * time.Minute

// Build builds the program with flags of `go build` and writes it to the file to, without symbols: it links in a second instead of
// six.
//
// `go run` keeps programs in Go's build cache by their content, which `go build` does not; run by cp, a program is copied from there
// instead of started. One build runs at a time on a machine, so that packages tested at the same time do not compile the same code
// twice.
func Build(to string, flags ...string) error {
	root, err := golden.Root()
	if err != nil {
		return fmt.Errorf("building the program: %w", err)
	}
	cache, err := golden.CacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o755)
	}
	if err != nil {
		return fmt.Errorf("building the program: %w", err)
	}
	lock, err := filelock.Wait(filepath.Join(cache, ".program.lock"), patience)
	if err != nil {
		return fmt.Errorf("building the program: waiting for another build: %w", err)
	}
	defer func() { _ = lock.Release() }()
	flags = append([]string{"-ldflags=-s -w"}, flags...)
	args := slices.Concat([]string{"run", "-exec", "cp"}, flags, []string{".", to})
	if runtime.GOOS == "windows" { // it has no cp
		args = slices.Concat([]string{"build"}, flags, []string{"-o", to, "."})
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return nil
}
