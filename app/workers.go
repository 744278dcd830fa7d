package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"comfygo/cli"
	"comfygo/device"
	"comfygo/queue/natslog"
	"comfygo/server/logs"
)

// supervise runs worker processes beside the server, or only workers in the role of a worker. A queue that is not in NATS is moved to a
// NATS server of this process.
func (c Command) supervise(ctx context.Context, cfg cli.Config, log *Log, logs *logs.Buffer) (err error) {
	gpus, _ := device.GPUs() // empty without a driver
	n, auto := cfg.WorkerCount()
	if auto {
		n = max(1, len(gpus))
	}
	credentials := cfg.QueueCredentials
	if !cfg.InNATS() {
		ns, err := ownNATS(cfg, log.Logger)
		if err != nil {
			return err
		}
		defer ns.Close()
		cfg.Queue, cfg.QueueCredentials, credentials = ns.URL(), ns.Files[natslog.RoleServer], ns.Files[natslog.RoleWorker]
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("starting workers: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var workers sync.WaitGroup
	defer func() {
		cancel(nil) // the server may have ended by itself, as when its port is taken
		workers.Wait()
	}()
	for i := range n {
		args := append(append([]string{}, os.Args[1:]...), "--role", "worker", "--workers", "0", "--queue", cfg.Queue)
		if credentials != "" {
			args = append(args, "--queue-credentials", credentials)
		}
		if len(gpus) > 0 {
			args = append(args, "--cuda-device", strconv.Itoa(gpus[i%len(gpus)].Index))
		}
		w := child{
			program: program, args: args, out: c.Stderr, log: log.Logger, patience: seconds(cfg.DrainTimeout) + stopLimit,
			name: fmt.Sprintf("worker %d", i+1),
		}
		workers.Go(func() { w.keep(ctx) })
	}
	if cfg.Role == "worker" {
		<-ctx.Done()
		return nil
	}
	cfg.Role = "server"
	return c.serve(ctx, cfg, log, logs)
}

// ownNATS starts a NATS server for this process and its workers.
func ownNATS(cfg cli.Config, log *slog.Logger) (*natslog.Server, error) {
	store, err := natsStore(cfg, log)
	if err != nil {
		return nil, err
	}
	return natslog.Serve(natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: store, WaitForDisk: cfg.QueueSync == "full", Logger: log})
}

// child is a worker process.
type child struct {
	name, program string
	args          []string
	out           io.Writer
	log           *slog.Logger
	patience      time.Duration // how long it may take to stop
}

const (
	firstRestart, longestRestart = time.Second, 30 * time.Second
	// settled is the time that a process has to run for its next end not to count as one of several.
	settled = time.Minute
)

// keep runs the process, again whenever it ends, until ctx ends; then it asks the process to stop.
func (w *child) keep(ctx context.Context) {
	wait := firstRestart
	for ctx.Err() == nil {
		start := time.Now()
		err := w.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > settled {
			wait = firstRestart
		}
		w.log.Error("a worker process has ended; it is started again", "worker", w.name, "in", wait, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longestRestart)
	}
}

func (w *child) run(ctx context.Context) error {
	runtime.LockOSThread() // Linux ends the process with the thread that has started it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, w.program, w.args...) //nolint:gosec // this program itself
	cmd.Stdout, cmd.Stderr = w.out, w.out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = w.patience
	dieWithParent(cmd)
	err := cmd.Run()
	if err == nil {
		err = errors.New("it has stopped by itself")
	}
	return err
}
