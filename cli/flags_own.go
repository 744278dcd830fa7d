package cli

// own holds the flags that upstream does not have. A prefix that fits one of upstream's flags never
// means one of these.
var own = []*spec{
	{name: "--demo-model", section: ownSection, help: "list the built-in demo checkpoint, and fetch nothing"},
	{name: "--onnxruntime", kind: kindString, metavar: "PATH", section: ownSection, help: "the ONNX Runtime library, or the folder that holds it"},
	{name: "--threads", kind: kindInt, def: 0, metavar: "N", section: ownSection, help: "threads for one operation on the CPU (default: the physical cores)"},
	{name: "--model-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "memory that loaded models may take (default: from what is free)"},
	{name: "--max-memory", kind: kindFloat, def: float64(0), metavar: "GB", section: ownSection, help: "refuse runs for which the program would have to take more memory than this (default: what is free)"},
	{name: "--queue", kind: kindString, def: "memory", metavar: "STORE", section: ownSection, help: "where jobs are kept: memory"},
	{name: "--api-key", kind: kindString, repeat: true, metavar: "KEY", section: ownSection, help: "ask every request for this key; may be repeated; COMFYGO_API_KEY does the same"},
	{name: "--api-key-file", kind: kindString, metavar: "PATH", section: ownSection, help: "file of keys, one a line"},
}

// runFlags belong to the command run.
var runFlags = []*spec{
	{name: "--input", kind: kindString, repeat: true, metavar: "NODE.FIELD=VALUE", section: "Run", help: "set an input of a node; VALUE is JSON or plain text; may be repeated"},
	{name: "--output", kind: kindString, metavar: "DIR", section: "Run", help: "where the results are saved"},
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
	{name: "doctor", usage: "", help: "check the library, devices, folders, disk and memory"},
}
