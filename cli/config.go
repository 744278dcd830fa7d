package cli

// Config is everything the command line says, with upstream's relations between flags applied.
// Directories are as given (empty means the default place); sizes carry their unit in the comment.
type Config struct {
	// Network.
	Listen            string  // comma separated addresses
	Port              int     // TCP port; 0 lets the system choose
	TLSKeyFile        string  // TLS is on when both files are named
	TLSCertFile       string  //
	CORSOrigin        string  // empty: no CORS headers, the origin guard is on
	MaxUploadSize     float64 // MiB, for every request body
	CompressResponses bool
	AutoLaunch        bool // open the browser after the start
	PrintServer       bool // the lines "Starting server" and "To see the GUI go to"

	// Folders.
	BaseDirectory    string
	OutputDirectory  string
	TempDirectory    string // the temp folder is TempDirectory/temp
	InputDirectory   string
	UserDirectory    string
	ModelsDirectory  string
	ExtraModelPaths  []string // YAML files, in order
	MultiUser        bool
	DatabaseURL      string // empty: sqlite file in the user folder beside the program
	EnableAssets     bool
	EnableAssetHash  bool
	HashFunction     string // md5 sha1 sha256 sha512
	DisableMetadata  bool   // saved images carry no prompt and workflow
	DisableCustom    bool   // no custom-node folders are served
	WhitelistCustom  []string
	DisableAPINodes  bool
	FrontEndVersion  string
	FrontEndRoot     string
	FrontEndPackages string // folder of packages; "none" for no front end; empty: the usual places
	ComfyAPIBase     string
	FeatureFlags     []string // KEY or KEY=VALUE
	ListFeatureFlags bool
	EnableManager    bool
	ManagerUI        bool
	ManagerLegacyUI  bool

	// Devices, precision and memory.
	CPU           bool
	CUDADevice    string // the visible CUDA devices; "all" or empty leaves them
	DefaultDevice *int   // moved to the front of the visible devices
	DirectML      *int
	VRAM          VRAMMode
	ReserveVRAM   *float64 // GiB left to others; nil lets the engine choose
	VRAMHeadroom  float64  // GiB kept free on top
	NoPinned      bool     // no pinned copies of weights on the host
	ForceFP32     bool
	ForceFP16     bool
	UNetType      string // fp64 fp32 bf16 fp16 fp8_e4m3fn fp8_e5m2 fp8_e8m0fnu, empty: automatic
	VAEType       string // fp32 bf16 fp16, empty: automatic
	TextType      string // fp32 bf16 fp16 fp8_e4m3fn fp8_e5m2, empty: automatic
	VAEOnCPU      bool
	FP16Between   bool // half precision between nodes
	SmartMemory   bool // keep models loaded while there is room
	Mmap          bool // read weight files by mapping them
	Deterministic bool
	Fast          []string // names of the experimental optimisations

	// Execution.
	Cache          CacheMode
	CacheRAM       []float64 // GiB: threshold while active, then the inactive one
	CacheLRU       int       // results kept; 0 is off
	HighRAM        bool
	PreviewMethod  string // none auto latent2rgb taesd
	PreviewSize    int    // pixels of the longest edge
	QuickTestForCI bool   // start everything, then leave before listening

	// Log.
	Verbose   []LogTarget
	LogStdout bool // below ERROR to standard output
	DebugHang bool

	LogFormat string // text or json

	// Where the flags come from besides the command line: the config file (may be empty), the names of the environment
	// variables that give flags, and those with the prefix COMFYGO_ that match no flag.
	ConfigFile       string
	FromEnvironment  []string
	UnknownVariables []string

	// comfygo's own.
	DemoModel bool   // list the built-in demo checkpoint
	Python    string // path of the interpreter; "none" for no Python; empty: found
	ComfyUI   string // folder of a checkout; empty: the base folder if it is one
	NoCore    bool   // classes of the checkout are not offered
	// PythonClasses are taken from the checkout although comfygo has them.
	PythonClasses []string
	Isolate       bool    // a process for each pack
	HostUser      string  // the user that Python runs as; empty: the server's user
	HostMemory    float64 // GiB that a Python process may take; 0: nearly all of the machine's
	LoadTimeout   float64 // seconds for the import of one pack; 0: ten minutes
	FFmpeg        string  // path of the program, or of the folder that holds it
	CUDAGraphs    bool    // steps on a GPU are captured
	NoAMX         bool    // the CPU multiplies without AMX
	CPUInt8       bool    // linear layers of diffusion models multiply in 8-bit integers on the CPU
	NoModels      bool    // models are not run, the library is not needed
	ONNXRuntime   string  // path of the library, or of the folder that holds it
	Threads       int     // for one operation; 0: the physical cores
	ModelMemory   float64 // GiB that loaded models may take; 0: from the free memory
	MaxMemory     float64 // GiB that the program may take before runs are refused; 0: what is free
	APIKeys       []string
	APIKeyFile    string

	// The key store and what vouches for users besides it.
	Auth               bool
	AuthDB             string  // empty: comfygo-auth.db beside the user folder
	AuthTokenLife      float64 // minutes
	AuthTokenAlgorithm string  // EdDSA or HS256
	AuthAuditDays      float64
	AuthProxyHeader    string
	AuthProxyFrom      []string // networks
	AuthExternalRole   string
	OIDCIssuer         string
	OIDCClientID       string
	OIDCSecretFile     string
	OIDCRedirectURL    string
	OIDCRoleClaim      string
	OIDCRoles          []string // CLAIM=ROLE

	// The queue.
	Queue            string   // memory, sqlite or, with commas between them, nats:// and tls:// addresses
	Role             string   // all, server or worker
	Workers          string   // "auto", a number, or empty: jobs run in this process
	WorkerLabels     []string // what jobs can ask for
	WorkerLease      float64  // seconds
	QueueModelWait   float64  // seconds
	QueueCredentials string   // file; empty: none
	QueueCA          string   // file; empty: the system's
	QueueReplicas    int
	Files            string   // directory, nats or s3://BUCKET/PREFIX
	FilesEndpoint    string   // empty: AWS
	FilesRegion      string   // empty: the server is asked
	QueueFile        string   // empty: comfygo-queue.db in the user folder
	QueueSync        string   // normal or full
	QueueOnRestart   string   // retry or interrupt
	QueueLimit       int      // waiting jobs; 0: no limit
	QueueClientLimit int      // waiting jobs of one client; 0: no limit
	QueueFair        bool     // turns between clients
	QueueWeights     []string // CLIENT=N
	QueueKeep        int      // finished jobs
	QueueKeepDays    float64  // 0: no limit
	JobTimeLimit     float64  // seconds; 0: no limit
	DrainTimeout     float64  // seconds
	StuckAfter       float64  // seconds; 0: never
	AllowedHosts     []string // host names that requests may be for; nil: see docs/auth.md
	WebhookAllow     []string // hosts, addresses, networks

	// OTLPEndpoint is the destination of traces; if it is empty, none are sent unless OpenTelemetry's environment
	// variables enable them.
	OTLPEndpoint string

	// Ignored names the given flags that change nothing in comfygo, in the order given.
	Ignored []string
	// Args is the command line with the keys masked, as /system_stats shows it.
	Args []string
}

// LogTarget is one use of --verbose.
type LogTarget struct {
	Level string // DEBUG DETAIL INFO WARNING ERROR CRITICAL
	File  string // empty: the console
}

// VRAMMode is the way in which models share the memory between host and device.
type VRAMMode string

// The modes of --gpu-only, --highvram, --lowvram and --novram.
const (
	VRAMNormal  VRAMMode = "normal"
	VRAMGPUOnly VRAMMode = "gpu-only"
	VRAMHigh    VRAMMode = "high"
	VRAMLow     VRAMMode = "low"
	VRAMNone    VRAMMode = "none"
)

// CacheMode is the policy of keeping node results between prompts.
type CacheMode string

// The modes of the --cache flags.
const (
	CacheRAMPressure CacheMode = "ram"
	CacheClassic     CacheMode = "classic"
	CacheLRU         CacheMode = "lru"
	CacheNone        CacheMode = "none"
)

// LogLevels are the levels of --verbose, from the most talkative.
var LogLevels = []string{"DEBUG", "DETAIL", "INFO", "WARNING", "ERROR", "CRITICAL"}
