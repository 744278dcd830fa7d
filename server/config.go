package server

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"comfygo/assets"
	"comfygo/auth"
	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/pyjson"
	"comfygo/metrics"
	"comfygo/nodes"
	"comfygo/queue"
	authroutes "comfygo/server/auth"
	"comfygo/server/health"
	"comfygo/server/logs"
	"comfygo/server/measure"
	"comfygo/server/models"
	"comfygo/server/packs"
	"comfygo/server/sockets"
)

// Executor is the part of package executor that the server needs.
type Executor interface {
	Validate(ctx context.Context, id string, prompt executor.Prompt, targets any) (executor.Verdict, error)
	Run(ctx context.Context, job executor.Job, sink executor.Sink) executor.Result
	ClearCache()
	DropHeadStart()
	Registry() *nodes.Registry
	Env() nodes.Env
}

// RunRemote runs a job of a fleet; see queue.RemoteConfig.
type RunRemote = func(ctx context.Context, j *queue.Job, tell func(data []byte, droppable bool)) queue.Outcome

// Config configures a server. Folders and Executor are required; the zero value of everything else is upstream's default.
type Config struct {
	Folders  *folders.Folders
	Executor Executor
	// Store keeps the queue over a restart; nil keeps it in memory.
	Store queue.Store
	// Queue, if set, makes the queue of a server that is one of several, instead of one with the Store. worker runs a job in this process.
	Queue func(c queue.Config, f queue.Fleet, worker RunRemote) (queue.Queue, error)
	// EventLog is the file in which events for clients that come back outlive the server; "" keeps them in memory only.
	EventLog string
	// Policy configures how the queue treats its jobs.
	Policy queue.Policy
	// WebhookAllow names hosts, addresses and networks that webhooks may reach besides all public addresses.
	WebhookAllow []string

	// Auth does authentication and authorization; nil disables both. Its maker closes it.
	Auth auth.Gate
	// AuthProxyHeader is the header in which a trusted proxy names the user, "" for none; AuthProxies are the networks whose X-Forwarded-For and
	// X-Forwarded-Proto are trusted.
	AuthProxyHeader string
	AuthProxies     []netip.Prefix
	// OIDC signs users in by OpenID Connect; nil switches that off.
	OIDC authroutes.OIDC
	// CheckHosts refuses requests for host names that are neither localhost nor in AllowedHosts; IP addresses always pass.
	CheckHosts   bool
	AllowedHosts []string
	// CORSOrigin is the value of --enable-cors-header; "" installs the origin guard instead.
	CORSOrigin string
	// DisableAPINodes adds the content security policy.
	DisableAPINodes bool
	// Compress packs JSON and text answers for clients that take it.
	Compress bool
	// SocketLimits bound the open WebSockets.
	SocketLimits sockets.Limits
	// ImageLimits bound the images that are decoded for views, previews and masks, ImageBudget the memory for them; nil are images.Limits and
	// the process's budget.
	ImageLimits *codec.Limits
	ImageBudget imaging.Budget
	// MaxUploadSize bounds request bodies in MB (of 1048576 bytes); 0 means 100, infinity no bound.
	MaxUploadSize float64
	// MultiUser keeps a folder for each user that the header comfy-user names.
	MultiUser bool
	// FeatureFlags are the values of --feature-flag, KEY or KEY=VALUE.
	FeatureFlags []string
	// ComfyAPIBase is the value of --comfy-api-base.
	ComfyAPIBase string
	// Assets is the catalogue behind the asset API; nil switches that off. Its maker closes it.
	Assets *assets.Library
	// OpenAssets returns a catalogue for the API v2 when Assets is nil, the same one each time; nil answers 501 there. It is
	// closed by its maker.
	OpenAssets func() (*assets.Library, error)
	// DisableCustomNodes leaves the custom nodes' folders alone, but for those named in WhitelistCustomNodes.
	DisableCustomNodes   bool
	WhitelistCustomNodes []string
	// Python runs the packs' Python; nil if it is disabled.
	Python packs.Python
	// FrontEndRoot is the folder of the front end's files; "" serves our own page there.
	FrontEndRoot string
	// Templates are the files of the workflow templates below /templates/, path by name.
	Templates map[string]string
	// DocsRoot is the folder of the nodes' documentation below /docs/; "" means none.
	DocsRoot string
	// PackageVersions are the versions of the front end's packages, told in /system_stats, by distribution.
	PackageVersions map[string]string
	// DemoWorkflow is the workflow, in API form, that our own page shows at first; nil without a demo model.
	DemoWorkflow []byte

	// Argv, AppVersion, RuntimeVersion and DeployEnvironment are reported in /system_stats and /health; the whole of Argv to administrators only.
	Argv                                          []string
	AppVersion, RuntimeVersion, DeployEnvironment string
	// Stats measures the machine; nil leaves the figures 0.
	Stats func() health.Stats
	// CheckDevice returns why the GPU that computes is lost, nil while it answers; a nil function is not called.
	CheckDevice func() error
	// CheckEngine returns the reason why models cannot run, or nil while they can; a nil function means that the server runs no models.
	CheckEngine func() error
	// DiskReserve is the number of free bytes that a disk must have for /health to call the server healthy; 0 means 16 MiB.
	DiskReserve uint64
	// StuckAfter is the time that a running job may be silent before /health calls the worker stuck; 0 means no limit.
	StuckAfter time.Duration
	// DescribeModels describes model files of a kind, see models.Service; with nil descriptions are omitted.
	DescribeModels func(ctx context.Context, kind string, paths []string) []models.Description
	// RuntimeState returns the state of the model runtime for /health; with nil it is omitted.
	RuntimeState func() *pyjson.Object
	// Models are the engine's figures for /metrics; nil leaves them out.
	Models func() metrics.Models
	// Traces makes spans of requests and jobs; nil disables them.
	Traces measure.Traces
	// FreeModels unloads models when a client requests it; nil without models.
	FreeModels func()
	// Logs is the content of /internal/logs; nil means none.
	Logs *logs.Buffer
	// Logger may be nil.
	Logger *slog.Logger
}
