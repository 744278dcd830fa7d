package tests_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/internal/apiclient"
)

// kills returns the number of times that TestPackKills ends the Python process, and megabytes the amount that TestPackHostile prints and
// leaks. The Makefile's target packkills sets 50 and 1024.
func kills() (n int, megabytes float64) {
	if n, err := strconv.Atoi(os.Getenv("COMFYGO_PACK_KILLS")); err == nil {
		return n, 1024
	}
	return 4, 16
}

// await waits for a job's end.
func (i *instance) await(t *testing.T, id string) apiclient.Result {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r, ok, err := i.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return r
		}
	}
	t.Fatalf("job %s has not ended", id)
	return apiclient.Result{}
}

// answers are how long the answers to /health took, in ascending order.
type answers []time.Duration

// String reports the median, the tail and the longest.
func (a answers) String() string {
	if len(a) == 0 {
		return "no answers"
	}
	at := func(share float64) time.Duration { return a[int(share*float64(len(a)-1))].Round(10 * time.Microsecond) }
	late := len(a) - sort.Search(len(a), func(i int) bool { return a[i] > 50*time.Millisecond })
	return fmt.Sprintf("%d answers: median %s, 99 %% %s, 99.9 %% %s, longest %s, %d over 50 ms", len(a), at(0.5), at(0.99), at(0.999), at(1), late)
}

// pulse requests /health from servers in turn until stop is called, which returns the response times of each. A missing answer, or that of
// an unhealthy server, fails the test.
func pulse(t *testing.T, servers ...*instance) (stop func() []answers) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	took := make([]answers, len(servers))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for n, s := range servers {
				begin := time.Now()
				if err := s.Get(ctx, "/health", nil); err != nil && ctx.Err() == nil {
					t.Errorf("/health: %v", err)
				}
				if ctx.Err() == nil {
					took[n] = append(took[n], time.Since(begin))
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return func() []answers {
		cancel()
		<-done
		for _, a := range took {
			slices.Sort(a)
		}
		return took
	}
}

// pythonOf returns the number of a server's Python process; 0 for none.
func pythonOf(t *testing.T, server int) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-o", "pid=,args=", "--ppid", strconv.Itoa(server)).Output()
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(out)) {
		if pid, args, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(args, "comfygo_host") {
			n, _ := strconv.Atoi(pid)
			return n
		}
	}
	return 0
}

// TestPackHostile runs packs that do what would end or hold up the server if they ran in it.
func TestPackHostile(t *testing.T) {
	t.Parallel()
	_, megabytes := kills()
	server := startPacks(t, []string{"hostile", "deadlock", "deadly"}, "--python-load-timeout", "5", "--python-memory", "0.25")
	plain := start(t)
	stop := pulse(t, server, plain)
	type inputs = map[string]any
	for _, c := range []struct {
		name   string
		class  string
		inputs inputs
		want   string // what is shown
		fails  string // part of the error's message
	}{
		{"prints", "HostilePrints", inputs{"mb": megabytes}, "printed", ""},
		{"replaces signal handlers", "HostileSignals", inputs{}, "alive", ""},
		{"leaks", "HostileLeaks", inputs{"mb": 4096}, "", "--python-memory"},
		{"sys.exit", "HostileLeaves", inputs{"how": "exit"}, "", "3"},
		{"os._exit", "HostileLeaves", inputs{"how": "os"}, "", "exit status 3"},
		{"abort", "HostileLeaves", inputs{"how": "abort"}, "", "Python process has ended"},
		{"closes all files", "HostileLeaves", inputs{"how": "close"}, "", "Python process has ended"},
		{"leaves a process that holds its output", "HostileDetaches", inputs{}, "", "exit status 4"},
		{"goes on", "HostileWorks", inputs{"text": "fine", "seconds": 0}, "fine", ""},
	} {
		r := server.run(t, shows(inputs{"1": packNode(c.class, c.inputs)}, link("1", 0)))
		if f := r.Failure(); c.fails != "" && (f == nil || !strings.Contains(f.Message, c.fails)) || c.fails == "" && shown(r) != c.want {
			t.Errorf("%s: shown is %q, failure %+v; want %q and a message with %q", c.name, shown(r), f, c.want, c.fails)
		}
	}
	took := stop()
	t.Logf("/health, with packs: %s\n/health, without: %s", took[0], took[1])
	var figures packFigures
	if err := server.Get(t.Context(), "/api/v1/packs", &figures); err != nil {
		t.Fatal(err)
	}
	errors := map[string]string{}
	for _, p := range figures.Packs {
		errors[p.Name] = p.Error
	}
	if errors["deadlock"] == "" || errors["deadly"] == "" || len(errors) != 3 {
		t.Errorf("the packs are %v", errors)
	}
	log := server.process.Log()
	for _, want := range []string{"lines of the Python process were left out", "pack=hostile"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not have %q", want)
		}
	}
}

// TestPackKills ends the Python process again and again while jobs wait and run: each job has an end, and what did not run then succeeds.
func TestPackKills(t *testing.T) {
	t.Parallel()
	times, _ := kills()
	server := startPacks(t, []string{"hostile"})
	plain := start(t)
	stop := pulse(t, server, plain)
	random := rand.New(rand.NewPCG(1, uint64(times))) //nolint:gosec // when to kill is no secret
	type job struct {
		id, text string
	}
	var jobs []job
	put := func() {
		text := fmt.Sprintf("job %d", len(jobs))
		id, err := server.Queue(t.Context(), shows(map[string]any{
			"1": packNode("HostileWorks", map[string]any{"text": text, "seconds": 0.05}),
			"2": packNode("HostileWorks", map[string]any{"text": link("1", 0), "seconds": 0.05}),
		}, link("2", 0)), "")
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, job{id, text})
	}
	put()
	server.await(t, jobs[0].id)
	for range times {
		for range 5 {
			put()
		}
		time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
		if pid := pythonOf(t, server.process.PID()); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have just ended
		}
	}
	put()
	failed := 0
	for n, j := range jobs {
		r := server.await(t, j.id)
		f := r.Failure()
		switch {
		case shown(r) == j.text:
		case f != nil && strings.Contains(f.Message, "Python process has ended"):
			failed++
		default:
			t.Errorf("job %d shows %q, failure %+v", n, shown(r), f)
		}
	}
	if failed > times {
		t.Errorf("%d kills made %d jobs fail", times, failed)
	}
	took := stop()
	t.Logf("%d jobs, %d kills, %d jobs failed\n/health, with packs: %s\n/health, without: %s", len(jobs), times, failed, took[0], took[1])
	left, err := filepath.Glob(fmt.Sprintf("/dev/shm/comfygo-%d-*/*", server.process.PID()))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind in shared memory: %v, %v", left, err)
	}
}
