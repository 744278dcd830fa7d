// Package fleet drives servers, workers and a NATS server as processes and ends them in all ways while jobs run.
package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comfygo/tests/testprogram"
)

// program is the binary under test.
var program string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if program = os.Getenv("FLEET_PROGRAM"); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "comfygo-fleet-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "comfygo")
	if err := testprogram.Build(program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// process is one of the fleet's: it can be killed, stopped for a while, and started again.
type process struct {
	t    testing.TB
	name string
	args []string
	port int

	mu  sync.Mutex
	cmd *exec.Cmd
	log strings.Builder
}

// Write takes what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) start() {
	p.t.Helper()
	cmd := exec.Command(program, p.args...)
	cmd.Env = append(os.Environ(), "COMFYGO_FRONTEND=none")
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Errorf("starting %s: %v", p.name, err)
		return
	}
	p.mu.Lock()
	p.cmd = cmd
	p.mu.Unlock()
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended
	}
}

// kill ends the process at once and waits for that.
func (p *process) kill() {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGKILL)
	p.mu.Lock()
	cmd := p.cmd
	p.cmd = nil
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Wait() // it was killed
	}
}

// fleet is a NATS server, servers and workers.
type fleet struct {
	t       testing.TB
	base    string
	nats    *process
	servers []*process
	workers []*process
	// key is of each owner; none without authentication.
	key map[string]string
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// newFleet starts all of them. Owners have keys of their own.
func newFleet(t testing.TB, servers, workers int, owners ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, base: t.TempDir(), key: map[string]string{}}
	auth := []string{}
	for _, owner := range owners {
		f.command("users", "create", owner)
		f.key[owner] = strings.TrimSpace(f.command("keys", "create", "--user", owner, "--name", "test"))
		auth = []string{"--auth"}
	}
	store, port := filepath.Join(f.base, "nats"), freePort(t)
	f.nats = f.add("nats", "nats", "--port", strconv.Itoa(port), "--store", store)
	eventually(t, "NATS runs", func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	common := []string{
		"--queue", fmt.Sprintf("nats://127.0.0.1:%d", port), "--base-directory", f.base, "--cpu", "--no-models", "--worker-lease", "2", "--disable-all-custom-nodes",
	}
	for i := range servers {
		port := freePort(t)
		args := append([]string{"--role", "server", "--queue-credentials", filepath.Join(store, "server.nk"), "--port", strconv.Itoa(port)}, append(common, auth...)...)
		p := f.add(fmt.Sprint("server ", i), args...)
		p.port = port
		f.servers = append(f.servers, p)
	}
	for i := range workers {
		args := append([]string{"--role", "worker", "--queue-credentials", filepath.Join(store, "worker.nk")}, common...)
		f.workers = append(f.workers, f.add(fmt.Sprint("worker ", i), args...))
	}
	return f
}

func (f *fleet) command(args ...string) string {
	f.t.Helper()
	cmd := exec.Command(program, append(args, "--base-directory", f.base)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("comfygo %v: %v\n%s", args, err, errs.String())
	}
	return string(out)
}

func (f *fleet) add(name string, args ...string) *process {
	p := &process{t: f.t, name: name, args: args}
	p.start()
	f.t.Cleanup(func() {
		p.kill()
		if f.t.Failed() {
			text := p.log.String()
			const most = 4000
			f.t.Logf("%s printed:\n%s", name, text[max(0, len(text)-most):])
		}
	})
	return p
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	const patience = 2 * time.Minute
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}

// number reads how large a test is; the full form of the test sets the variables.
func number(name string, short int) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return short
	}
	return n
}

// TestEveryJobEndsOnce kills and stops servers, workers and NATS at random while clients of two owners send jobs: each accepted job has one end in
// history, each client has heard all that its jobs told, once and in order, and nothing of others. `make scale-check` runs it with 2,000 jobs
// and 30 blows.
func TestEveryJobEndsOnce(t *testing.T) {
	t.Parallel()
	jobs, blows, clients := number("FLEET_JOBS", 48), number("FLEET_BLOWS", 5), number("FLEET_CLIENTS", 8)
	owners := []string{"ann", "bob"}
	f := newFleet(t, number("FLEET_SERVERS", 2), number("FLEET_WORKERS", 2), owners...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	all := make([]*client, clients)
	var sending, hearing sync.WaitGroup
	for i := range all {
		owner := owners[i%len(owners)]
		all[i] = &client{f: f, id: fmt.Sprintf("client-%d", i), owner: owner, key: f.key[owner], rnd: rand.New(rand.NewPCG(1, uint64(i)))}
		eventually(t, "a client is connected", func() bool { return all[i].connect(ctx, f.servers[i%len(f.servers)]) })
		hearing.Go(func() { all[i].hear(ctx) })
		sending.Go(func() { all[i].send(ctx, (jobs+clients-1)/clients) })
	}
	f.harm(ctx, blows)
	sending.Wait()
	for _, c := range all {
		eventually(t, "all jobs of a client have ended", func() bool { return c.finished(ctx) })
	}
	for _, c := range all {
		eventually(t, "a client has heard of all its jobs", c.heardAll)
	}
	cancel()
	hearing.Wait()
	ran, repeated := 0, 0
	for _, c := range all {
		c.check(t)
		ran += len(c.jobs)
		repeated += c.repeated
	}
	t.Logf("%d jobs, %d blows, %d jobs that began more than once", ran, blows, repeated)
}

// harm does blows to processes of all kinds: kill -9 and a new start, or a stop of some seconds.
func (f *fleet) harm(ctx context.Context, blows int) {
	rnd := rand.New(rand.NewPCG(2, 3)) // the same each time
	every := time.Duration(number("FLEET_EVERY_MS", 700)) * time.Millisecond
	for i := range blows {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		var p *process
		switch i % 5 {
		case 0, 3:
			p = f.workers[rnd.IntN(len(f.workers))]
		case 1:
			p = f.servers[rnd.IntN(len(f.servers))]
		case 2:
			p = f.nats
		case 4: // a partition: it is there but does nothing, longer than a worker's lease
			p = append(append([]*process{}, f.workers...), f.servers...)[rnd.IntN(len(f.workers)+len(f.servers))]
			p.signal(syscall.SIGSTOP)
			time.Sleep(3 * time.Second)
			p.signal(syscall.SIGCONT)
			continue
		}
		p.kill()
		time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
		p.start()
	}
}

// TestParentEndsWithItsWorkers holds that a server that cannot start, for its port is taken, ends its workers and itself.
func TestParentEndsWithItsWorkers(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	out, err := exec.CommandContext(ctx, program, "--base-directory", t.TempDir(), "--listen", "127.0.0.1", "--port", port, "--workers", "1", "--cpu").CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "is already in use") {
		t.Errorf("it ends with %v: %s", err, out)
	}
}
