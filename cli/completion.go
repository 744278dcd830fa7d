package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeCompletion prints what makes a shell complete command lines: the commands, their actions, and the flags of each with
// their choices. It is made of the tables that the command line is read by.
func writeCompletion(w io.Writer, shell string) error {
	write, ok := map[string]func(io.Writer){"bash": writeBash, "zsh": writeZsh, "fish": writeFish}[shell]
	if !ok {
		return usagef("invalid choice: %q (choose from bash, zsh, fish)", shell)
	}
	write(w)
	return nil
}

// completed are the words that may follow a command first.
func (c command) completed() []string {
	switch {
	case c.actions != nil:
		names := make([]string, len(c.actions))
		for i, a := range c.actions {
			names[i] = a.name
		}
		return names
	case c.name == "queue":
		return []string{"list", "pause", "resume", "clear"}
	case c.name == "completion":
		return []string{"bash", "zsh", "fish"}
	case c.name == "frontend":
		return []string{"install"}
	}
	return nil
}

func flagNames(tiers ...[]*spec) string {
	var names []string
	for _, s := range slices.Concat(tiers...) {
		names = append(names, s.name)
	}
	return strings.Join(names, " ")
}

// withChoices returns the flags with a fixed set of values.
func withChoices() []*spec {
	var list []*spec
	for _, s := range slices.Concat(upstream, own) {
		if len(s.choices) > 0 {
			list = append(list, s)
		}
	}
	return list
}

func writeBash(w io.Writer) {
	fmt.Fprintf(w, `# bash completion of comfygo: eval "$(comfygo completion bash)"
_comfygo() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} flags="%s" words=""
  case $prev in
`, flagNames(upstream, own))
	for _, s := range withChoices() {
		fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", s.name, strings.Join(s.choices, " "))
	}
	fmt.Fprint(w, "  esac\n  case ${COMP_WORDS[1]} in\n")
	for _, c := range commands {
		fmt.Fprintf(w, "    %s) flags=\"%s $flags\"; words=%q ;;\n", c.name, flagNames(c.flags), strings.Join(c.completed(), " "))
	}
	fmt.Fprintf(w, `  esac
  if [ "$COMP_CWORD" = 1 ]; then words=%q; fi
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$cur")); [ "${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o filenames -F _comfygo comfygo
`, strings.Join(commandNames(), " "))
}

func commandNames() []string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	return names
}

// quoted is a text within single quotes of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func writeZsh(w io.Writer) {
	fmt.Fprint(w, "#compdef comfygo\n# zsh completion of comfygo: source <(comfygo completion zsh)\n_comfygo() {\n  local -a verbs flags next\n  verbs=(\n")
	for _, c := range commands {
		fmt.Fprintf(w, "    %s\n", quoted(c.name+":"+c.help))
	}
	fmt.Fprintf(w, "  )\n  flags=(%s)\n  case $words[2] in\n", flagNames(upstream, own))
	for _, c := range commands {
		fmt.Fprintf(w, "    %s) flags=(%s $flags); next=(%s) ;;\n", c.name, flagNames(c.flags), strings.Join(c.completed(), " "))
	}
	fmt.Fprint(w, `  esac
  if [[ $PREFIX == -* ]]; then compadd -- $flags
  elif (( CURRENT == 2 )); then _describe command verbs
  elif (( CURRENT == 3 && $#next )); then compadd -- $next
  else _files
  fi
}
(( $+functions[compdef] )) && compdef _comfygo comfygo
`)
}

func writeFish(w io.Writer) {
	fmt.Fprint(w, "# fish completion of comfygo: comfygo completion fish | source\n")
	for _, c := range commands {
		fmt.Fprintf(w, "complete -c comfygo -n __fish_use_subcommand -a %s -d %s\n", c.name, quoted(c.help))
		for _, word := range c.completed() {
			fmt.Fprintf(w, "complete -c comfygo -n '__fish_seen_subcommand_from %s' -a %s\n", c.name, word)
		}
		for _, s := range c.flags {
			fmt.Fprintf(w, "complete -c comfygo -n '__fish_seen_subcommand_from %s' -l %s -d %s\n", c.name, strings.TrimPrefix(s.name, "--"), quoted(s.help))
		}
	}
	for _, s := range slices.Concat(upstream, own) {
		line := "complete -c comfygo -l " + strings.TrimPrefix(s.name, "--") + " -d " + quoted(s.help)
		if len(s.choices) > 0 {
			line += " -x -a " + quoted(strings.Join(s.choices, " "))
		}
		fmt.Fprintln(w, line)
	}
}
