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

// writeUsage prints the usage lines that stand before an error and in the help.
func writeUsage(w io.Writer, cmd *command) {
	head := "usage: " + program
	tiers := [][]*spec{upstream, own}
	if cmd != nil {
		head += " " + cmd.name
		tiers = [][]*spec{cmd.flags}
	}
	var parts []string
	for _, tier := range tiers {
		parts = append(parts, usageParts(tier)...)
	}
	if cmd == nil {
		names := make([]string, len(commands))
		for i, c := range commands {
			names[i] = c.name + " |"
		}
		names[0] = "[" + names[0]
		names[len(names)-1] = strings.TrimSuffix(names[len(names)-1], " |") + "]"
		parts = append(names, parts...)
	} else {
		parts = append(parts, "[any flag of "+program+"]")
		if cmd.usage != "" {
			parts = append(parts, cmd.usage)
		}
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

// writeHelp prints what the program or one command understands.
func writeHelp(w io.Writer, cmd *command) {
	writeUsage(w, cmd)
	if cmd != nil {
		fmt.Fprintf(w, "\n%s: %s. Every flag of %s may be given too.\n", cmd.name, cmd.help, program)
		writeSection(w, "options", cmd.flags)
		return
	}
	fmt.Fprintln(w, "\nA ComfyUI server in Go. Without a command it starts the server.\n\ncommands:")
	for _, c := range commands {
		writeEntry(w, strings.TrimSpace(c.name+" "+c.usage), c.help)
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
	fmt.Fprintln(w, "\nFlags marked * are accepted and change nothing here: what they steer in\nPyTorch is done in one way only.")
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

// writeEntry prints one name with its text in a column of its own.
func writeEntry(w io.Writer, name, help string) {
	head := "  " + name
	if len(head)+2 > helpColumn {
		fmt.Fprintln(w, head)
		head = ""
	}
	head += strings.Repeat(" ", helpColumn-1-len(head))
	writeWrapped(w, head, strings.Fields(help), helpColumn)
}
