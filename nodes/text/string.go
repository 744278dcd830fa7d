package text

import (
	"strings"
	"unicode/utf8"

	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&StringConcatenate{})
	nodes.Register(&StringSubstring{})
	nodes.Register(&StringLength{})
	nodes.Register(&CaseConverter{})
	nodes.Register(&StringTrim{})
	nodes.Register(&StringReplace{})
	nodes.Register(&StringContains{})
	nodes.Register(&StringCompare{})
}

// spec returns the common part of the Spec of all nodes of the module.
func spec(name, title string, outputs []nodes.Output, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: title, Category: "text", V3: true, Module: "comfy_extras.nodes_string",
		SearchAliases: aliases, Outputs: outputs, Uses: nodes.UsesNothing,
	}
}

// StringConcatenate joins two texts.
type StringConcatenate struct {
	A         string `in:"string_a" multiline:"true"`
	B         string `in:"string_b" multiline:"true"`
	Delimiter string `in:"delimiter" multiline:"false" default:""`
}

// Spec implements nodes.Node.
func (*StringConcatenate) Spec() nodes.Spec {
	return spec("StringConcatenate", "Concatenate Text", nodes.Outputs("STRING"),
		"concatenate", "text concat", "join text", "merge text", "combine strings", "string concat", "append text", "combine text")
}

// Run implements nodes.Node.
func (n *StringConcatenate) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.A)+len(n.Delimiter)+len(n.B), 1); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.A + n.Delimiter + n.B), nil
}

// StringSubstring takes a part of a text; negative places count from its end.
type StringSubstring struct {
	String string `in:"string" multiline:"true"`
	Start  int    `in:"start"`
	End    int    `in:"end"`
}

// Spec implements nodes.Node.
func (*StringSubstring) Spec() nodes.Spec {
	return spec("StringSubstring", "Substring", nodes.Outputs("STRING"), "substring", "extract text", "text portion")
}

// Run implements nodes.Node.
func (n *StringSubstring) Run(*nodes.Context) (nodes.Result, error) {
	length := utf8.RuneCountInString(n.String)
	place := func(i int) int {
		if i < 0 {
			i += length
		}
		return min(max(i, 0), length)
	}
	from, to := place(n.Start), place(n.End)
	if from >= to {
		return nodes.Out(""), nil
	}
	start := byteOf(n.String, from)
	return nodes.Out(n.String[start : start+byteOf(n.String[start:], to-from)]), nil
}

// byteOf is the place in bytes of a text's i-th character; its length when it has no more.
func byteOf(s string, i int) int {
	for at := range s {
		if i == 0 {
			return at
		}
		i--
	}
	return len(s)
}

// StringLength counts the characters of a text.
type StringLength struct {
	String string `in:"string" multiline:"true"`
}

// Spec implements nodes.Node.
func (*StringLength) Spec() nodes.Spec {
	return spec("StringLength", "Text Length", []nodes.Output{{Type: "INT", Name: "length"}}, "character count", "text size", "string length")
}

// Run implements nodes.Node.
func (n *StringLength) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(utf8.RuneCountInString(n.String)), nil
}

// caseCopies is how many times a text is in memory while its cases are changed, the result included: converters grow their
// buffers by doubling.
const caseCopies = 4

// CaseConverter writes a text in other cases.
type CaseConverter struct {
	String string `in:"string" multiline:"true"`
	Mode   string `in:"mode" options:"UPPERCASE|lowercase|Capitalize|Title Case"`
}

// Spec implements nodes.Node.
func (*CaseConverter) Spec() nodes.Spec {
	return spec("CaseConverter", "Convert Text Case", nodes.Outputs("STRING"), "case converter", "text case", "uppercase", "lowercase", "capitalize")
}

// Run implements nodes.Node.
func (n *CaseConverter) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.String), caseCopies); err != nil {
		return nodes.Result{}, err
	}
	change := map[string]func(string) string{"UPPERCASE": pystr.Upper, "lowercase": pystr.Lower, "Capitalize": pystr.Capitalize, "Title Case": pystr.Title}[n.Mode]
	if change == nil {
		return nodes.Out(n.String), nil
	}
	return nodes.Out(change(n.String)), nil
}

// StringTrim takes white space off the ends of a text.
type StringTrim struct {
	String string `in:"string" multiline:"true"`
	Mode   string `in:"mode" options:"Both|Left|Right"`
}

// Spec implements nodes.Node.
func (*StringTrim) Spec() nodes.Spec {
	return spec("StringTrim", "Trim Text", nodes.Outputs("STRING"), "trim", "clean whitespace", "remove whitespace", "remove spaces", "strip")
}

// Run implements nodes.Node.
func (n *StringTrim) Run(*nodes.Context) (nodes.Result, error) {
	s := n.String
	if n.Mode == "Both" || n.Mode == "Left" {
		s = strings.TrimLeftFunc(s, pystr.IsSpace)
	}
	if n.Mode == "Both" || n.Mode == "Right" {
		s = strings.TrimRightFunc(s, pystr.IsSpace)
	}
	return nodes.Out(s), nil
}

// StringReplace replaces all places of a text in another.
type StringReplace struct {
	String  string `in:"string" multiline:"true"`
	Find    string `in:"find" multiline:"true"`
	Replace string `in:"replace" multiline:"true"`
}

// Spec implements nodes.Node.
func (*StringReplace) Spec() nodes.Spec {
	return spec("StringReplace", "Replace Text", nodes.Outputs("STRING"), "replace", "find and replace", "substitute", "swap text")
}

// Run implements nodes.Node.
func (n *StringReplace) Run(ctx *nodes.Context) (nodes.Result, error) {
	length := len(n.String)
	if more := len(n.Replace) - len(n.Find); more > 0 {
		length += strings.Count(n.String, n.Find) * more
	}
	if err := ctx.ReserveText(length, 1); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(strings.ReplaceAll(n.String, n.Find, n.Replace)), nil
}

// StringContains looks for a text in another.
type StringContains struct {
	String        string `in:"string" multiline:"true"`
	Substring     string `in:"substring" multiline:"true"`
	CaseSensitive bool   `in:"case_sensitive" default:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*StringContains) Spec() nodes.Spec {
	return spec("StringContains", "Contains Text", []nodes.Output{{Type: "BOOLEAN", Name: "contains"}}, "contains", "text includes", "string includes")
}

// Run implements nodes.Node.
func (n *StringContains) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := reserveFolded(ctx, n.CaseSensitive, n.String, n.Substring); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(strings.Contains(folded(n.String, n.CaseSensitive), folded(n.Substring, n.CaseSensitive))), nil
}

// StringCompare compares two texts or an end of one.
type StringCompare struct {
	A             string `in:"string_a" multiline:"true"`
	B             string `in:"string_b" multiline:"true"`
	Mode          string `in:"mode" options:"Starts With|Ends With|Equal"`
	CaseSensitive bool   `in:"case_sensitive" default:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*StringCompare) Spec() nodes.Spec {
	return spec("StringCompare", "Compare Text", nodes.Outputs("BOOLEAN"), "compare", "text match", "string equals", "starts with", "ends with")
}

// Run implements nodes.Node.
func (n *StringCompare) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := reserveFolded(ctx, n.CaseSensitive, n.A, n.B); err != nil {
		return nodes.Result{}, err
	}
	a, b := folded(n.A, n.CaseSensitive), folded(n.B, n.CaseSensitive)
	switch n.Mode {
	case "Starts With":
		return nodes.Out(strings.HasPrefix(a, b)), nil
	case "Ends With":
		return nodes.Out(strings.HasSuffix(a, b)), nil
	}
	return nodes.Out(a == b), nil
}

// reserveFolded is ReserveText for what folded makes of texts.
func reserveFolded(ctx *nodes.Context, sensitive bool, texts ...string) error {
	if sensitive {
		return nil
	}
	length := 0
	for _, s := range texts {
		length += len(s)
	}
	return ctx.Reserve("texts in lower case", int64(length)*caseCopies)
}

func folded(s string, sensitive bool) string {
	if sensitive {
		return s
	}
	return pystr.Lower(s)
}
