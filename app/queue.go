package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comfygo/cli"
	"comfygo/folders"
	"comfygo/internal/filelock"
	"comfygo/queue"
)

// queueFile is the name of the queue's file in the user folder.
const queueFile = "comfygo-queue.db"

// eventFile is the name of the file of WebSocket events there.
const eventFile = "comfygo-events.log"

// queueFiles holds the paths of the files of jobs, and of the events for clients that reconnect; empty with a queue
// in memory.
type queueFiles struct {
	queue, events string
	lock          *filelock.Lock // on the queue file; nil lets the store take it
}

// maxQueueFiles bounds the servers of one user folder that have the same port, as port 0 for any.
const maxQueueFiles = 64

// findQueueFiles chooses the files of this server. Without --queue-file the first server of a user folder has
// comfygo-queue.db, and others have files named for their port, which they find again at the next start.
func findQueueFiles(cfg cli.Config, dirs *folders.Folders, log *slog.Logger) (queueFiles, error) {
	if cfg.Queue == "memory" || cfg.InNATS() {
		return queueFiles{}, nil
	}
	if cfg.QueueFile != "" {
		return queueFiles{queue: cfg.QueueFile, events: cfg.QueueFile + ".events.log"}, nil
	}
	names := []string{""}
	own := fmt.Sprint("-", cfg.Port)
	if _, err := os.Stat(filepath.Join(dirs.User(), "comfygo-queue"+own+".db")); err == nil {
		names = []string{own, ""}
	} else {
		names = append(names, own)
	}
	for i := 2; i <= maxQueueFiles; i++ {
		names = append(names, fmt.Sprint(own, "-", i))
	}
	var err error
	for _, name := range names {
		f := queueFiles{
			queue:  filepath.Join(dirs.User(), strings.Replace(queueFile, ".", name+".", 1)),
			events: filepath.Join(dirs.User(), strings.Replace(eventFile, ".", name+".", 1)),
		}
		if f.lock, err = queue.LockFile(f.queue); errors.Is(err, filelock.ErrInUse) {
			continue
		}
		if err != nil {
			return f, fmt.Errorf("locking the queue %s: %w", f.queue, err)
		}
		if name != "" {
			log.Info(fmt.Sprintf("the queue of this server is kept in %s, since servers share the user folder", filepath.Base(f.queue)))
		}
		return f, nil
	}
	return queueFiles{}, fmt.Errorf("finding a queue file in %s: %w", dirs.User(), err)
}

// store returns the store of jobs.
func (f queueFiles) store(cfg cli.Config, log *slog.Logger) queue.Store {
	if f.queue == "" {
		return queue.NewMemory()
	}
	return queue.NewFile(f.queue, queue.FileOptions{WaitForDisk: cfg.QueueSync == "full", Lock: f.lock, Logger: log})
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
		ModelWait:    modelWait(cfg),
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

// modelWait is how long jobs wait for models; a queue of this process alone has no workers to wait for.
func modelWait(cfg cli.Config) time.Duration {
	if !cfg.InNATS() {
		return 0
	}
	return seconds(cfg.QueueModelWait)
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// draining returns a context that ends after ctx: when SIGTERM has ended that, the running job gets some time first.
// stop must be called.
func (a *App) draining(ctx context.Context) (running context.Context, stop func()) {
	return drainingOf(ctx, a.drain)
}

// drainingOf is draining for what drain does.
func drainingOf(ctx context.Context, drain func(context.Context)) (running context.Context, stop func()) {
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
			drain(running)
		}
		cancel(context.Cause(ctx))
	}()
	return running, func() {
		cancel(nil)
		<-done
	}
}

func (a *App) drain(ctx context.Context) {
	a.log.Info(fmt.Sprintf("Draining: new prompts are refused, the running one has %g s to finish", a.cfg.DrainTimeout))
	ctx, cancel := context.WithTimeout(ctx, seconds(a.cfg.DrainTimeout))
	defer cancel()
	if err := a.server.Drain(ctx); err != nil {
		a.log.Warn("interrupting the running prompt: the time to drain is over")
	}
}
