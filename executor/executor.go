package executor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Executor validates prompts and runs jobs.
type Executor struct {
	registry *nodes.Registry
	services nodes.Services
	limits   Limits
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex // held while a job runs
	config CacheConfig
	enrich func(context.Context, *pyjson.Object) *pyjson.Object
	keep   func(context.Context, *pyjson.Object) (*pyjson.Object, error)
	watch  func(context.Context, Work) (context.Context, func(error))
	cache  outputCache
	states *stateStore
	runs   uint64
	begun  *headStart // of the next job; nil when nothing of it was begun
}

// New makes an executor with empty caches.
func New(c Config) *Executor {
	e := &Executor{
		registry: c.Registry, services: c.Services, limits: c.Limits.withDefaults(), log: c.Log, now: c.Now,
		config: c.Cache, enrich: c.Enrich, keep: c.Keep, watch: c.Watch, cache: newCache(c.Cache), states: &stateStore{},
	}
	if e.registry == nil {
		e.registry = nodes.Default()
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	return e
}

// Registry returns the node classes.
func (e *Executor) Registry() *nodes.Registry { return e.registry }

// Env returns what schemas depend on, for /object_info.
func (e *Executor) Env() nodes.Env { return envOf(e.services) }

func envOf(s nodes.Services) nodes.Env {
	env := nodes.Env{Folders: s.Folders}
	if s.Engine != nil {
		env.GPUs = s.Engine.GPUs()
	}
	return env
}
