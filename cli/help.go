package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	program    = "comfygo"
	lineWidth  = 80
	helpColumn = 26
)

// writeUsage prints the usage lines of the help: of the program, short or with every flag, or of one command.
func writeUsage(w io.Writer, cmd *command, all bool) {
	head := "usage: " + program
	var parts []string
	switch {
	case cmd != nil:
		head += " " + cmd.name
		parts = append(usageParts(cmd.flags), "[any flag of "+program+"]")
		if cmd.usage != "" {
			parts = append(parts, cmd.usage)
		}
	case all:
		for _, tier := range [][]*spec{upstream, own} {
			parts = append(parts, usageParts(tier)...)
		}
		parts = append([]string{"[COMMAND]"}, parts...)
	default:
		parts = []string{"[COMMAND]", "[FLAGS]"}
	}
	writeWrapped(w, head, parts, len("usage: "+program)+1)
}

// usageParts puts each flag in brackets, exclusive groups together.
func usageParts(specs []*spec) []string {
	var parts []string
	done := map[string]bool{}
	for _, s := range specs {
		if s.group == "" {
			parts = append(parts, "["+s.signature(shortest(s))+"]")
			continue
		}
		if done[s.group] {
			continue
		}
		done[s.group] = true
		var members []string
		for _, o := range specs {
			if o.group == s.group {
				members = append(members, o.signature(o.name))
			}
		}
		parts = append(parts, "["+strings.Join(members, " | ")+"]")
	}
	return parts
}

func shortest(s *spec) string {
	if s.short != "" {
		return s.short
	}
	return s.name
}

// writeWrapped prints head and then the parts, broken at the line width and indented.
func writeWrapped(w io.Writer, head string, parts []string, indent int) {
	line := head
	for _, p := range parts {
		if len(line)+1+len(p) > lineWidth && len(line) > indent {
			fmt.Fprintln(w, line)
			line = strings.Repeat(" ", indent-1)
		}
		line += " " + p
	}
	fmt.Fprintln(w, line)
}

// commonFlags are those that the short help shows.
var commonFlags = []string{
	"--listen", "--port", "--base-directory", "--extra-model-paths-config", "--output-directory", "--onnxruntime", "--demo-model",
	"--cpu", "--cuda-device", "--lowvram", "--max-memory", "--preview-method", "--auth", "--api-key-file", "--tls-certfile", "--tls-keyfile",
	"--config", "--log-format", "--verbose", "--help-all", "--version",
}

// writeHelp prints the flags of the program or one command: the common ones, or all of them.
func writeHelp(w io.Writer, cmd *command, all bool) {
	if cmd != nil {
		writeUsage(w, cmd, all)
		fmt.Fprintf(w, "\n%s: %s. Every flag of %s may be given too.\n", cmd.name, cmd.help, program)
		if len(cmd.flags) > 0 {
			writeSection(w, "options", cmd.flags)
		}
		return
	}
	fmt.Fprintln(w, "comfygo: a ComfyUI server in Go. Without a command it starts the server.")
	fmt.Fprintln(w)
	writeUsage(w, nil, all)
	fmt.Fprintln(w, "\ncommands:")
	for _, c := range commands {
		writeEntry(w, strings.TrimSpace(c.name+" "+c.usage), c.help)
	}
	if !all {
		var common []*spec
		for _, name := range commonFlags {
			for _, s := range slices.Concat(upstream, own) {
				if s.name == name {
					common = append(common, s)
				}
			}
		}
		writeSection(w, "common flags", common)
		fmt.Fprintln(w, "\nEvery flag can also be set by an environment variable (COMFYGO_PORT=8190) or in\na config file (--config). `comfygo --help-all` lists every flag.")
		return
	}
	for _, title := range sections {
		var members []*spec
		for _, s := range slices.Concat(upstream, own) {
			if s.section == title {
				members = append(members, s)
			}
		}
		writeSection(w, title, members)
	}
	fmt.Fprintln(w, "\nFlags marked * are accepted for compatibility and have no effect in comfygo.")
}

// helpOn prints the help of the command that the words name, or of the program.
func helpOn(w io.Writer, words []string) error {
	if len(words) == 0 {
		writeHelp(w, nil, false)
		return nil
	}
	cmd, rest := split(words)
	switch {
	case cmd == nil:
		return &UsageError{Message: "unknown command: " + quote(words[0]), Hint: meant(words[0], commandNames())}
	case len(rest) > 0:
		return &UsageError{Message: "unrecognized arguments: " + joinWords(rest), Hint: wordsHint(cmd, rest)}
	}
	writeHelp(w, cmd, false)
	return nil
}

func writeSection(w io.Writer, title string, specs []*spec) {
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, s := range specs {
		sig := s.signature(s.name)
		if s.short != "" {
			sig = s.signature(s.short) + ", " + sig
		}
		help := s.help
		if s.kind == kindFeature {
			help += " (" + strings.Join(s.choices, ", ") + ")"
		}
		if s.ignored {
			help += " *"
		}
		writeEntry(w, sig, help)
	}
}

// writeEntry prints one name with its text in a second column.
func writeEntry(w io.Writer, name, help string) {
	head := "  " + name
	if len(head)+2 > helpColumn {
		fmt.Fprintln(w, head)
		head = ""
	}
	head += strings.Repeat(" ", helpColumn-1-len(head))
	writeWrapped(w, head, strings.Fields(help), helpColumn)
}
