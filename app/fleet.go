package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comfygo/cli"
	"comfygo/engine/family"
	"comfygo/engine/inspect"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/queue"
	"comfygo/queue/natslog"
	"comfygo/server"
	"comfygo/server/logs"
	"comfygo/server/worker"
)

// joinPatience is the time for which a process tries to reach NATS at its start.
const joinPatience = 60 * time.Second

// openLog connects to NATS by the flags.
func openLog(cfg cli.Config, role natslog.Role, log *slog.Logger) (*natslog.Log, error) {
	ctx, stop := context.WithTimeout(context.Background(), joinPatience)
	defer stop()
	return natslog.Open(ctx, natslog.Config{
		URLs: strings.Split(cfg.Queue, ","), Credentials: cfg.QueueCredentials, CA: cfg.QueueCA, Role: role, Replicas: cfg.QueueReplicas,
		Name: workerName(), Logger: log,
	})
}

// workerName returns the name that people know this process by.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// ad describes what this process can run.
func (p *parts) ad(cfg cli.Config) queue.WorkerAd {
	ad := queue.WorkerAd{Name: workerName(), Version: Version, Device: p.machine.device().String(), Labels: slices.Sorted(slices.Values(cfg.WorkerLabels))}
	if s := p.machine.stats(); len(s.Devices) > 0 {
		ad.VRAMTotal, ad.VRAMFree = s.Devices[0].VRAMTotal, s.Devices[0].VRAMFree
		ad.Device += " " + s.Devices[0].Name
	}
	ad.Classes = p.executor.Registry().Names()
	slices.Sort(ad.Classes)
	for _, f := range family.Default.Diffusion() {
		ad.Families = append(ad.Families, f.Name())
	}
	slices.Sort(ad.Families)
	return ad
}

func (p *parts) vramFree() int64 {
	if s := p.machine.stats(); len(s.Devices) > 0 {
		return s.Devices[0].VRAMFree
	}
	return 0
}

// fleetQueue makes the queue of a server that is one of several, or returns nil if the queue belongs to
// this process alone.
func (p *parts) fleetQueue(cfg cli.Config, owned bool, log *slog.Logger) func(queue.Config, queue.Fleet, server.RunRemote) (queue.Queue, error) {
	if !cfg.InNATS() {
		return nil
	}
	return func(c queue.Config, f queue.Fleet, run server.RunRemote) (queue.Queue, error) {
		bus, err := openLog(cfg, natslog.RoleServer, log)
		if err != nil {
			return nil, err
		}
		d := queue.DistributedConfig{
			Config: c, Fleet: f, Log: bus, Owned: owned, Lease: seconds(cfg.WorkerLease), Families: familiesOf(&inspect.Inspector{}, p.folders, runningFamilies()),
		}
		if cfg.Role == "all" {
			d.Worker = queue.NewRemoteWorker(queue.RemoteConfig{
				Log: bus, Run: run, Ad: func() queue.WorkerAd { return p.ad(cfg) }, Ready: p.executor.Registry().Wait, VRAMFree: p.vramFree, Free: c.Free, Logger: log,
			})
			p.python.onChange(d.Worker.Announce)
		}
		q, err := queue.NewDistributed(d)
		if err != nil {
			return nil, errors.Join(err, bus.Close())
		}
		return q, nil
	}
}

// familyLimit bounds the time in which a server looks into the model files of a prompt.
const familyLimit = time.Second

// familiesOf finds the families of the diffusion models that a prompt's native loaders open, of those that run. A file that this server does not have
// is the worker's to judge.
func familiesOf(look *inspect.Inspector, dirs *folders.Folders, running []string) func(prompt *pyjson.Object) []string {
	return func(prompt *pyjson.Object) []string {
		ctx, stop := context.WithTimeout(context.Background(), familyLimit)
		defer stop()
		found := map[string]bool{}
		for _, v := range prompt.All() {
			node, _ := v.(*pyjson.Object)
			class, native := nodes.Default().Get(node.String("class_type"))
			if !native {
				continue // packs have runtimes of their own
			}
			for input, v := range node.Object("inputs").All() {
				name, ok := v.(string)
				if !ok || !slices.Contains(modelEndings, strings.ToLower(path.Ext(name))) {
					continue
				}
				in, ok := class.Input(input)
				if !ok || in.Folder() != "checkpoints" && in.Folder() != "diffusion_models" {
					continue
				}
				file, ok := dirs.Find(in.Folder(), name)
				if !ok {
					continue
				}
				if d := look.File(ctx, file); d.Runs && slices.Contains(running, d.Family) {
					found[d.Family] = true
				}
			}
		}
		return slices.Sorted(maps.Keys(found))
	}
}

// work runs jobs for the servers of a fleet until ctx ends.
func (c Command) work(ctx context.Context, cfg cli.Config, log *Log) (err error) {
	log.sourceLines(cfg)
	log.folderLines(cfg)
	p, err := build(cfg, log.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.openFiles(cfg, natslog.RoleWorker, log.Logger); err != nil {
		return err
	}
	if err := prepareFolders(cfg, p.folders, log); err != nil {
		return err
	}
	p.machine.describe(log.Logger)
	if err := p.library.check(); err != nil {
		log.Warn("No model can run: " + err.Error())
	}
	bus, err := openLog(cfg, natslog.RoleWorker, log.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	remote := &worker.Remote{Executor: p.executor, Folders: p.folders, Log: log.Logger}
	p.python.sendBy(remote)
	w := queue.NewRemoteWorker(queue.RemoteConfig{
		Log: bus, Run: remote.Run, Ad: func() queue.WorkerAd { return p.ad(cfg) }, Ready: p.executor.Registry().Wait, VRAMFree: p.vramFree,
		Free: func(f queue.Flags) { remote.Free(f, p.freeModels) }, Logger: log.Logger,
	})
	p.python.onChange(w.Announce)
	log.Info("Working for the queue at " + natslog.Addresses(strings.Split(cfg.Queue, ",")))
	running, stop := drainingOf(ctx, func(ctx context.Context) {
		log.Info(fmt.Sprintf("Draining: no more jobs are taken, the running one has %g s to finish", cfg.DrainTimeout))
		ctx, cancel := context.WithTimeout(ctx, seconds(cfg.DrainTimeout))
		defer cancel()
		if err := w.Drain(ctx); err != nil {
			log.Warn("giving the running prompt back: the time to drain is over")
		}
	})
	defer stop()
	return w.Work(running)
}

// NATS runs a NATS server until a signal ends it.
func (c Command) NATS(ctx context.Context, cfg cli.Config, o cli.NATSOptions) (err error) {
	log, err := NewLog(cfg, LogOutputs{Stdout: c.Stdout, Stderr: c.Stderr, Tee: logs.NewBuffer(rememberedLines), Color: wantsColor(c.Stderr)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ctx, stop := withSignals(ctx, stopLimit, nil)
	defer stop()
	store := o.Store
	if store == "" {
		if store, err = natsStore(cfg, log.Logger); err != nil {
			return err
		}
	}
	ns, err := natslog.Serve(natslog.ServerConfig{
		Host: cfg.Listen, Port: o.Port, Store: store, CertFile: cfg.TLSCertFile, KeyFile: cfg.TLSKeyFile, WaitForDisk: cfg.QueueSync == "full",
		MaxStore: int64(o.Max * gib), Logger: log.Logger,
	})
	if err != nil {
		return err
	}
	defer ns.Close()
	log.Info("NATS listens at " + ns.URL())
	log.Info("credentials of servers: " + ns.Files[natslog.RoleServer])
	log.Info("credentials of workers: " + ns.Files[natslog.RoleWorker])
	return ns.Run(ctx)
}

// natsStore is the folder of a NATS server of this program without --store.
func natsStore(cfg cli.Config, log *slog.Logger) (string, error) {
	dirs, err := openFolders(cfg, log)
	if err != nil {
		return "", err
	}
	return filepath.Join(dirs.User(), "comfygo-nats"), nil
}
