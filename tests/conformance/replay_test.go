package conformance_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/internal/apiclient"
	"comfygo/tests/conformance"
	"comfygo/tests/testprogram"
)

// buildProgram builds the program with flags.
func buildProgram(t *testing.T, flags ...string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "comfygo")
	if err := testprogram.Build(to, flags...); err != nil {
		t.Fatal(err)
	}
	return to
}

// ledger counts which deviations are really there.
type ledger struct {
	mu         sync.Mutex
	deviations []conformance.Deviation
	differ     map[string]bool // by pattern
	passed     int
	described  int // answers that are as /openapi.json describes them
}

func (l *ledger) count(described int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.described += described
}

// enough fails when hardly any answer was held against the server's description.
func (l *ledger) enough(t *testing.T) {
	t.Helper()
	if l.described < 500 {
		t.Errorf("only %d answers were held against /openapi.json", l.described)
	}
	t.Logf("%d answers are as /openapi.json describes them", l.described)
}

func (l *ledger) record(t *testing.T, id string, found []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.deviations {
		for _, pattern := range d.Cases {
			if (conformance.Deviation{Cases: []string{pattern}}).Covers(id) {
				if len(found) > 0 {
					l.differ[pattern] = true
				}
				return
			}
		}
	}
	if len(found) > 0 {
		t.Errorf("%s:\n  %s", id, strings.Join(found, "\n  "))
		return
	}
	l.passed++
}

// TestReplay replays everything against the program with the test nodes.
func TestReplay(t *testing.T) {
	t.Parallel()
	l := newLedger(t, false)
	t.Run("variants", func(t *testing.T) {
		l.replay(t, buildProgram(t, append([]string{"-tags", "testnodes"}, testprogram.Race...)...), nil, true)
	})
	for _, d := range l.deviations {
		for _, pattern := range d.Cases {
			if !l.differ[pattern] {
				t.Errorf("%s is in the list of deviations, but there is no difference any more", pattern)
			}
		}
	}
	t.Logf("%d exchanges and traces are as recorded", l.passed)
	l.enough(t)
}

// TestReplayPlain replays what needs no test nodes against the program that users have, without the race detector, which TestReplay has on the
// same exchanges, as it has the description's check.
func TestReplayPlain(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	t.Run("variants", func(t *testing.T) { l.replay(t, buildProgram(t), []string{"custom", "testing-pack"}, false) })
	const fewest = 800
	if l.passed < fewest {
		t.Errorf("only %d exchanges and traces are as recorded", l.passed)
	}
}

func newLedger(t *testing.T, plain bool) *ledger {
	t.Helper()
	list, err := conformance.Deviations()
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(d conformance.Deviation) bool { return d.Plain && !plain })
	return &ledger{deviations: list, differ: map[string]bool{}}
}

func (l *ledger) replay(t *testing.T, program string, skip []string, describe bool) {
	variants, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	fixtures := t.TempDir()
	if err := conformance.Unpack(fixtures); err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		if slices.ContainsFunc(l.deviations, func(d conformance.Deviation) bool { return d.Variant == v.Name }) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			l.variant(t, v, program, fixtures, skip, describe)
		})
	}
}

func (l *ledger) variant(t *testing.T, v conformance.Variant, program, fixtures string, skip []string, describe bool) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if err := conformance.Base(fixtures, base); err != nil {
		t.Fatal(err)
	}
	packages := filepath.Join(dir, "packages")
	if err := conformance.Packages(packages); err != nil {
		t.Fatal(err)
	}
	args := []string{"--python", "none", "--base-directory", base, "--port", "0", "--front-end-packages", packages, "--database-url", "sqlite:///" + filepath.Join(dir, v.Name+".db")}
	for _, a := range v.Args {
		args = append(args, strings.ReplaceAll(a, "{{BASE}}", base))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var log bytes.Buffer
	p, err := apiclient.Start(ctx, &log, program, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	run := conformance.NewRun(strings.TrimPrefix(p.URL, "http://"), base, fixtures)
	if describe {
		described := newContract(t, p.URL)
		run.Watch = described.check
		defer func() { l.count(described.close()) }()
	}
	left := func(tags []string) bool {
		return slices.ContainsFunc(skip, func(tag string) bool { return slices.Contains(tags, tag) })
	}
	for _, c := range v.Cases {
		if !left(c.Tags) {
			l.record(t, c.ID, run.Exchange(c))
		}
	}
	for _, c := range v.Traces {
		if !left(c.Tags) {
			l.record(t, c.ID, run.Converse(c))
		}
	}
	if err := p.Stop(30 * time.Second); err != nil {
		t.Errorf("the server ended badly: %v\n%s", err, p.Log())
	}
}

// atOnce is the number of variants that are replayed at a time: they wait more than they compute.
const atOnce = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil { // -parallel still takes precedence: flags are read after this
		panic(err)
	}
	_ = os.Setenv("COMFYGO_FRONTEND", "none") // what is installed on the machine changes no answer
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, "what may differ, and why, is in tests/deviations.json")
	}
	os.Exit(code)
}
