package cli

import "slices"

// own holds the flags that upstream does not have. A prefix that fits one of upstream's flags never
// means one of these.
var own = []*spec{
	{name: "--help-all", section: ownSection, help: "show every flag and exit"},
	{name: "--version", section: ownSection, help: "show the version and exit"},
	{name: "--config", kind: kindString, metavar: "FILE", section: ownSection, help: "read flags from this YAML file, one `port: 8190` a line (also COMFYGO_CONFIG); the command line and COMFYGO_… variables take precedence"},
	{name: "--log-format", kind: kindString, def: "text", choices: []string{"text", "json"}, section: ownSection, help: "text, coloured on a terminal (not with NO_COLOR), or one JSON object a line"},
	{name: "--demo-model", section: ownSection, help: "list the built-in demo checkpoint, and fetch nothing"},
	{name: "--front-end-packages", kind: kindString, metavar: "DIR", section: ownSection, help: "the folder of the frontend's packages, as frontend install makes it; none: our own page (default: Python's packages, then the installed ones)"},
	{name: "--onnxruntime", kind: kindString, metavar: "PATH", section: ownSection, help: "the ONNX Runtime library, or the folder that holds it or that setup --dir filled"},
	{name: "--no-models", kind: kindSwitch, section: ownSection, help: "this server runs no models: the ONNX Runtime library is not looked for, and /ready does not ask for it"},
	{name: "--cuda-graphs", kind: kindSwitch, section: ownSection, help: "on a GPU, capture sampling steps and launch each as one CUDA graph; sizes are captured once each (not tried on a real GPU yet)"},
	{name: "--cpu-int8", kind: kindSwitch, section: ownSection, help: "on the CPU, multiply linear layers of diffusion models in 8-bit integers: faster, and images differ slightly; saved in their metadata (needs AVX2; fastest with VNNI)"},
	{name: "--no-amx", kind: kindSwitch, section: ownSection, help: "on the CPU, multiply without AMX, for comparing: results differ in the last places"},
	{name: "--ffmpeg", kind: kindString, metavar: "PATH", section: ownSection, help: "the program ffmpeg, or the folder that holds ffmpeg and ffprobe (default: from PATH)"},
	{name: "--python", kind: kindString, metavar: "PATH", section: ownSection, help: "the Python interpreter that runs node packs; none: run no Python (default: that of a virtual environment in the base folder, else python3)"},
	{name: "--comfyui", kind: kindString, metavar: "DIR", section: ownSection, help: "a ComfyUI checkout: its modules serve the node packs, and its node classes are offered where comfygo has none (default: the base folder, if it is one)"},
	{name: "--no-python-core", kind: kindSwitch, section: ownSection, help: "offer no core and partner node classes of the checkout"},
	{name: "--python-class", kind: kindString, repeat: true, metavar: "NAME", section: ownSection, help: "take this node class from the checkout in place of comfygo's own; may be repeated"},
	{name: "--isolate-packs", kind: kindSwitch, section: ownSection, help: "run each node pack in a Python process of its own (packs that import each other do not find each other then)"},
	{name: "--host-user", kind: kindString, metavar: "NAME", section: ownSection, help: "run Python as this user; the server must run as root"},
	{name: "--python-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "end a Python process that takes more memory than this (default: 95% of the machine's)"},
	{name: "--python-load-timeout", kind: kindFloat, def: float64(0), metavar: "SECONDS", section: ownSection, help: "leave out a node pack whose import takes longer (default: 600)"},
	{name: "--threads", kind: kindInt, def: 0, metavar: "N", section: ownSection, help: "threads for one operation on the CPU (default: the physical cores)"},
	{name: "--model-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "memory that loaded models may take (default: from what is free)"},
	{name: "--max-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "refuse runs for which the program would have to take more memory than this (default: what is free)"},
	{name: "--queue", kind: kindString, def: "sqlite", choices: []string{"memory", "sqlite"}, urls: true, section: ownSection, help: "where jobs are kept: in memory, in a file that outlives the server, or, as nats://HOST:PORT[,...], in NATS for several servers and workers (docs/scale-out.md)"},
	{name: "--role", kind: kindString, def: "all", choices: []string{"all", "server", "worker"}, section: ownSection, help: "with a queue in NATS: serve clients, run jobs, or both"},
	{name: "--workers", kind: kindString, metavar: "N", section: ownSection, help: "run jobs in so many worker processes; auto: one a GPU. Without a queue in NATS this process has a NATS server of its own"},
	{name: "--worker-label", kind: kindString, repeat: true, metavar: "NAME", section: ownSection, help: "a label of this worker, which jobs can ask for; may be repeated"},
	{name: "--queue-credentials", kind: kindString, metavar: "PATH", section: ownSection, help: "file with the credentials for NATS: an nkey seed, a .creds file or a token"},
	{name: "--queue-ca", kind: kindString, metavar: "PATH", section: ownSection, help: "file with the certificates by which NATS is trusted (default: the system's)"},
	{name: "--queue-replicas", kind: kindInt, def: 1, metavar: "N", section: ownSection, help: "on how many servers of a NATS cluster the queue is kept"},
	{name: "--files", kind: kindString, def: "directory", choices: []string{"directory", "nats"}, urls: true, section: ownSection, help: "with a queue in NATS, where input, output and temp files are: in directories that all servers and workers share, in NATS, or, as s3://BUCKET[/PREFIX], in a bucket of an S3 server (docs/file-store.md)"},
	{name: "--files-endpoint", kind: kindString, metavar: "URL", section: ownSection, help: "with --files s3://, the server, http:// or https:// (default: AWS). Keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from AWS's usual files and services"},
	{name: "--files-region", kind: kindString, metavar: "NAME", section: ownSection, help: "with --files s3://, the region (default: the server is asked)"},
	{name: "--queue-model-wait", kind: kindFloat, def: float64(defaultModelWait), metavar: "SECONDS", section: ownSection, help: "how long a job waits for a busy worker that has its models loaded while others are idle (queue in NATS)"},
	{name: "--worker-lease", kind: kindFloat, def: float64(defaultLease), metavar: "SECONDS", section: ownSection, help: "how long a worker may be silent before its job is given to another one"},
	{name: "--queue-file", kind: kindString, metavar: "PATH", section: ownSection, help: "the file (default: comfygo-queue.db in the user folder)"},
	{name: "--queue-sync", kind: kindString, def: "normal", choices: []string{"normal", "full"}, section: ownSection, help: "full: nothing is lost when the machine loses power either"},
	{name: "--queue-on-restart", kind: kindString, def: "retry", choices: []string{"retry", "interrupt"}, section: ownSection, help: "what becomes of the job that ran when the server died: it runs once more, or is marked interrupted"},
	{name: "--queue-limit", kind: kindInt, def: 0, metavar: "N", section: ownSection, help: "the most waiting jobs; more are refused with 429 (default: no limit)"},
	{name: "--queue-client-limit", kind: kindInt, def: 0, metavar: "N", section: ownSection, help: "the most waiting jobs of one client (default: no limit)"},
	{name: "--queue-fair", kind: kindSwitch, section: ownSection, help: "take turns between clients"},
	{name: "--queue-weight", kind: kindString, repeat: true, metavar: "CLIENT=N", section: ownSection, help: "with --queue-fair, a client's part of the turns (default 1); may be repeated"},
	{name: "--queue-keep", kind: kindInt, def: 10000, metavar: "N", section: ownSection, help: "finished jobs that are remembered"},
	{name: "--queue-keep-days", kind: kindFloat, def: float64(0), metavar: "DAYS", section: ownSection, help: "forget finished jobs and events after so long (default: only by number)"},
	{name: "--job-time-limit", kind: kindFloat, def: float64(0), metavar: "SECONDS", section: ownSection, help: "end jobs that run longer (default: no limit)"},
	{name: "--drain-timeout", kind: kindFloat, def: float64(25), metavar: "SECONDS", section: ownSection, help: "how long a running job may go on after SIGTERM"},
	{name: "--health-stuck-after", kind: kindFloat, def: float64(3600), metavar: "SECONDS", section: ownSection, help: "how long a running job may be silent before /health calls the worker stuck; 0 = no limit"},
	{name: "--allowed-hosts", kind: kindString, repeat: true, metavar: "NAME", section: ownSection, help: "a host name that requests may be for besides localhost and IP addresses, as app.example.org or *.example.org; may be repeated (default: on loopback without authentication none, else every name)"},
	{name: "--webhook-allow", kind: kindString, repeat: true, metavar: "HOST", section: ownSection, help: "a host, address or network that webhooks may reach although it is not public; may be repeated"},
	{name: "--otlp-endpoint", kind: kindString, metavar: "URL", section: ownSection, help: "send traces of requests, jobs, nodes and models to this OpenTelemetry collector, such as http://127.0.0.1:4318; OTEL_EXPORTER_OTLP_ENDPOINT does the same"},
	{name: "--api-key", kind: kindString, repeat: true, metavar: "KEY", section: ownSection, help: "ask every request for this key; may be repeated; COMFYGO_API_KEY does the same"},
	{name: "--api-key-file", kind: kindString, metavar: "PATH", section: ownSection, help: "file of keys, one a line; read again on SIGHUP"},
	{name: "--auth", kind: kindSwitch, section: ownSection, help: "ask every request for a key of the key store, with users, roles and an audit log (docs/auth.md)"},
	{name: "--auth-db", kind: kindString, metavar: "PATH", section: ownSection, help: "the key store (default: comfygo-auth.db beside the user folder)"},
	{name: "--auth-token-life", kind: kindFloat, def: float64(15), metavar: "MINUTES", section: ownSection, help: "how long tokens are good"},
	{name: "--auth-token-algorithm", kind: kindString, def: "EdDSA", choices: []string{"EdDSA", "HS256"}, section: ownSection, help: "what signs tokens; no other is accepted"},
	{name: "--auth-audit-days", kind: kindFloat, def: float64(90), metavar: "DAYS", section: ownSection, help: "how long the audit log is kept"},
	{name: "--auth-proxy-header", kind: kindString, metavar: "NAME", section: ownSection, help: "the header in which a trusted proxy names the user"},
	{name: "--auth-proxy-from", kind: kindString, repeat: true, metavar: "CIDR", section: ownSection, help: "a network whose proxies are trusted to name users and the addresses they forward for; may be repeated"},
	{name: "--auth-external-role", kind: kindString, metavar: "ROLE", section: ownSection, help: "what users get who come from the identity provider without a role (default: they are refused)"},
	{name: "--oidc-issuer", kind: kindString, metavar: "URL", section: ownSection, help: "log in to the page by this OpenID Connect provider"},
	{name: "--oidc-client-id", kind: kindString, metavar: "ID", section: ownSection, help: "the name of this server there"},
	{name: "--oidc-client-secret-file", kind: kindString, metavar: "PATH", section: ownSection, help: "file with its secret; COMFYGO_OIDC_SECRET does the same"},
	{name: "--oidc-redirect-url", kind: kindString, metavar: "URL", section: ownSection, help: "this server's address for the way back, ending in /api/auth/oidc/callback"},
	{name: "--oidc-role-claim", kind: kindString, def: "roles", metavar: "NAME", section: ownSection, help: "the claim that holds the user's roles or groups; dots lead into objects"},
	{name: "--oidc-role", kind: kindString, repeat: true, metavar: "CLAIM=ROLE", section: ownSection, help: "what a value of the claim stands for here; may be repeated, the first that fits counts"},
}

// runFlags belong to the command run.
var runFlags = []*spec{
	{name: "--input", kind: kindString, repeat: true, metavar: "NODE.FIELD=VALUE", section: "Run", help: "set an input of a node; VALUE is JSON or plain text; may be repeated"},
	{name: "--output", kind: kindString, metavar: "DIR", section: "Run", help: "where the results are saved"},
	{name: "--server", kind: kindString, metavar: "URL", section: "Run", help: "run it on this server, and fetch the results into --output (default: the working folder)"},
	{name: "--json", kind: kindSwitch, section: "Run", help: "print what became of it as JSON"},
}

// setupFlags belong to the command setup.
var setupFlags = []*spec{
	{name: "--cuda", kind: kindSwitch, section: "Setup", help: "fetch the build for NVIDIA GPUs (needs the driver, CUDA 13 and, for fast convolutions, cuDNN 9)"},
	{name: "--dir", kind: kindString, metavar: "DIR", section: "Setup", help: "the folder that it goes to (default: that of --onnxruntime, else comfygo/onnxruntime in the user's cache folder); --onnxruntime DIR makes the server look there"},
	{name: "--release-sha256", kind: kindString, metavar: "SUM", section: "Setup", help: "SHA-256 of the project's release archive, needed where neither pip nor npm is installed and curl has to fetch it"},
}

// natsFlags belong to the command nats.
var natsFlags = []*spec{
	{name: "--port", kind: kindInt, def: 4222, metavar: "PORT", section: "NATS", help: "port that the NATS server listens on"},
	{name: "--store", kind: kindString, metavar: "DIR", section: "NATS", help: "folder of the queue and of the credentials, which are made at the first start (default: comfygo-nats in the user folder)"},
	{name: "--store-max", kind: kindFloat, def: float64(0), metavar: "GB", section: "NATS", help: "the most that the store may take (default: three quarters of the free disk)"},
}

// frontendFlags belong to the command frontend.
var frontendFlags = []*spec{
	{name: "--dir", kind: kindString, metavar: "DIR", section: "Frontend", help: "where the packages go (default: comfygo/frontend in the user's cache folder); --front-end-packages DIR makes the server look there"},
	{name: "--media", kind: kindSwitch, section: "Frontend", help: "fetch the templates' images and videos too (another 430 MB)"},
}

// command is one word that may stand first on the command line.
type command struct {
	name  string
	usage string // what may follow it
	help  string
	flags []*spec
	words string // name of the words it takes; empty: none
	most  int    // how many words it takes that may be left out
	// actions are the words that may stand first, with the words that follow each; nil: words says it all.
	actions []action
}

var commands = slices.Concat([]command{
	{name: "serve", help: "start the server; so does no command at all"},
	{name: "run", usage: "WORKFLOW.json", words: "WORKFLOW.json", flags: runFlags, help: "run one workflow without a server"},
	{name: "setup", flags: setupFlags, help: "fetch the ONNX Runtime library, which runs the models (checked by SHA-256)"},
	{name: "backup", usage: "FILE.tar.gz", words: "FILE.tar.gz", help: "pack the queue, keys, asset catalogue and users' files of a base directory, also while a server runs"},
	{name: "restore", usage: "FILE.tar.gz", words: "FILE.tar.gz", help: "put the files of a backup back; the server must be stopped"},
	{name: "frontend", usage: "install", words: "install", flags: frontendFlags, help: "fetch ComfyUI's frontend, its templates and its docs"},
	packsCommand, keysCommand, usersCommand, rolesCommand, workflowsCommand, auditCommand,
	{name: "nats", flags: natsFlags, help: "run a NATS server with JetStream, for a queue of several servers and workers"},
	{name: "doctor", usage: "", flags: doctorFlags, help: "check the library, devices, folders, disk and memory, or a running server"},
}, remoteCommands, []command{
	{name: "help", usage: "[COMMAND]", most: 1, help: "show the help of a command"},
	{name: "version", flags: []*spec{{name: "--json", kind: kindSwitch, section: "Version", help: "print JSON"}}, help: "show the version, the commit and the date of this build"},
})
