package dataset

import (
	"strings"

	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TextToLowercase{})
	nodes.Register(&TextToUppercase{})
	nodes.Register(&TruncateText{})
	nodes.Register(&AddTextPrefix{})
	nodes.Register(&AddTextSuffix{})
	nodes.Register(&ReplaceText{})
	nodes.Register(&StripWhitespace{})
	nodes.Register(&MergeTextLists{})
}

// TextToLowercase writes a text in lower case.
type TextToLowercase struct {
	Texts string `in:"texts" tooltip:"Text to convert."`
}

// Spec implements nodes.Node.
func (*TextToLowercase) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextToLowercase", DisplayName: "Convert Text to Lowercase (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The converted text, as a list of one."}},
		Deprecated:    true,
		Experimental:  true,
		Description:   "Converts text to lowercase.",
		SearchAliases: []string{"lowercase"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TextToLowercase) Run(ctx *nodes.Context) (nodes.Result, error) {
	const copies = 4 // of the text while its cases are changed
	if err := ctx.ReserveText(len(n.Texts), copies); err != nil {
		return nodes.Result{}, err
	}
	return one(pystr.Lower(n.Texts))
}

// TextToUppercase writes a text in upper case.
type TextToUppercase struct {
	Texts string `in:"texts" tooltip:"Text to convert."`
}

// Spec implements nodes.Node.
func (*TextToUppercase) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextToUppercase", DisplayName: "Convert Text to Uppercase (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The converted text, as a list of one."}},
		Deprecated:    true,
		Experimental:  true,
		Description:   "Converts text to uppercase.",
		SearchAliases: []string{"uppercase"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TextToUppercase) Run(ctx *nodes.Context) (nodes.Result, error) {
	const copies = 4 // of the text while its cases are changed
	if err := ctx.ReserveText(len(n.Texts), copies); err != nil {
		return nodes.Result{}, err
	}
	return one(pystr.Upper(n.Texts))
}

// TruncateText cuts a text.
type TruncateText struct {
	Texts     string `in:"texts" tooltip:"Text to cut."`
	MaxLength int    `in:"max_length" default:"77" min:"1" max:"10000" tooltip:"Maximum number of characters."`
}

// Spec implements nodes.Node.
func (*TruncateText) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TruncateText", DisplayName: "Truncate Text", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The shortened text, as a list of one."}},
		Experimental:  true,
		Description:   "Cuts text to a maximum number of characters.",
		SearchAliases: []string{"truncate", "cut", "shorten"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TruncateText) Run(*nodes.Context) (nodes.Result, error) {
	runes := []rune(n.Texts)
	end := n.MaxLength
	if end < 0 {
		end = max(0, len(runes)+end)
	}
	return one(string(runes[:min(end, len(runes))]))
}

// AddTextPrefix puts a text in front of another.
type AddTextPrefix struct {
	Texts  string `in:"texts" tooltip:"Text to extend."`
	Prefix string `in:"prefix" default:"" tooltip:"Text to put in front."`
}

// Spec implements nodes.Node.
func (*AddTextPrefix) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AddTextPrefix", DisplayName: "Add Text Prefix (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The extended text, as a list of one."}},
		Deprecated:   true,
		Experimental: true,
		Description:  "Adds a prefix to a text.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *AddTextPrefix) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.Texts)+len(n.Prefix), 1); err != nil {
		return nodes.Result{}, err
	}
	return one(n.Prefix + n.Texts)
}

// AddTextSuffix puts a text behind another.
type AddTextSuffix struct {
	Texts  string `in:"texts" tooltip:"Text to extend."`
	Suffix string `in:"suffix" default:"" tooltip:"Text to put behind."`
}

// Spec implements nodes.Node.
func (*AddTextSuffix) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AddTextSuffix", DisplayName: "Add Text Suffix (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The extended text, as a list of one."}},
		Deprecated:   true,
		Experimental: true,
		Description:  "Adds a suffix to a text.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *AddTextSuffix) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.ReserveText(len(n.Texts)+len(n.Suffix), 1); err != nil {
		return nodes.Result{}, err
	}
	return one(n.Texts + n.Suffix)
}

// ReplaceText replaces all occurrences of a text in another.
type ReplaceText struct {
	Texts   string `in:"texts" tooltip:"Text to change."`
	Find    string `in:"find" default:"" tooltip:"Text to look for."`
	Replace string `in:"replace" default:"" tooltip:"Text to put in its place."`
}

// Spec implements nodes.Node.
func (*ReplaceText) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ReplaceText", DisplayName: "Replace Text (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The changed text, as a list of one."}},
		Deprecated:   true,
		Experimental: true,
		Description:  "Replaces every occurrence of a text.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ReplaceText) Run(ctx *nodes.Context) (nodes.Result, error) {
	if more := len(n.Replace) - len(n.Find); more > 0 {
		if err := ctx.ReserveText(len(n.Texts)+strings.Count(n.Texts, n.Find)*more, 1); err != nil {
			return nodes.Result{}, err
		}
	}
	return one(strings.ReplaceAll(n.Texts, n.Find, n.Replace))
}

// StripWhitespace takes white space off both ends of a text.
type StripWhitespace struct {
	Texts string `in:"texts" tooltip:"Text to strip."`
}

// Spec implements nodes.Node.
func (*StripWhitespace) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "StripWhitespace", DisplayName: "Strip Whitespace (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "The stripped text, as a list of one."}},
		Deprecated:   true,
		Experimental: true,
		Description:  "Removes white space at the start and the end of a text.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *StripWhitespace) Run(*nodes.Context) (nodes.Result, error) { return one(pystr.Strip(n.Texts)) }

// MergeTextLists gives a list of texts on as one value.
type MergeTextLists struct {
	Texts []string `in:"texts" tooltip:"Texts to join."`
}

// Spec implements nodes.Node.
func (*MergeTextLists) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MergeTextLists", DisplayName: "Merge Text Lists (DEPRECATED)", Category: "text",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:      []nodes.Output{{Type: "STRING", Name: "texts", ListUnset: true, Tooltip: "A list of the list of texts."}},
		InputIsList:  true,
		Deprecated:   true,
		Experimental: true,
		Description:  "Joins text lists into one.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MergeTextLists) Run(*nodes.Context) (nodes.Result, error) {
	texts := make([]any, len(n.Texts))
	for i, t := range n.Texts {
		texts[i] = t
	}
	return nodes.Out([]any{texts}), nil
}

// one returns a text in a list of one, as upstream's text classes of this module do: behind them a text input gets a list.
func one(text string) (nodes.Result, error) { return nodes.Out([]any{text}), nil }
