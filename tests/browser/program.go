package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/frontend"
	"comfygo/internal/apiclient"
	"comfygo/tests/browser/chromium"
	"comfygo/tests/testprogram"
)

// EnvProgram names a program that is already built; without it the module is built.
const EnvProgram = "COMFYGO_PROGRAM"

// program is the program under test, built by the first test that starts it; it carries the race detector when the
// tests do.
var program struct {
	sync.Mutex
	path string
	dir  string
}

// atOnce is the number of tests that run at a time on a small machine: they wait for pages and servers.
const atOnce = 3

// Main runs the tests of a package and ends the browser and whatever else they share. TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }
func Main(m *testing.M) int {
	if runtime.GOMAXPROCS(0) < atOnce {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil { // -parallel still takes precedence: flags are read after this
			panic(err)
		}
	}
	defer func() {
		closeShared()
		if program.dir != "" {
			_ = os.RemoveAll(program.dir)
		}
	}()
	return m.Run()
}

// Program builds the server once a test run and returns its path.
func Program(t testing.TB) string {
	t.Helper()
	program.Lock()
	defer program.Unlock()
	if program.path != "" {
		return program.path
	}
	if given := os.Getenv(EnvProgram); given != "" {
		program.path = given
		return given
	}
	dir, err := os.MkdirTemp("", "comfygo-browser-")
	if err != nil {
		t.Fatalf("making a folder for the program: %v", err)
	}
	program.dir = dir
	path := filepath.Join(dir, "comfygo")
	if err := testprogram.Build(path, testprogram.Race...); err != nil {
		t.Fatal(err)
	}
	program.path = path
	return path
}

// Server is one running server with its own, new base folder.
type Server struct {
	*apiclient.Client                    // speaks to it; Client.Base is its address
	Process           *apiclient.Process // the running program
	Dir               string             // its base folder
	args              []string
	path              string
}

// Start runs the server on a free port; flags are added. Unless a flag selects another front end, it serves our own
// pages only, whatever is installed on the machine. It is stopped at the end of the test; a data race or another
// failure at its end fails the test. If no browser is installed the test is skipped before anything is built.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	if _, err := chromium.Find(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--front-end") }) {
		flags = append(flags, "--front-end-packages", frontend.None)
	}
	dir := t.TempDir()
	s := &Server{
		Client: &apiclient.Client{},
		Dir:    dir,
		path:   Program(t),
		args:   append([]string{"--base-directory", dir}, flags...),
	}
	t.Cleanup(func() {
		if t.Failed() && s.Process != nil {
			t.Logf("the server printed:\n%s", s.Process.Log())
		}
	})
	s.run(t, "0")
	return s
}

// run starts the process and has it stopped at the end of the test.
func (s *Server) run(t testing.TB, port string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := apiclient.Start(ctx, nil, s.path, append([]string{"--port", port}, s.args...)...)
	if err != nil {
		t.Fatal(err)
	}
	s.Process, s.Base = p, p.URL
	t.Cleanup(func() {
		if err := stop(p); err != nil {
			t.Error(err)
		}
	})
}

// stop ends a process; one that has been stopped before is left alone.
func stop(p *apiclient.Process) error {
	if err := p.Stop(30 * time.Second); err != nil {
		return fmt.Errorf("the server ended badly: %w\n%s", err, p.Log())
	}
	return nil
}

// Stop ends the server as Ctrl-C does.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := stop(s.Process); err != nil {
		t.Fatal(err)
	}
}

// Restart ends the server, if it still runs, and starts it again with the same folder, flags and port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.run(t, portOf(s.Base))
}
