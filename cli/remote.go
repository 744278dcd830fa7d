package cli

import "os"

const remoteSection = "Server"

// defaultServer is the server that the commands use by default.
const defaultServer = "http://127.0.0.1:8188"

var (
	serverFlag = &spec{name: "--server", kind: kindString, metavar: "URL", section: remoteSection, help: "the running server (default: COMFYGO_SERVER, or " + defaultServer + "); --api-key or COMFYGO_API_KEY is its key"}
	printJSON  = &spec{name: "--json", kind: kindSwitch, section: remoteSection, help: "print JSON"}
)

// The commands for people that talk to a running server.
var remoteCommands = []command{
	{
		name: "queue", usage: "[list | pause | resume | clear]", most: 1, help: "show, stop, start or clear the queue of a running server",
		flags: []*spec{serverFlag, printJSON},
	},
	{
		name: "history", help: "list the finished jobs of a running server, the newest first",
		flags: []*spec{serverFlag, printJSON, {name: "--limit", kind: kindInt, def: 20, metavar: "N", section: remoteSection, help: "at most so many"}},
	},
	{
		name: "cancel", usage: "ID ...", most: 1000, help: "cancel jobs of a running server",
		flags: []*spec{serverFlag, printJSON, {name: "--all", kind: kindSwitch, section: remoteSection, help: "the running job and all waiting ones"}},
	},
	{
		name: "models", usage: "[FOLDER]", most: 1, help: "list the model files of a running server: family, and whether they can be used",
		flags: []*spec{serverFlag, printJSON, {name: "--families", kind: kindSwitch, section: remoteSection, help: "list ComfyUI's model families instead, and what of each runs here"}},
	},
	{
		name: "check", usage: "WORKFLOW.json | MODEL", words: "WORKFLOW.json or MODEL", help: "say what a workflow needs that is not here (nodes, models, inputs), or what a model file is and whether it can be used",
		flags: []*spec{{name: "--server", kind: kindString, metavar: "URL", section: remoteSection, help: "ask this server what it has, instead of looking into the folders"}, printJSON},
	},
	{
		name: "health", help: "exit with 0 while a server works, with 1 when it does not: for health checks of containers and monitors",
		flags: []*spec{
			{name: "--server", kind: kindString, metavar: "URL", section: remoteSection, help: "the server (default: COMFYGO_SERVER, or this machine at --port)"},
			{name: "--ready", kind: kindSwitch, section: remoteSection, help: "ask whether it takes jobs (/ready) instead of whether it works (/health)"},
		},
	},
	{name: "completion", usage: "bash | zsh | fish", words: "bash, zsh or fish", help: "print the completion of command lines for a shell"},
}

// doctorFlags belong to the command doctor.
var doctorFlags = []*spec{
	{name: "--server", kind: kindString, metavar: "URL", section: remoteSection, help: "ask a running server how it is, instead of looking at this machine"},
	printJSON,
}

// RemoteOptions belong to the commands that talk to a running server.
type RemoteOptions struct {
	Command string
	Args    []string
	Server  string // with its scheme; "" where the command looks at this machine instead
	JSON    bool
	All     bool
	// Families requests the model families instead of a server's files.
	Families bool
	// Ready asks whether a server takes jobs in place of whether it works.
	Ready bool
	Limit int
}

// remoteOptions reads the flags of such a command.
func (ns namespace) remoteOptions(name string, words []string) (RemoteOptions, error) {
	o := RemoteOptions{Command: name, Args: words, Server: ns.text("server"), JSON: ns.on("json"), All: ns.on("all"), Families: ns.on("families"), Ready: ns.on("ready"), Limit: ns.number("limit")}
	if o.Server == "" && name != "check" && name != "doctor" {
		o.Server = os.Getenv("COMFYGO_SERVER")
		if o.Server == "" && name != "health" {
			o.Server = defaultServer
		}
	}
	switch {
	case name == "cancel" && len(words) == 0 && !o.All:
		return o, usagef("the following arguments are required: ID, or --all")
	case name == "cancel" && len(words) > 0 && o.All:
		return o, usagef("argument --all: not allowed with argument ID")
	case o.Families && len(words) > 0:
		return o, usagef("argument --families: not allowed with argument FOLDER")
	case name == "history" && o.Limit < 1:
		return o, usagef("argument --limit: must be at least 1")
	}
	return o, nil
}
