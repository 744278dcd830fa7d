package text

import (
	"errors"
	"fmt"
	"strings"

	"comfygo/internal/pyre"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&RegexMatch{})
	nodes.Register(&RegexExtract{})
	nodes.Register(&RegexReplace{})
}

// RegexMatch reports whether a pattern occurs in a text.
type RegexMatch struct {
	String          string `in:"string" multiline:"true"`
	RegexPattern    string `in:"regex_pattern" multiline:"true"`
	CaseInsensitive bool   `in:"case_insensitive" advanced:"true" default:"true"`
	Multiline       bool   `in:"multiline" advanced:"true" default:"false"`
	Dotall          bool   `in:"dotall" advanced:"true" default:"false"`
}

// Spec implements nodes.Node.
func (*RegexMatch) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RegexMatch", DisplayName: "Match Text", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       []nodes.Output{{Type: "BOOLEAN", Name: "matches"}},
		Description:   "Checks whether a text has a match of a regular expression.",
		SearchAliases: []string{"regex match", "regex", "pattern match", "text contains", "string match"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. A wrong pattern matches nothing.
func (n *RegexMatch) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.String), runeCopies); err != nil {
		return nodes.Result{}, err
	}
	p, err := pyre.Compile(n.RegexPattern, pyre.Flags{IgnoreCase: n.CaseInsensitive, Multiline: n.Multiline, DotAll: n.Dotall})
	if err != nil {
		return orWrong(false, err)
	}
	_, ok, err := p.Search(ctx, n.String)
	return nodes.Out(ok), err
}

// RegexExtract takes matches of a pattern out of a text.
type RegexExtract struct {
	String          string `in:"string" multiline:"true"`
	RegexPattern    string `in:"regex_pattern" multiline:"true"`
	Mode            string `in:"mode" options:"First Match|All Matches|First Group|All Groups"`
	CaseInsensitive bool   `in:"case_insensitive" advanced:"true" default:"true"`
	Multiline       bool   `in:"multiline" advanced:"true" default:"false"`
	Dotall          bool   `in:"dotall" advanced:"true" default:"false"`
	GroupIndex      int    `in:"group_index" advanced:"true" default:"1" min:"0" max:"100"`
}

// Spec implements nodes.Node.
func (*RegexExtract) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RegexExtract", DisplayName: "Extract Text", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       nodes.Outputs("STRING"),
		Description:   "Returns what a regular expression or one of its groups matches in a text: the first match, or all of them on lines of their own.",
		SearchAliases: []string{"regex extract", "regex", "pattern extract", "text parser", "parse text"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. A wrong pattern matches nothing; a group that takes no part gives nil.
func (n *RegexExtract) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.String), runeCopies); err != nil {
		return nodes.Result{}, err
	}
	p, err := pyre.Compile(n.RegexPattern, pyre.Flags{IgnoreCase: n.CaseInsensitive, Multiline: n.Multiline, DotAll: n.Dotall})
	if err != nil {
		return orWrong("", err)
	}
	switch n.Mode {
	case "First Match":
		m, ok, err := p.Search(ctx, n.String)
		if !ok {
			return nodes.Out(""), err
		}
		return nodes.Out(group(m, 0)), err
	case "First Group":
		m, ok, err := p.Search(ctx, n.String)
		if !ok || p.Groups() < n.GroupIndex {
			return nodes.Out(""), err
		}
		return nodes.Out(group(m, n.GroupIndex)), err
	case "All Matches", "All Groups":
		return n.all(ctx, p)
	}
	return nodes.Out(""), nil
}

// all joins what the mode takes of every match. For "All Matches" of a pattern with groups that is the first group, as in upstream.
func (n *RegexExtract) all(ctx *nodes.Context, p *pyre.Pattern) (nodes.Result, error) {
	index, groups := n.GroupIndex, n.Mode == "All Groups"
	if !groups {
		index = min(p.Groups(), 1)
	}
	if groups && (p.Groups() == 0 || p.Groups() < index) {
		return nodes.Out(""), nil
	}
	var found []string
	var wrong error
	size := 0
	err := p.Each(ctx, n.String, func(m pyre.Match) bool {
		s, ok := m.Group(index)
		if !ok && groups {
			wrong = nodes.Errorf("TypeError", "joining matches: group %d took no part in match %d", index, len(found)+1)
			return false
		}
		size += len(s) + 1
		wrong = pystr.CheckSize(size)
		found = append(found, s)
		return wrong == nil
	})
	return nodes.Out(strings.Join(found, "\n")), errors.Join(err, wrong)
}

// RegexReplace replaces matches of a pattern in a text.
type RegexReplace struct {
	String          string `in:"string" multiline:"true"`
	RegexPattern    string `in:"regex_pattern" multiline:"true"`
	Replace         string `in:"replace" multiline:"true"`
	CaseInsensitive bool   `in:"case_insensitive" optional:"true" advanced:"true" default:"true"`
	Multiline       bool   `in:"multiline" optional:"true" advanced:"true" default:"false"`
	Dotall          bool   `in:"dotall" optional:"true" advanced:"true" default:"false" tooltip:"Lets the dot match line breaks as well."`
	Count           int    `in:"count" optional:"true" advanced:"true" default:"0" min:"0" max:"100" tooltip:"Maximum number of replacements, from the start of the text on; 0 replaces all."`
}

// Spec implements nodes.Node.
func (*RegexReplace) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RegexReplace", DisplayName: "Replace Text (Regex)", Category: "text",
		Module: "comfy_extras.nodes_string", V3: true,
		Outputs:       nodes.Outputs("STRING"),
		Description:   "Finds a regular expression in a text and replaces what it matches.",
		SearchAliases: []string{"regex replace", "regex", "pattern replace", "substitution"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *RegexReplace) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.String), runeCopies); err != nil {
		return nodes.Result{}, err
	}
	p, err := pyre.Compile(n.RegexPattern, pyre.Flags{IgnoreCase: n.CaseInsensitive, Multiline: n.Multiline, DotAll: n.Dotall})
	if err != nil {
		return nodes.Result{}, fmt.Errorf("reading the pattern: %w", err)
	}
	text, err := p.Sub(ctx, n.Replace, n.String, n.Count)
	return nodes.Out(text), err
}

// runeCopies is the memory that matching takes, as copies of the text: its code points of four bytes, and the result.
const runeCopies = 6

// group returns a group of a match, or nil if it did not take part.
func group(m pyre.Match, i int) any {
	if s, ok := m.Group(i); ok {
		return s
	}
	return nil
}

// orWrong returns a value for a wrong pattern; any other error is one.
func orWrong(v any, err error) (nodes.Result, error) {
	var wrong *pyre.Error
	if errors.As(err, &wrong) {
		return nodes.Out(v), nil
	}
	return nodes.Result{}, err
}
