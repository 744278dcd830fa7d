package cli

import "strings"

// kind is the kind of a flag's value.
type kind int

const (
	kindSwitch kind = iota // takes no value
	kindString
	kindInt
	kindFloat
	kindFeature // one of choices, refused in the words of a failed conversion
	kindDir     // a directory that exists and can be read
	kindVerbose // LEVEL or LEVEL FILE
)

// How many values a flag takes, in argparse's letters.
const (
	one      = ""
	optional = "?"
	any0     = "*"
	any1     = "+"
)

// spec describes one flag: the single truth for parsing, conversion, usage and help.
type spec struct {
	name    string // with its dashes
	short   string // a second name
	kind    kind
	nargs   string
	bare    string // what an optional value is when left out
	def     any    // nil where upstream's default is None
	choices []string
	urls    bool // besides the choices an address is one
	metavar string
	repeat  bool   // every use adds, instead of the last winning
	group   string // flags of one group exclude each other
	section string // heading in the help
	help    string
	ignored bool // means nothing without PyTorch
}

// dest is the key of the flag's value: its name in upstream's namespace.
func (s *spec) dest() string {
	return strings.ReplaceAll(strings.TrimPrefix(s.name, "--"), "-", "_")
}

// list reports whether the flag gathers several values.
func (s *spec) list() bool { return s.nargs == any0 || s.nargs == any1 || s.repeat }

// label returns the name of the flag in errors and exclusive groups.
func (s *spec) label() string {
	if s.short != "" {
		return s.short + "/" + s.name
	}
	return s.name
}

// meta returns the name of a value in usage and help.
func (s *spec) meta() string {
	switch {
	case s.metavar != "":
		return s.metavar
	case len(s.choices) > 0 && s.kind != kindFeature:
		return "{" + strings.Join(s.choices, ",") + "}"
	default:
		return strings.ToUpper(s.dest())
	}
}

// signature is the flag with its values, as in "--listen [IP]".
func (s *spec) signature(name string) string {
	m := s.meta()
	switch {
	case s.kind == kindSwitch:
		return name
	case s.nargs == optional:
		return name + " [" + m + "]"
	case s.nargs == any0:
		return name + " [" + m + " ...]"
	case s.nargs == any1:
		return name + " " + m + " [" + m + " ...]"
	default:
		return name + " " + m
	}
}
