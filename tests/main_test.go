package tests_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"comfygo/internal/apiclient"
	"comfygo/tests/testprogram"
)

// program is the program under test, built once; it carries the race detector when the tests do.
// plainProgram builds it without: the detector never gives memory back.
var (
	program      string
	plainProgram func() (string, error)
)

// atOnce is the number of tests that run at a time on a small machine: most wait for a server more than they compute.
const atOnce = 4

func TestMain(m *testing.M) {
	if runtime.GOMAXPROCS(0) < atOnce {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil { // -parallel still takes precedence: flags are read after this
			panic(err)
		}
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "comfygo-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the program:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Setenv("COMFYGO_FRONTEND", "none") // our own pages, whatever is installed on the machine
	program = filepath.Join(dir, "comfygo")
	if err := testprogram.Build(program, testprogram.Race...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	plainProgram = sync.OnceValues(func() (string, error) {
		if len(testprogram.Race) == 0 {
			return program, nil
		}
		plain := filepath.Join(dir, "comfygo-plain")
		return plain, testprogram.Build(plain)
	})
	return m.Run()
}

// instance is one running server.
type instance struct {
	*apiclient.Client
	process *apiclient.Process
	base    string
}

// start runs the program on a free port with its own base folder; flags are added. It is stopped at
// the end of the test, where a data race or another bad end fails the test.
func start(t *testing.T, flags ...string) *instance {
	t.Helper()
	return startProgram(t, program, flags...)
}

func startProgram(t *testing.T, program string, flags ...string) *instance {
	t.Helper()
	base := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"--port", "0", "--base-directory", base}, flags...)
	p, err := apiclient.Start(ctx, nil, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(30 * time.Second); err != nil {
			t.Errorf("the server ended badly: %v\n%s", err, p.Log())
		} else if t.Failed() {
			t.Logf("the server printed:\n%s", p.Log())
		}
	})
	return &instance{Client: &apiclient.Client{Base: p.URL}, process: p, base: base}
}

// run queues a workflow and returns its result when it has ended, well or not.
func (i *instance) run(t *testing.T, workflow any) apiclient.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const name = "black-box"
	socket, err := i.Dial(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	result, err := i.Follow(ctx, socket, name, workflow, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// view fetches a file of a result.
func (i *instance) view(t *testing.T, f apiclient.File) []byte {
	t.Helper()
	data, err := i.View(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
