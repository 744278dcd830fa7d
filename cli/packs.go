package cli

const packsSection = "Packs"

var packsCommand = command{
	name: "packs", usage: "list | install SOURCE | update NAME | disable NAME | enable NAME | reload", help: "list, install, update and switch off node packs, or have a running server load them again",
	actions: []action{
		{"list", nil},
		{"install", []string{"SOURCE"}},
		{"update", []string{"NAME"}},
		{"disable", []string{"NAME"}},
		{"enable", []string{"NAME"}},
		{"reload", nil},
	},
	flags: []*spec{
		serverFlag, printJSON,
		{name: "--ref", kind: kindString, metavar: "NAME", section: packsSection, help: "install: the branch or tag of a git address"},
		{name: "--no-requirements", kind: kindSwitch, section: packsSection, help: "install, update: leave the packages of requirements.txt out"},
	},
}

// PacksOptions belong to the command packs.
type PacksOptions struct {
	Action       string
	Args         []string
	JSON         bool
	Ref          string // branch or tag; empty: the address's own choice
	Requirements bool   // those of requirements.txt are installed
	Server       string // that loads packs again
}

func (ns namespace) packsOptions(words []string) (PacksOptions, error) {
	r, err := ns.remoteOptions("packs", nil)
	o := PacksOptions{Action: words[0], Args: words[1:], JSON: r.JSON, Ref: ns.text("ref"), Requirements: !ns.on("no_requirements"), Server: r.Server}
	if err == nil && o.Ref != "" && o.Action != "install" {
		err = usagef("argument --ref: not allowed with %s", o.Action)
	}
	return o, err
}
