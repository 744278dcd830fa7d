package server

import (
	"math"
	"time"

	"comfygo/queue/webhook"
	"comfygo/server/access"
	"comfygo/server/assets"
	authroutes "comfygo/server/auth"
	"comfygo/server/disk"
	"comfygo/server/features"
	"comfygo/server/files"
	"comfygo/server/health"
	"comfygo/server/images"
	"comfygo/server/jobs"
	"comfygo/server/logs"
	"comfygo/server/measure"
	"comfygo/server/models"
	"comfygo/server/packs"
	"comfygo/server/pages"
	"comfygo/server/prompts"
	"comfygo/server/reply"
	"comfygo/server/sockets"
	"comfygo/server/users"
	"comfygo/server/worker"
)

// handlers are the structs with the routes' methods, and their shared parts.
type handlers struct {
	reply     *reply.Service
	access    *access.Service
	catalogue *assets.Store
	assets    *assets.Service
	auth      *authroutes.Service
	login     *authroutes.Login
	features  *features.Service
	files     *files.Service
	health    *health.Service
	jobs      *jobs.Service
	logs      *logs.Service
	measure   *measure.Service
	models    *models.Service
	nodes     *models.ObjectInfo
	packs     *packs.Service
	pages     *pages.Service
	prompts   *prompts.Service
	sockets   *sockets.Service
	users     *users.Service
	worker    *worker.Service
}

// shared makes the handlers' shared parts. The queue does not exist yet: it is passed to access later.
func (s *Server) shared(store *users.Store) {
	limit := int64(math.MaxInt64)
	if bytes := s.cfg.MaxUploadSize * 1048576; bytes < math.MaxInt64 {
		limit = int64(math.RoundToEven(bytes))
	}
	s.access = &access.Service{Gate: s.gate, Common: s.cfg.Folders, MaxBody: limit}
	s.reply = &reply.Service{Compress: s.cfg.Compress, BodyLimit: s.access.BodyLimit}
	s.features.Reply = s.reply
	s.catalogue = &assets.Store{Library: s.cfg.Assets, Users: store, Access: s.access, Hub: s.hub, Log: s.log}
}

// serveJobs makes the handlers of prompts, jobs and credentials, and completes the worker, which the queue knows already.
func (s *Server) serveJobs(guard *webhook.Guard) {
	cfg := &s.cfg
	s.nodes = &models.ObjectInfo{
		Reply: s.reply, Access: s.access, Assets: s.catalogue, Folders: cfg.Folders, Registry: cfg.Executor.Registry(), Env: cfg.Executor.Env,
	}
	s.jobs = &jobs.Service{Reply: s.reply, Access: s.access, Queue: s.queue, Runs: &s.runs, Bell: &s.bell, Log: s.log}
	p := s.prompts
	p.Reply, p.Access, p.Jobs, p.Nodes, p.Gate, p.Queue = s.reply, s.access, s.jobs, s.nodes, s.gate, s.queue
	p.Guard, p.Executor, p.Registry, p.Traces, p.Log = guard, cfg.Executor, cfg.Executor.Registry(), cfg.Traces, s.log
	s.auth = &authroutes.Service{
		Reply: s.reply, Access: s.access, Gate: s.gate, Hub: s.hub, Queue: s.queue, Jobs: s.jobs, Prompts: s.prompts,
	}
	s.sockets = &sockets.Service{Reply: s.reply, Access: s.access, Gate: s.gate, Hub: s.hub, Queue: s.queue, Limits: cfg.SocketLimits, Log: s.log}
	w := s.worker
	w.Access, w.Assets, w.Gate, w.Hub, w.Queue = s.access, s.catalogue, s.gate, s.hub, s.queue
	w.Executor, w.Registry, w.Traces, w.FreeModels, w.Log = cfg.Executor, cfg.Executor.Registry(), cfg.Traces, cfg.FreeModels, s.log
	if cfg.Python != nil {
		w.ReloadPacks, p.Packs = cfg.Python.Reload, cfg.Python.Prompt
	}
}

// serveFiles makes the handlers that read and write files.
func (s *Server) serveFiles(store *users.Store) {
	cfg := &s.cfg
	d := disk.New(cfg.Folders, cfg.FrontEndRoot)
	imageService := images.New(d)
	imageService.Budget = cfg.ImageBudget
	if cfg.ImageLimits != nil {
		imageService.Limits = *cfg.ImageLimits
	}
	s.packs = &packs.Service{
		Reply: s.reply, Folders: cfg.Folders, FrontEndRoot: cfg.FrontEndRoot, DisableCustomNodes: cfg.DisableCustomNodes,
		WhitelistCustomNodes: cfg.WhitelistCustomNodes, Python: cfg.Python, Fleet: cfg.Queue != nil, Queue: s.queue, MayRun: s.access.MayRun, Log: s.log,
	}
	s.pages = &pages.Service{
		Reply: s.reply, Access: s.access, Packs: s.packs, Disk: d, Echo: s.echo, FrontEndRoot: cfg.FrontEndRoot, Templates: cfg.Templates,
		DocsRoot: cfg.DocsRoot, DemoWorkflow: cfg.DemoWorkflow, AppVersion: cfg.AppVersion,
	}
	s.login = &authroutes.Login{
		Reply: s.reply, Access: s.access, Gate: s.gate, OIDC: cfg.OIDC, Proxies: cfg.AuthProxies, Unrouted: s.pages.Unrouted, Log: s.log,
	}
	s.assets = &assets.Service{
		Reply: s.reply, Access: s.access, Assets: s.catalogue, Library: cfg.Assets, Folders: cfg.Folders, Disk: d, Unrouted: s.pages.Unrouted,
	}
	s.files = &files.Service{
		Reply: s.reply, Access: s.access, Assets: s.catalogue, Images: imageService, Disk: d, Folders: cfg.Folders, Queue: s.queue,
		Turns: store.Turns,
	}
	s.models = &models.Service{Reply: s.reply, Images: imageService, Folders: cfg.Folders, Describe: cfg.DescribeModels}
	s.users = &users.Service{Reply: s.reply, Access: s.access, Users: store, Disk: d, MultiUser: cfg.MultiUser, Log: s.log}
}

// serveMachine makes the handlers that report the state of the server: health, figures, the log.
func (s *Server) serveMachine() {
	cfg := &s.cfg
	s.health = &health.Service{
		Reply: s.reply, Access: s.access, Gate: s.gate, Queue: s.queue, Policy: cfg.Policy, Hub: s.hub, Folders: cfg.Folders, State: &s.state,
		Started: time.Now(), Argv: cfg.Argv, AppVersion: cfg.AppVersion, RuntimeVersion: cfg.RuntimeVersion, DeployEnvironment: cfg.DeployEnvironment,
		PackageVersions: cfg.PackageVersions, Stats: cfg.Stats, CheckDevice: cfg.CheckDevice, CheckEngine: cfg.CheckEngine, DiskReserve: cfg.DiskReserve, StuckAfter: cfg.StuckAfter,
		RuntimeState: cfg.RuntimeState, PackProcesses: s.packs.Processes,
	}
	s.measure = &measure.Service{
		Queue: s.queue, Hub: s.hub, Health: s.health, Models: cfg.Models, Traces: cfg.Traces, AppVersion: cfg.AppVersion,
	}
	if cfg.Python != nil {
		s.measure.Python = cfg.Python.Stats
	}
	s.measure.Metrics = s.measure.NewMetrics()
	s.worker.Metrics = s.measure.Metrics
	s.logs = logs.New(s.reply, s.access, s.hub, cfg.Logs)
}
