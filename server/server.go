// Package server is the HTTP and WebSocket face of the program: ComfyUI's routes, one file per resource.
//
// It turns requests into calls of the executor, the queue and the folders, and their results into ComfyUI's JSON. It
// must not know how a node works or what a model is.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
	"comfygo/queue"
	"comfygo/queue/webhook"
	"comfygo/server/features"
	"comfygo/server/health"
	"comfygo/server/hub"
	"comfygo/server/jobs"
	"comfygo/server/prompts"
	"comfygo/server/reply"
	"comfygo/server/users"
	"comfygo/server/v2"
	"comfygo/server/worker"
)

// Server serves one set of folders with one queue. It holds one handler struct for each group of routes; see routes.go.
type Server struct {
	cfg     Config
	log     *slog.Logger
	echo    *echo.Echo
	hub     *hub.Hub
	queue   queue.Queue
	hooks   *webhook.Sender
	gate    auth.Gate
	v2      *v2.API
	claims  v2.Claims
	bell    jobs.Bell
	runs    jobs.Runs
	state   health.State
	unwatch func() // ends the subscription to revoked credentials; nil without authentication
	closing sync.Once
	handlers
}

const (
	headerTimeout = 15 * time.Second
	idleTimeout   = 2 * time.Minute
	// drainTimeout is the time that requests may continue after the server was told to end.
	drainTimeout   = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// New makes a server. It reads the users' list and the queue's store and touches nothing else.
func New(cfg Config) (*Server, error) {
	if cfg.Folders == nil || cfg.Executor == nil {
		return nil, fmt.Errorf("making a server: folders and executor are required")
	}
	if cfg.MaxUploadSize == 0 {
		cfg.MaxUploadSize = 100
	}
	s := &Server{cfg: cfg, log: cfg.Logger, gate: cfg.Auth, echo: echo.New()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.gate == nil {
		s.gate = auth.Open{Logger: s.log}
	}
	guard, err := webhook.NewGuard(cfg.WebhookAllow)
	if err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	store, err := users.NewStore(cfg.Folders, cfg.MultiUser)
	if err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.hooks = webhook.NewSender(guard)
	s.features = &features.Service{
		Assets: cfg.Assets != nil, FeatureFlags: cfg.FeatureFlags, ComfyAPIBase: cfg.ComfyAPIBase, MaxUploadSize: cfg.MaxUploadSize, Log: s.log,
	}
	s.hub = hub.New(hub.Config{Features: s.features.Features(), Journal: cfg.EventLog, Shared: cfg.Queue != nil, Logger: s.log})
	made := false
	defer func() {
		if !made {
			s.hub.Close()
		}
	}()
	s.shared(store)
	s.worker = &worker.Service{Runs: &s.runs, State: &s.state}
	s.prompts = &prompts.Service{}
	queueConfig := queue.Config{
		Policy: cfg.Policy, Run: s.worker.RunJob, Changed: s.queueChanged, Owners: s.ownersChanged(), Finished: s.worker.JobFinished,
		Idle: cfg.Executor.DropHeadStart, Free: s.worker.Free, Send: s.hooks.Send, Receipts: s.restoreKeys, Store: cfg.Store, Logger: s.log,
	}
	if cfg.Queue != nil {
		s.queue, err = cfg.Queue(queueConfig, s.worker.Fleet(), s.worker.RunRemote)
	} else {
		s.queue, err = newLocal(queueConfig)
	}
	if err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.access.Queue = s.queue
	s.hub.Remaining(s.queue.Remaining())
	s.serveJobs(guard)
	s.serveFiles(store)
	s.serveMachine()
	if s.access.Owned() {
		store.Owner = s.access.UserOwner
		s.tellOwners()
	}
	if s.access.Guarded() {
		s.unwatch = s.gate.Watch(s.sockets.Ended)
	}
	s.catalogue.Watch()
	if s.v2, err = s.newV2(); err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.worker.V2 = s.v2
	s.router()
	made = true
	return s, nil
}

// newLocal makes the queue of one process; no queue is nil, not an empty *queue.Local.
func newLocal(c queue.Config) (queue.Queue, error) {
	q, err := queue.New(c)
	if err != nil {
		return nil, err
	}
	return q, nil
}

// router builds the middleware chain, in upstream's order, and the routes.
func (s *Server) router() {
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.handleError
	e.Pre(plainPath)
	e.Use(s.measure.Measured, reply.Paced, middleware.RequestLog(s.log), v2Refusals)
	if s.cfg.CheckHosts {
		e.Use(middleware.AllowedHosts(s.cfg.AllowedHosts))
	}
	e.Use(middleware.CacheControl())
	if s.cfg.CORSOrigin != "" {
		e.Use(middleware.CORS(s.cfg.CORSOrigin))
	}
	if ask := s.asksWho(); ask != nil {
		e.Use(ask, s.access.OwnerNamed, s.sockets.WhileWelcome)
	}
	if s.cfg.CORSOrigin == "" {
		e.Use(middleware.OriginGuard(middleware.Origins{Logger: s.log, Except: s.login.ComesBack}))
	}
	if s.cfg.DisableAPINodes {
		e.Use(middleware.ContentSecurityPolicy())
	}
	e.Use(middleware.Recover(), s.pages.Fallback)
	s.addRoutes()
	s.measure.NamePatterns(e.Routes())
}

// Handler returns the handler of all routes. The worker does not run by itself; see Run.
func (s *Server) Handler() http.Handler { return s.echo }

// Queue returns the server's queue.
func (s *Server) Queue() queue.Queue { return s.queue }

// Run serves the listeners and runs the queued prompts until ctx ends. Then it interrupts the running prompt, lets
// requests come to their end for a while, and returns when all its goroutines have.
func (s *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler: s.echo, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}

	var work sync.WaitGroup
	errs := make(chan error, len(listeners)+1)
	work.Go(func() { s.logs.Pump(ctx) })
	work.Go(func() { s.cfg.Folders.Watch(ctx) })
	s.catalogue.Scan()
	s.state.Worker.Store(health.WorkerHere)
	work.Go(func() {
		defer s.state.Worker.Store(health.WorkerEnded)
		if err := s.queue.Work(ctx); err != nil {
			errs <- fmt.Errorf("running the queue: %w", err)
			cancel()
		}
	})
	for _, l := range listeners {
		work.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				errs <- fmt.Errorf("serving %s: %w", l.Addr(), err)
				cancel()
			}
		})
	}
	<-ctx.Done()
	s.bell.Strike(true)
	s.hub.Close()
	stopCtx, stop := context.WithTimeout(context.Background(), drainTimeout)
	defer stop()
	if err := srv.Shutdown(stopCtx); err != nil {
		_ = srv.Close()
	}
	work.Wait()
	close(errs)
	return <-errs
}

// Drain refuses new prompts and waits until the running one has ended, and with a queue in memory the waiting ones too.
// It returns the cause of ctx if that ends first. Run continues.
func (s *Server) Drain(ctx context.Context) error { return s.queue.Drain(ctx) }

// Close frees the server's resources. Run must have returned, if it was called.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		if s.unwatch != nil {
			s.unwatch()
		}
		s.hub.Close()
		s.state.Close()
		err = s.queue.Close()
		s.worker.Close()
		s.hooks.Close()
	})
	return err
}

// PackMessages sends the messages of node packs to clients.
type PackMessages interface {
	// SendOfPack sends a message of a node pack to a client, with client "" to all.
	SendOfPack(event string, data any, client string)
	// SendBinaryOfPack is SendOfPack for a binary message of upstream's numbers.
	SendBinaryOfPack(number int, data []byte, client string)
	// SendPacksChanged notifies all clients that node classes were added, removed or changed.
	SendPacksChanged()
}

// PackMessages returns what sends the messages of node packs.
func (s *Server) PackMessages() PackMessages { return s.worker }
