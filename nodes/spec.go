package nodes

import "comfygo/folders"

// Spec holds everything about a node class except its inputs.
type Spec struct {
	// Name is the class name in workflows.
	Name string
	// DisplayName is the title; for v1 classes without one, the name is shown, for v3 classes null.
	DisplayName string
	// NoCategory marks a Category that is empty on purpose.
	NoCategory bool
	// Category is the place in the menu; "" means "sd", as upstream has it.
	Category string
	// Description and SearchAliases are shown by the front end.
	Description   string
	SearchAliases []string
	// Module is upstream's python_module ("nodes", "comfy_extras.nodes_mask", …); "" means "nodes".
	Module string
	// V3 selects the shapes of upstream's newer schema in /object_info and its rules for dynamic inputs.
	V3 bool
	// Outputs in order.
	Outputs []Output
	// Hidden inputs of a v3 class by kind (UNIQUE_ID, …), beyond PROMPT and EXTRA_PNGINFO, which every v3 output node gets.
	Hidden []string

	// OutputNode: the node is run for its effect.
	OutputNode bool
	// InputIsList: the fields are slices and Run is called once with whole lists.
	InputIsList bool
	// HasIntermediateOutput: cached UI is sent again although the node is no output node.
	HasIntermediateOutput bool
	// NotIdempotent: equal nodes do not share results.
	NotIdempotent bool
	// Async: Run may overlap with other nodes; see Context.Await.
	Async bool
	// Uses declares what may run beside the node; by default nothing may.
	Uses Uses
	// AcceptAllInputs: undeclared inputs reach the node too (Context.Input).
	AcceptAllInputs bool
	// Validates names the inputs that ValidateInputs reads, as upstream's function names its arguments: the built-in range and list checks
	// leave these to the node. "input_types" requests the types of the links, "**" selects every input.
	Validates []string

	Deprecated, Experimental, DevOnly bool
	// APINode is written for v3 classes always, for v1 classes only when true.
	APINode bool
	// EssentialsCategory is null (v3) or absent (v1) when empty.
	EssentialsCategory string
	// PriceBadge is written as it is; nil is null.
	PriceBadge any
}

// Uses declares the resources of a node's work, and so what may run beside it. Clients see the same messages in the same order for all
// values.
type Uses int

const (
	// UsesUnknown is for nodes without a declaration: they run when it is their turn, never earlier.
	UsesUnknown Uses = iota
	// UsesDevice is for work on the device, which one node has to itself, that depends only on the inputs and the fingerprint. It may begin
	// early while a UsesNothing node is at work, and its result may never be used.
	UsesDevice
	// UsesNothing is for work on the CPU and in the node's own files that depends only on the inputs and the fingerprint. It may begin early
	// and run beside any other node; unless the node is an output node, its result may never be used.
	UsesNothing
)

// Output is one output slot.
type Output struct {
	// Type is the link type.
	Type string
	// Name is the label; "" shows the type.
	Name string
	// List: the node returns a slice; later nodes process each element separately.
	List bool
	// ListUnset writes null for List in /object_info, as upstream does for classes that omit it; the value is not a list then.
	ListUnset bool
	// Tooltip is shown by the front end.
	Tooltip string
	// Match is the template id of a v3 match type output.
	Match string
	// Choices, when not nil, makes a v1 output's type the list itself (an output that feeds a combo).
	Choices []any
}

// Outputs makes outputs without names from types.
func Outputs(types ...string) []Output {
	out := make([]Output, len(types))
	for i, t := range types {
		out[i].Type = t
	}
	return out
}

// Node is implemented by every node. The fields of the struct are set before each call.
type Node interface {
	// Spec describes the class. It is called once, on a zero value.
	Spec() Spec
	// Run does the work of one call. Values in tensors that came over links must not be changed.
	Run(ctx *Context) (Result, error)
}

// Validator is implemented by nodes that check their own inputs; Spec.Validates selects them. Linked inputs have zero values
// (Context.Linked distinguishes them). Return Invalid or Refused for a wrong value; any other error counts as an exception in the
// validator.
type Validator interface {
	ValidateInputs(ctx *Context) error
}

// Fingerprinter is implemented by nodes whose result depends on more than their inputs (files, time, randomness).
// Equal fingerprints (JSON-like values) allow a cached result; math.NaN() never does. Only constants are set.
type Fingerprinter interface {
	Fingerprint(ctx *Context) (any, error)
}

// LazyInputs is implemented by nodes with lazy inputs. It names the inputs that are needed before Run can be called; inputs that are
// already computed are ignored. Context.Missing reports the fields without a value.
type LazyInputs interface {
	CheckLazy(ctx *Context) ([]string, error)
}

// Chooser is implemented by nodes with inputs tagged choices: it lists the choices of such an input.
type Chooser interface {
	Choices(env Env, input string) []any
}

// Dynamic is implemented by nodes with fields of type Choice: it lists the options of such an input.
type Dynamic interface {
	DynamicOptions(input string) []Option
}

// Env holds what a schema depends on besides the class.
type Env struct {
	// Folders gives the file lists; nil means empty folders.
	Folders *folders.Folders
	// GPUs is the number of GPUs.
	GPUs int
}
