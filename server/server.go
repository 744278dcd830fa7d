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
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/metrics"
	"comfygo/middleware"
	"comfygo/queue"
	"comfygo/queue/webhook"
	"comfygo/server/hub"
	"comfygo/server/v2"
)

// Server serves one set of folders with one queue.
type Server struct {
	cfg        Config
	log        *slog.Logger
	echo       *echo.Echo
	hub        *hub.Hub
	queue      queue.Queue
	guard      *webhook.Guard
	hooks      *webhook.Sender
	users      *users
	disk       disk
	started    time.Time
	maxBody    int64
	images     chan struct{} // a token for every picture that may be worked on at a time
	uploads    sync.Mutex    // held while an upload looks for a free name and takes it
	logs       *logSubscribers
	catalogue  catalogue
	catalogues catalogues
	runs       runs
	v2         *v2.API
	claims     v2.Claims
	told       description
	gate       auth.Gate
	wellness   wellness
	live       live
	unwatch    func() // stops the news of who has ended; nil where nobody is asked
	bell       bell
	metrics    *metrics.Metrics
	patterns   map[string]string // the routes' patterns as figures name them, by the router's
	pace       pace
	keys       onceKeys
	// settingsLock is held while settings are changed.
	settingsLock sync.Mutex
	closing      sync.Once
}

const (
	headerTimeout = 15 * time.Second
	idleTimeout   = 2 * time.Minute
	// drainTimeout is how long requests may go on after the end was asked for.
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
	s := &Server{cfg: cfg, log: cfg.Logger, disk: newDisk(cfg.Folders, cfg.FrontEndRoot), started: time.Now(), images: make(chan struct{}, imagesAtATime)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.gate = cfg.Auth; s.gate == nil {
		s.gate = auth.Open{Logger: s.log}
	}
	if s.maxBody = math.MaxInt64; cfg.MaxUploadSize*1048576 < math.MaxInt64 {
		s.maxBody = int64(math.RoundToEven(cfg.MaxUploadSize * 1048576))
	}
	var err error
	if s.users, err = newUsers(cfg.Folders, cfg.MultiUser); err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.hub = hub.New(hub.Config{Features: s.features(), Journal: cfg.EventLog, Logger: s.log})
	made := false
	defer func() {
		if !made {
			s.hub.Close()
		}
	}()
	if s.guard, err = webhook.NewGuard(cfg.WebhookAllow); err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.hooks = webhook.NewSender(s.guard)
	s.queue, err = queue.New(queue.Config{
		Policy: cfg.Policy, Run: s.runJob, Changed: s.queueChanged, Owners: s.ownersChanged(), Finished: s.jobFinished,
		Idle: cfg.Executor.DropHeadStart, Free: s.free, Send: s.hooks.Send, Receipts: s.restoreKeys, Store: cfg.Store, Logger: s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.hub.Remaining(s.queue.Remaining())
	if s.owned() {
		s.users.owner = s.userOwner
		s.tellOwners()
	}
	if s.guarded() {
		s.unwatch = s.gate.Watch(s.ended)
	}
	s.logs = newLogSubscribers(s.hub)
	s.watchAssets()
	if s.v2, err = s.newV2(); err != nil {
		return nil, fmt.Errorf("making a server: %w", err)
	}
	s.metrics = s.newMetrics()
	s.router()
	made = true
	return s, nil
}

// router builds the middleware chain, in upstream's order, and the routes.
func (s *Server) router() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.handleError
	e.Pre(plainPath)
	e.Use(s.measured, paced, middleware.RequestLog(s.log), v2Refusals)
	e.Use(middleware.CacheControl())
	if s.cfg.CORSOrigin != "" {
		e.Use(middleware.CORS(s.cfg.CORSOrigin))
	}
	if ask := s.asksWho(); ask != nil {
		e.Use(ask, s.whileWelcome)
	}
	if s.cfg.CORSOrigin == "" {
		e.Use(middleware.OriginGuard(middleware.Origins{Logger: s.log, Except: s.comesBack}))
	}
	if s.cfg.DisableAPINodes {
		e.Use(middleware.ContentSecurityPolicy())
	}
	e.Use(middleware.Recover(), s.fallback)
	s.echo = e
	s.addRoutes()
	s.namePatterns()
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
	work.Go(func() { s.logs.pump(ctx, s.cfg.Logs) })
	work.Go(func() { s.cfg.Folders.Watch(ctx) })
	s.scanAssets()
	s.wellness.worker.Store(workerHere)
	work.Go(func() {
		defer s.wellness.worker.Store(workerEnded)
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
	s.bell.strike(true)
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
// It returns the cause of ctx when that ends first. Run goes on.
func (s *Server) Drain(ctx context.Context) error { return s.queue.Drain(ctx) }

// Close frees what the server holds. Run must have returned, if it was called.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		if s.unwatch != nil {
			s.unwatch()
		}
		s.hub.Close()
		s.wellness.close()
		err = s.queue.Close()
		s.hooks.Close()
	})
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
