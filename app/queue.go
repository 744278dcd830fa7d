package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comfygo/cli"
	"comfygo/folders"
	"comfygo/queue"
)

// queueFile is the name of the queue's file in the user folder.
const queueFile = "comfygo-queue.db"

// eventFile is the name of the file of WebSocket events there.
const eventFile = "comfygo-events.log"

// queueStore is where jobs are kept.
func queueStore(cfg cli.Config, dirs *folders.Folders, log *slog.Logger) queue.Store {
	if cfg.Queue == "memory" {
		return queue.NewMemory()
	}
	path := cfg.QueueFile
	if path == "" {
		path = filepath.Join(dirs.User(), queueFile)
	}
	return queue.NewFile(path, queue.FileOptions{WaitForDisk: cfg.QueueSync == "full", Logger: log})
}

// eventLog is where the events for clients that come back are kept; "" with a queue in memory.
func eventLog(cfg cli.Config, dirs *folders.Folders) string {
	if cfg.Queue == "memory" {
		return ""
	}
	return filepath.Join(dirs.User(), eventFile)
}

// queuePolicy reads how jobs are treated.
func queuePolicy(cfg cli.Config) (queue.Policy, error) {
	p := queue.Policy{
		HistoryLimit: max(1, cfg.QueueKeep),
		HistoryAge:   time.Duration(cfg.QueueKeepDays * 24 * float64(time.Hour)),
		OnRestart:    queue.Restart(cfg.QueueOnRestart),
		Limit:        cfg.QueueLimit,
		ClientLimit:  cfg.QueueClientLimit,
		TimeLimit:    seconds(cfg.JobTimeLimit),
		Fair:         cfg.QueueFair,
		Weights:      map[string]float64{},
	}
	for _, w := range cfg.QueueWeights {
		at := strings.LastIndex(w, "=")
		weight, err := strconv.ParseFloat(w[at+1:], 64)
		if at < 1 || err != nil || !(weight > 0) {
			return p, fmt.Errorf("reading --queue-weight %q: it is not CLIENT=N with a number above 0", w)
		}
		p.Weights[w[:at]] = weight
	}
	return p, nil
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// draining returns a context that ends after ctx: when SIGTERM has ended that, the running job gets some time first.
// stop must be called.
func (a *App) draining(ctx context.Context) (running context.Context, stop func()) {
	running, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-running.Done():
			return
		case <-ctx.Done():
		}
		var by *signalError
		if errors.As(context.Cause(ctx), &by) && by.signal == syscall.SIGTERM {
			a.drain(running)
		}
		cancel(context.Cause(ctx))
	}()
	return running, func() {
		cancel(nil)
		<-done
	}
}

func (a *App) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, seconds(a.cfg.DrainTimeout))
	defer cancel()
	if err := a.server.Drain(ctx); err != nil {
		a.log.Warn("interrupting the running prompt: the time to drain is over")
	}
}
