package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"comfygo/queue"
	"comfygo/queue/natslog"
)

// child is a process of this program that is asked by lines.
type child struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
	end io.Closer
}

func begin(ctx context.Context, words ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, words...) //nolint:gosec // this program itself
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd: cmd, in: json.NewEncoder(in), out: json.NewDecoder(out), end: in}, nil
}

func (c *child) stop() {
	_ = c.end.Close()
	_ = c.cmd.Process.Signal(os.Interrupt)
	_ = c.cmd.Wait() // it was asked to end
}

func (c *child) ask(q question) (a answer, err error) {
	if err := c.in.Encode(q); err != nil {
		return a, err
	}
	if err := c.out.Decode(&a); err != nil {
		return a, err
	}
	if a.Err != "" {
		return a, errors.New(a.Err)
	}
	return a, nil
}

// used are the CPU seconds and the resident memory of the process.
func (c *child) used() (cpu float64, rss int64, err error) {
	p, err := process.NewProcess(int32(c.cmd.Process.Pid)) //nolint:gosec // a process id fits
	if err != nil {
		return 0, 0, err
	}
	times, err := p.Times()
	if err != nil {
		return 0, 0, err
	}
	memory, err := p.MemoryInfo()
	if err != nil {
		return 0, 0, err
	}
	return times.User + times.System, int64(memory.RSS), nil //nolint:gosec // memory fits
}

// fleet is NATS with one server.
type fleet struct {
	store        string
	at           addressOf
	nats, server *child
}

func newFleet(ctx context.Context) (*fleet, error) {
	store, err := os.MkdirTemp("", "fleetcost-")
	if err != nil {
		return nil, err
	}
	f := &fleet{store: store}
	if f.nats, err = begin(ctx, "nats", store); err != nil {
		f.close()
		return nil, err
	}
	if err = f.nats.out.Decode(&f.at); err == nil {
		f.server, err = begin(ctx, "server", f.at.URL, f.at.Server)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) close() {
	for _, c := range []*child{f.server, f.nats} {
		if c != nil {
			c.stop()
		}
	}
	_ = os.RemoveAll(f.store)
}

// size is what NATS has on disk.
func (f *fleet) size() (total int64) {
	_ = filepath.WalkDir(f.store, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil // what goes meanwhile does not count
	})
	return total
}

func costOfJobs(ctx context.Context, counts []int) (list []jobCost, err error) {
	f, err := newFleet(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if _, err := f.server.ask(question{Pause: true}); err != nil {
		return nil, err
	}
	have := 0
	for _, n := range counts {
		before, _, err := f.server.used()
		if err != nil {
			return nil, err
		}
		a, err := f.server.ask(question{Put: n - have})
		if err != nil {
			return nil, fmt.Errorf("queueing %d jobs: %w", n, err)
		}
		after, rss, err := f.server.used()
		if err != nil {
			return nil, err
		}
		p := jobCost{Jobs: n, Heap: a.Heap, RSS: rss, Store: f.size(), Accept: (after - before) / float64(n-have)}
		have = n
		if a, err = f.server.ask(question{List: true}); err != nil {
			return nil, err
		}
		p.Snapshot = a.Seconds
		if p.Start, err = f.start(ctx, n); err != nil {
			return nil, err
		}
		list = append(list, p)
		fmt.Fprintf(os.Stderr, "%+v\n", p)
	}
	a, err := f.server.ask(question{Clear: true})
	if err != nil {
		return nil, err
	}
	list[len(list)-1].Clear = a.Seconds
	return list, nil
}

const startPatience = 2 * time.Minute

// start is how long another server takes until it knows the jobs.
func (f *fleet) start(ctx context.Context, jobs int) (seconds float64, err error) {
	begun := time.Now()
	other, err := begin(ctx, "server", f.at.URL, f.at.Server)
	if err != nil {
		return 0, err
	}
	defer other.stop()
	for time.Since(begun) < startPatience {
		a, err := other.ask(question{})
		if err != nil || a.Waiting == jobs {
			return time.Since(begun).Seconds(), err
		}
		if !wait(ctx, 20*time.Millisecond) {
			break
		}
	}
	return 0, fmt.Errorf("a new server does not know the %d jobs in %v", jobs, startPatience)
}

// costOfWorkers watches a server with workers that wait, and then with workers that all run jobs.
func costOfWorkers(ctx context.Context, n int, length, busy time.Duration) (p workerCost, err error) {
	f, err := newFleet(ctx)
	if err != nil {
		return p, err
	}
	defer f.close()
	workCtx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer func() { cancel(); workers.Wait() }()
	for range n {
		log, err := natslog.Open(ctx, natslog.Config{URLs: []string{f.at.URL}, Credentials: f.at.Worker, Role: natslog.RoleWorker, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return p, err
		}
		w := queue.NewRemoteWorker(queue.RemoteConfig{Log: log, Ad: ad, Run: waiting(busy)})
		workers.Go(func() { _ = w.Work(workCtx); _ = log.Close() }) // it ends with the context
	}
	var a answer
	for a.Workers < n {
		if a, err = f.server.ask(question{}); err != nil {
			return p, err
		}
		if !wait(ctx, time.Second/4) {
			return p, ctx.Err()
		}
	}
	p = workerCost{Workers: n}
	if p.Idle, p.NATSIdle, err = f.watch(ctx, length); err != nil {
		return p, err
	}
	if a, err = f.server.ask(question{Put: int(float64(n)*(1+length.Seconds()/busy.Seconds())) + n}); err != nil {
		return p, err
	}
	before := a.History
	if p.Busy, p.NATSBusy, err = f.watch(ctx, length); err != nil {
		return p, err
	}
	if a, err = f.server.ask(question{Heap: true}); err != nil {
		return p, err
	}
	p.Heap, p.Ended = a.Heap, a.History-before
	_, p.RSS, err = f.server.used()
	fmt.Fprintf(os.Stderr, "%+v, %d run\n", p, a.Running)
	return p, err
}

// watch returns the CPUs that the server and NATS take for a while.
func (f *fleet) watch(ctx context.Context, length time.Duration) (server, nats float64, err error) {
	s0, _, err := f.server.used()
	if err != nil {
		return 0, 0, err
	}
	n0, _, err := f.nats.used()
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if !wait(ctx, length) {
		return 0, 0, ctx.Err()
	}
	took := time.Since(begun).Seconds()
	s1, _, err := f.server.used()
	if err != nil {
		return 0, 0, err
	}
	n1, _, err := f.nats.used()
	return (s1 - s0) / took, (n1 - n0) / took, err
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// ad is what a worker tells of itself: as many classes as the program has.
func ad() queue.WorkerAd {
	const others = 600
	ad := queue.WorkerAd{Name: "simulated", Device: "none", VRAMTotal: 80 << 30, VRAMFree: 40 << 30, Classes: append([]string{}, classes...)}
	for i := range others {
		ad.Classes = append(ad.Classes, fmt.Sprintf("ZNodeClassNumber%04d", i))
	}
	return ad
}

// waiting runs a job that only waits, and tells its progress each second.
func waiting(length time.Duration) func(context.Context, *queue.Job, func([]byte, bool)) queue.Outcome {
	progress := []byte(`{"type":"progress","data":{"value":1,"max":20,"node":"3"},"pad":"` + strings.Repeat("x", 200) + `"}`)
	return func(ctx context.Context, _ *queue.Job, tell func([]byte, bool)) queue.Outcome {
		for end := time.Now().Add(length); time.Now().Before(end); {
			tell(progress, true)
			if !wait(ctx, min(time.Second, time.Until(end))) {
				break
			}
		}
		return queue.Outcome{Success: true}
	}
}
