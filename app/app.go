package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"comfygo/auth"
	"comfygo/cli"
	"comfygo/engine/inspect"
	"comfygo/engine/ort"
	"comfygo/folders"
	"comfygo/internal/plainfile"
	"comfygo/queue/natslog"
	"comfygo/server"
	"comfygo/server/logs"
)

// App is the whole server: made by New, run by Run, freed by Close.
type App struct {
	cfg    cli.Config
	log    *Log
	parts  *parts
	access *access
	server *server.Server
	cert   *certificate // nil without TLS
	close  sync.Once
}

// New puts a server together. Nothing heavy happens: models and the ONNX Runtime library are opened
// by the first prompt that needs them. logs may be nil.
func New(cfg cli.Config, log *Log, logs *logs.Buffer) (_ *App, err error) {
	log.sourceLines(cfg)
	log.folderLines(cfg)
	p, err := build(cfg, log.Logger)
	if err != nil {
		return nil, err
	}
	if err := p.openFiles(cfg, natslog.RoleServer, log.Logger); err != nil {
		return nil, errors.Join(err, p.close())
	}
	access, err := openAccess(cfg, p.folders, log)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	a := &App{cfg: cfg, log: log, parts: p, access: access}
	made := false
	defer func() {
		if !made {
			err = errors.Join(err, access.gate.Close(), a.removeTemp())
		}
	}()
	if a.cert, err = loadCertificate(cfg, func(text string) { log.Warn(text) }); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if err := prepareFolders(cfg, p.folders, log); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if p.assets, err = openAssets(cfg, p.folders, log.Logger); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.machine.describe(log.Logger)
	if err := p.library.check(); err != nil {
		log.Warn("No model can run: " + err.Error())
	}
	a.warn()
	policy, err := queuePolicy(cfg)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	files, err := findQueueFiles(cfg, p.folders, log.Logger)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	pages := findPages(cfg, p.folders.Base(), log.Logger)
	a.server, err = server.New(server.Config{
		Folders:         p.folders,
		Executor:        p.executor,
		Store:           files.store(cfg, log.Logger),
		Queue:           p.fleetQueue(cfg, access.gate.Mode() == auth.ModeStore, log.Logger),
		EventLog:        files.events,
		Policy:          policy,
		WebhookAllow:    cfg.WebhookAllow,
		Auth:            access.gate,
		AuthProxyHeader: cfg.AuthProxyHeader,
		AuthProxies:     access.proxies,
		OIDC:            access.oidc,
		CheckHosts:      checksHosts(cfg, access.gate.Mode()),
		AllowedHosts:    cfg.AllowedHosts,
		CORSOrigin:      cfg.CORSOrigin,
		DisableAPINodes: cfg.DisableAPINodes,
		Compress:        cfg.CompressResponses,
		MaxUploadSize:   maxUploadSize(cfg),
		MultiUser:       cfg.MultiUser,
		FeatureFlags:    cfg.FeatureFlags,
		ComfyAPIBase:    cfg.ComfyAPIBase,
		Assets:          p.assets,
		OpenAssets:      p.assetsForV2(cfg, log.Logger),
		FrontEndRoot:    pages.Root,
		Templates:       pages.Templates,
		DocsRoot:        pages.Docs,
		PackageVersions: pages.Versions,
		DemoWorkflow:    demoWorkflow(cfg),

		DisableCustomNodes:   cfg.DisableCustom,
		WhitelistCustomNodes: cfg.WhitelistCustom,
		Python:               p.python.served(),

		Argv:              append([]string{"comfygo"}, cfg.Args...),
		AppVersion:        Version,
		RuntimeVersion:    runtimeVersion(p.engine.Stats().Version),
		DeployEnvironment: deployEnvironment(p.folders.Base()),
		Stats:             p.machine.stats,
		CheckDevice:       p.machine.check(),
		CheckEngine:       p.library.check,
		StuckAfter:        seconds(cfg.StuckAfter),
		FreeModels:        p.freeModels,
		Models:            p.modelFigures,
		DescribeModels:    describeModels(&inspect.Inspector{}),
		Traces:            p.traces(),
		RuntimeState:      p.runtimeState,
		Logs:              logs,
		Logger:            log.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the server: %w", err), p.close())
	}
	p.python.sendBy(a.server.PackMessages())
	made = true
	return a, nil
}

// Routes lists the server's routes, as METHOD /path/:parameter.
func (a *App) Routes() []string { return a.server.Routes() }

// Run listens and serves until ctx ends. It prints the addresses as soon as they answer.
func (a *App) Run(ctx context.Context) error {
	if a.cfg.PrintServer {
		a.log.Info("Starting server\n")
	}
	endpoints, err := listen(ctx, a.cfg, a.cert)
	if err != nil {
		return err
	}
	listeners := make([]net.Listener, len(endpoints))
	for i, e := range endpoints {
		listeners[i] = e.Listener
		if a.cfg.PrintServer && e.url != "" {
			a.log.Info("To see the GUI go to: " + e.url)
		}
	}
	if a.cfg.AutoLaunch && len(endpoints) > 0 {
		if err := openBrowser(endpoints[0].url); err != nil {
			a.log.Warn("opening the browser: " + err.Error())
		}
	}
	reloads := []func() error{a.access.reload}
	if a.cert != nil {
		reloads = append(reloads, a.cert.Reload)
	}
	defer onHangup(a.log, reloads...)()
	running, stop := a.draining(ctx)
	defer stop()
	var cleaning sync.WaitGroup
	defer cleaning.Wait()
	cleaningCtx, endCleaning := context.WithCancel(ctx)
	defer endCleaning()
	cleaning.Go(func() { a.parts.cleanFiles(cleaningCtx, a.log.Logger) })
	return a.server.Run(running, listeners...)
}

// Close frees everything and removes the temp folder. Run must have returned, if it was called.
func (a *App) Close() error {
	var err error
	a.close.Do(func() {
		err = errors.Join(a.server.Close(), a.access.gate.Close(), a.parts.close(), a.removeTemp())
	})
	return err
}

// removeTemp removes the temp folder unless other servers and workers use it, too.
func (a *App) removeTemp() error {
	if a.cfg.InNATS() {
		return a.parts.folders.LeaveTemp()
	}
	return a.parts.folders.RemoveTemp()
}

// warn reports settings that the user should check before the server listens.
func (a *App) warn() {
	for _, name := range a.cfg.Ignored {
		if strings.Contains(name, "manager") {
			a.log.Warn(name + " is accepted and has no effect: ComfyUI-Manager is a part of ComfyUI's own server")
			continue
		}
		a.log.Warn(name + " is accepted and has no effect in comfygo")
	}
	if flags := a.cfg.NarrowTypes(); len(flags) > 0 && !a.parts.machine.cuda() {
		a.sayNarrow(flags, ort.HasBfloat16())
	}
	if a.cfg.CPUInt8 && a.parts.machine.cuda() {
		a.log.Warn("--cpu-int8: has no effect, diffusion models run on the GPU")
	}
	if (a.cfg.TLSKeyFile == "") != (a.cfg.TLSCertFile == "") {
		a.log.Warn("TLS stays off: it needs both --tls-keyfile and --tls-certfile")
	}
	if text := wideOpen(a.cfg, a.access.gate.Mode()); text != "" {
		a.log.Warn(text)
	}
}

// sayNarrow logs what flags for computing in less than 32 bits do on the CPU: those for bfloat16 act where it multiplies such numbers.
func (a *App) sayNarrow(flags []string, bfloat16 bool) {
	for _, flag := range flags {
		if bfloat16 && strings.HasPrefix(flag, "--bf16-") {
			a.log.Info(flag + ": linear layers and 3x3 convolutions multiply in bfloat16")
			continue
		}
		a.log.Warn(flag + ": has no effect on this CPU, which computes in 32 bit")
	}
}

// maxUploadSize is the limit of request bodies in MB; 0 on the command line means no limit, as upstream.
func maxUploadSize(cfg cli.Config) float64 {
	if cfg.MaxUploadSize == 0 {
		return math.Inf(1)
	}
	return cfg.MaxUploadSize
}

// folderLines reports which folders the flags move.
func (l *Log) folderLines(cfg cli.Config) {
	for _, d := range []struct{ name, path string }{
		{"base", cfg.BaseDirectory},
		{"models", cfg.ModelsDirectory},
		{"output", cfg.OutputDirectory},
		{"input", cfg.InputDirectory},
		{"user", cfg.UserDirectory},
		{"temp", cfg.TempDirectory},
	} {
		if d.path != "" {
			if abs, err := filepath.Abs(d.path); err == nil {
				d.path = abs
			}
			if d.name == "temp" {
				d.path = filepath.Join(d.path, "temp")
			}
			l.Info("Setting " + d.name + " directory to: " + d.path)
		}
	}
}

// sourceLines reports the sources of flags other than the command line, and variables that look like flags but are not.
func (l *Log) sourceLines(cfg cli.Config) {
	if cfg.ConfigFile != "" {
		l.Info("Reading flags from the config file: " + cfg.ConfigFile)
	}
	if len(cfg.FromEnvironment) > 0 {
		l.Info("Reading flags from the environment: " + strings.Join(cfg.FromEnvironment, ", "))
	}
	if len(cfg.UnknownVariables) > 0 {
		l.Warn("Environment variables without effect, no flag has this name: " + strings.Join(cfg.UnknownVariables, ", "))
	}
}

// prepareFolders makes the folders that the server needs. It warns when the base directory did not exist, because its name
// may be mistyped, and makes the folders for model files in it.
func prepareFolders(cfg cli.Config, dirs *folders.Folders, log *Log) error {
	isNew := cfg.BaseDirectory != "" && !exists(dirs.Base())
	if err := dirs.Prepare(); err != nil {
		return fmt.Errorf("preparing the folders: %w", err)
	}
	if !isNew {
		return nil
	}
	if err := dirs.MakeModelFolders(); err != nil {
		return fmt.Errorf("preparing the model folders: %w", err)
	}
	log.Warn("The base directory " + dirs.Base() + " did not exist. It has been created, empty: is its name right?")
	return nil
}

// runtimeVersion returns the value that /system_stats shows in place of PyTorch's version.
func runtimeVersion(onnx string) string {
	if onnx == "" {
		return "onnxruntime"
	}
	return "onnxruntime " + onnx
}

// deployEnvironment is the first line of .comfy_environment, which packagers write.
func deployEnvironment(base string) string {
	const longest = 128
	text, _, err := plainfile.Read(filepath.Join(base, ".comfy_environment"), plainfile.MaxSize)
	if err != nil {
		return "local-git"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, line)
	line = strings.TrimSpace(line[:min(len(line), longest)])
	if line == "" {
		return "local-git"
	}
	return line
}
