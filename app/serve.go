package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"comfygo/cli"
	"comfygo/server/logs"
)

// Log lines that /internal/logs remembers.
const rememberedLines = 300

// Command binds the commands of the program to the standard streams.
type Command struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Handlers are the commands for cli.Main.
func (c Command) Handlers() cli.Handlers {
	return cli.Handlers{
		Serve: c.Serve, Run: c.RunWorkflow, Doctor: c.Doctor, Remote: c.Remote, Check: c.Check, Health: c.Health, Frontend: c.Frontend, Packs: c.Packs,
		Auth: c.Auth, NATS: c.NATS, Backup: c.Backup, Restore: c.Restore, Setup: c.Setup, Version: c.PrintVersion,
	}
}

// signalError is the cause of a context that a signal has ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "stopping on signal: " + e.signal.String() }

// stopLimit is the time that the program may take to stop by itself, after the time to drain. A single
// operation of the model runtime cannot be interrupted and may take long.
const stopLimit = 30 * time.Second

// withSignals returns a context that the first SIGINT or SIGTERM ends. A second signal ends the program
// at once, and so does the time limit. stop must be called.
func withSignals(ctx context.Context, limit time.Duration, seen func(os.Signal)) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var first os.Signal
		select {
		case first = <-signals:
		case <-stopped:
			return
		}
		if seen != nil {
			seen(first)
		}
		cancel(&signalError{signal: first})
		select {
		case again := <-signals:
			os.Exit(signalCode(again))
		case <-time.After(limit):
			os.Exit(signalCode(first))
		case <-stopped:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		<-done
		cancel(nil)
	}
}

// signalCode is the exit code of a program ended by a signal, as in a shell.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return cli.CodeFailed
}

// Serve runs the server until a signal ends it: exit code 0 after Ctrl-C, 143 after SIGTERM, 1 when
// something is wrong.
func (c Command) Serve(ctx context.Context, cfg cli.Config) (err error) {
	logs := logs.NewBuffer(rememberedLines)
	log, err := NewLog(cfg, LogOutputs{Stdout: c.Stdout, Stderr: c.Stderr, Tee: logs, Color: wantsColor(c.Stderr)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ctx, stop := withSignals(ctx, stopLimit+seconds(cfg.DrainTimeout), func(s os.Signal) {
		if cfg.DebugHang && s == os.Interrupt {
			_ = pprof.Lookup("goroutine").WriteTo(c.Stderr, 2) // help for a person who watches
		}
	})
	defer stop()
	switch n, auto := cfg.WorkerCount(); {
	case n > 0 || auto:
		err = c.supervise(ctx, cfg, log, logs)
	case cfg.Role == "worker":
		err = c.work(ctx, cfg, log)
	default:
		err = c.serve(ctx, cfg, log, logs)
	}
	var by *signalError
	stopped := errors.As(err, &by) // while it waited for the port
	switch {
	case err != nil && !stopped:
		log.Error(err.Error())
		return &cli.ExitError{Code: cli.CodeFailed}
	case errors.As(context.Cause(ctx), &by) && by.signal == syscall.SIGTERM:
		return &cli.ExitError{Code: signalCode(by.signal)}
	case errors.As(context.Cause(ctx), &by):
		log.Info("\nStopped server")
	}
	return nil
}

func (c Command) serve(ctx context.Context, cfg cli.Config, log *Log, logs *logs.Buffer) (err error) {
	a, err := New(cfg, log, logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if cfg.QuickTestForCI {
		return nil
	}
	return a.Run(ctx)
}

// openBrowser shows an address in the user's browser.
func openBrowser(url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	cmd := exec.Command(name, args...) // not bound to the server: the browser outlives it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	return cmd.Process.Release()
}
