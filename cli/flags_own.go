package cli

// own holds the flags that upstream does not have. A prefix that fits one of upstream's flags never
// means one of these.
var own = []*spec{
	{name: "--demo-model", section: ownSection, help: "list the built-in demo checkpoint, and fetch nothing"},
	{name: "--front-end-packages", kind: kindString, metavar: "DIR", section: ownSection, help: "the folder of the frontend's packages, as frontend install makes it; none: our own page (default: Python's packages, then the installed ones)"},
	{name: "--onnxruntime", kind: kindString, metavar: "PATH", section: ownSection, help: "the ONNX Runtime library, or the folder that holds it"},
	{name: "--threads", kind: kindInt, def: 0, metavar: "N", section: ownSection, help: "threads for one operation on the CPU (default: the physical cores)"},
	{name: "--model-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "memory that loaded models may take (default: from what is free)"},
	{name: "--max-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "refuse runs for which the program would have to take more memory than this (default: what is free)"},
	{name: "--queue", kind: kindString, def: "sqlite", choices: []string{"memory", "sqlite"}, section: ownSection, help: "where jobs are kept: in memory, or in a file that outlives the server"},
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
	{name: "--webhook-allow", kind: kindString, repeat: true, metavar: "HOST", section: ownSection, help: "a host, address or network that webhooks may reach although it is not public; may be repeated"},
	{name: "--api-key", kind: kindString, repeat: true, metavar: "KEY", section: ownSection, help: "ask every request for this key; may be repeated; COMFYGO_API_KEY does the same"},
	{name: "--api-key-file", kind: kindString, metavar: "PATH", section: ownSection, help: "file of keys, one a line"},
}

// runFlags belong to the command run.
var runFlags = []*spec{
	{name: "--input", kind: kindString, repeat: true, metavar: "NODE.FIELD=VALUE", section: "Run", help: "set an input of a node; VALUE is JSON or plain text; may be repeated"},
	{name: "--output", kind: kindString, metavar: "DIR", section: "Run", help: "where the results are saved"},
}

// frontendFlags belong to the command frontend.
var frontendFlags = []*spec{
	{name: "--dir", kind: kindString, metavar: "DIR", section: "Frontend", help: "where the packages go (default: comfygo/frontend in the user's cache folder); --front-end-packages DIR makes the server look there"},
	{name: "--media", kind: kindSwitch, section: "Frontend", help: "fetch the templates' pictures and films too (another 430 MB)"},
}

// command is one word that may stand first on the command line.
type command struct {
	name  string
	usage string // what may follow it
	help  string
	flags []*spec
	words string // name of the words it takes; empty: none
}

var commands = []command{
	{name: "run", usage: "WORKFLOW.json", words: "WORKFLOW.json", flags: runFlags, help: "run one workflow without a server"},
	{name: "frontend", usage: "install", words: "install", flags: frontendFlags, help: "fetch ComfyUI's frontend, its templates and its docs"},
	{name: "doctor", usage: "", help: "check the library, devices, folders, disk and memory"},
}
