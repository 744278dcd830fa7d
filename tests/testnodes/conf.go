package testnodes

import (
	"image"
	"image/color"
	"math"
	"slices"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// conformance lists the nodes of the conformance pack.
func conformance() []nodes.Node {
	return []nodes.Node{
		&confInt{}, &confAdd{}, &confSink{}, &confUI{}, &confSteps{}, &confFail{}, &confList{}, &confListSum{}, &confValidate{},
		&confValidateTypes{}, &confTypes{}, &confExpand{}, &confExpandUI{}, &confLazy{}, &confBlock{}, &confProgressText{}, &confAsync{},
		&confIsChanged{}, &confNotIdempotent{}, &confSingleFile{},
	}
}

// conf is the Spec that all nodes of the pack have in common.
func conf(name string, outputs ...string) nodes.Spec {
	return nodes.Spec{Name: name, Category: "conformance", Module: "custom_nodes.conformance_pack", Outputs: nodes.Outputs(outputs...)}
}

func confOutput(name string, outputs ...string) nodes.Spec {
	s := conf(name, outputs...)
	s.OutputNode = true
	return s
}

func text(s string) []any { return []any{s} }

type confInt struct {
	Value int64 `in:"value" default:"0" min:"-1000" max:"1000" step:"1"`
}

// Spec implements nodes.Node.
func (*confInt) Spec() nodes.Spec {
	s := conf("ConfInt", "INT")
	s.DisplayName = "Conformance Int"
	return s
}

// Run implements nodes.Node.
func (n *confInt) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type confAdd struct {
	A int64 `in:"a" default:"0"`
	B int64 `in:"b" default:"0"`
}

// Spec implements nodes.Node.
func (*confAdd) Spec() nodes.Spec { return conf("ConfAdd", "INT") }

// Run implements nodes.Node.
func (n *confAdd) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.A + n.B), nil }

type confSink struct {
	Value any `in:"value" opts:"{}"`
}

// Spec implements nodes.Node.
func (*confSink) Spec() nodes.Spec { return confOutput("ConfSink") }

// Run implements nodes.Node.
func (n *confSink) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.WithUI("text", text(pyjson.Str(n.Value))), nil
}

type confUI struct {
	Value any `in:"value" opts:"{}"`
}

// Spec implements nodes.Node.
func (*confUI) Spec() nodes.Spec { return confOutput("ConfUI", "*") }

// Run implements nodes.Node.
func (n *confUI) Run(*nodes.Context) (nodes.Result, error) {
	nested := pyjson.NewObject("k", []any{1, pyjson.NewObject("z", nil)})
	return nodes.Out(n.Value).AddUI("text", text(pyjson.Str(n.Value))).AddUI("numbers", []any{1, 2.5, nil, true}).AddUI("nested", []any{nested}), nil
}

// confSteps reports its progress, with an image if requested.
type confSteps struct {
	Steps   int    `in:"steps" default:"3" min:"1" max:"10000"`
	DelayMS int    `in:"delay_ms" default:"10" min:"0" max:"10000"`
	Preview string `in:"preview" options:"none|jpeg|png" default:"none"`
	Seed    int64  `in:"seed" default:"0"`
}

// Spec implements nodes.Node.
func (*confSteps) Spec() nodes.Spec { return conf("ConfSteps", "INT") }

// Run implements nodes.Node.
func (n *confSteps) Run(ctx *nodes.Context) (nodes.Result, error) {
	for i := range n.Steps {
		if err := ctx.Sleep(time.Duration(n.DelayMS) * time.Millisecond); err != nil {
			return nodes.Result{}, err
		}
		ctx.ProgressPreview(float64(i+1), float64(n.Steps), n.image(i))
	}
	return nodes.Out(int64(n.Steps)), nil
}

func (n *confSteps) image(step int) *nodes.Preview {
	if n.Preview == "none" {
		return nil
	}
	img := image.NewRGBA(image.Rect(0, 0, 40, 20))
	for i := range 40 * 20 {
		img.Set(i%40, i/40, color.RGBA{R: uint8(step * 20 % 256), A: 255})
	}
	if n.Preview == "jpeg" {
		return &nodes.Preview{Format: "JPEG", Image: img, MaxSize: 32}
	}
	return &nodes.Preview{Format: "PNG", Image: img}
}

type confFail struct {
	Message string `in:"message" default:"boom"`
	Value   int64  `in:"value" default:"1"`
	Kind    string `in:"kind" optional:"true" options:"ValueError|KeyError|custom"`
}

// Spec implements nodes.Node.
func (*confFail) Spec() nodes.Spec { return conf("ConfFail", "INT") }

// Run implements nodes.Node.
func (n *confFail) Run(*nodes.Context) (nodes.Result, error) {
	switch n.Kind {
	case "custom":
		return nodes.Result{}, nodes.Errorf("custom_nodes.conformance_pack.ConfFail.<locals>.ConformanceError", "%s", n.Message)
	case "KeyError":
		return nodes.Result{}, nodes.Errorf("KeyError", "%s", pyjson.Repr(n.Message))
	}
	return nodes.Result{}, nodes.Errorf("ValueError", "%s", n.Message)
}

type confList struct {
	N int64 `in:"n" default:"3" min:"0" max:"100"`
}

// Spec implements nodes.Node.
func (*confList) Spec() nodes.Spec {
	s := conf("ConfList")
	s.Outputs = []nodes.Output{{Type: "INT", List: true}, {Type: "STRING"}}
	return s
}

// Run implements nodes.Node.
func (n *confList) Run(*nodes.Context) (nodes.Result, error) {
	list := nodes.List{}
	for i := range n.N {
		list = append(list, i+1)
	}
	return nodes.Out(list, "n="+pyjson.Str(n.N)), nil
}

type confListSum struct {
	Values []int64 `in:"values" forceInput:"true"`
	Scale  []int64 `in:"scale" default:"1"`
}

// Spec implements nodes.Node.
func (*confListSum) Spec() nodes.Spec {
	s := conf("ConfListSum", "INT")
	s.InputIsList = true
	return s
}

// Run implements nodes.Node.
func (n *confListSum) Run(*nodes.Context) (nodes.Result, error) {
	sum := int64(0)
	for _, v := range n.Values {
		sum += v
	}
	return nodes.Out(sum * n.Scale[0]), nil
}

type confValidate struct {
	A string `in:"a" default:"ok"`
	N int64  `in:"n" default:"1" min:"0" max:"10"`
}

var _ nodes.Validator = (*confValidate)(nil)

// Spec implements nodes.Node.
func (*confValidate) Spec() nodes.Spec {
	s := confOutput("ConfValidate", "STRING")
	s.Validates = []string{"a"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *confValidate) ValidateInputs(*nodes.Context) error {
	switch n.A {
	case "boom":
		return nodes.Errorf("RuntimeError", "validator exploded")
	case "no":
		return nodes.Refused()
	case "bad":
		return nodes.Invalid("a must not be bad")
	}
	return nil
}

// Run implements nodes.Node.
func (n *confValidate) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.A).AddUI("text", text(n.A)), nil
}

type confValidateTypes struct {
	V any `in:"v" type:"INT,FLOAT" forceInput:"true"`
}

var _ nodes.Validator = (*confValidateTypes)(nil)

// Spec implements nodes.Node.
func (*confValidateTypes) Spec() nodes.Spec {
	s := confOutput("ConfValidateTypes", "INT")
	s.Validates = []string{"input_types"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (*confValidateTypes) ValidateInputs(ctx *nodes.Context) error {
	typ, linked := ctx.Linked("v")
	if !linked {
		return nodes.Invalid("unwanted type None")
	}
	if slices.Contains([]string{"INT", "FLOAT"}, typ) {
		return nil
	}
	return nodes.Invalid("unwanted type %s", typ)
}

// Run implements nodes.Node.
func (n *confValidateTypes) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.V).AddUI("text", text(pyjson.Str(n.V))), nil
}

// confTypes has an input of every widget kind and shows what came in.
type confTypes struct {
	I           int64          `in:"i" default:"5" min:"0" max:"10" step:"2"`
	F           float64        `in:"f" default:"0.5" min:"0.0" max:"1.0" step:"0.1" round:"0.01"`
	S           string         `in:"s" default:"x" multiline:"true"`
	B           bool           `in:"b" default:"true" label_on:"yes" label_off:"no"`
	Combo       any            `in:"combo" options:"one|two|=3" default:"two"`
	Combo2      string         `in:"combo2" type:"COMBO" options:"red|green" default:"red"`
	Multi       any            `in:"multi" type:"COMBO" options:"m1|m2|m3" multiselect:"true" default:"=[\"m1\"]"`
	OI          any            `in:"oi" type:"INT" optional:"true" default:"1"`
	LazyI       any            `in:"lazy_i" type:"INT" optional:"true" lazy:"true" forceInput:"true"`
	UniqueID    string         `in:"unique_id" hidden:"UNIQUE_ID"`
	Prompt      *pyjson.Object `in:"prompt" hidden:"PROMPT"`
	ExtraPNGInf any            `in:"extra_pnginfo" hidden:"EXTRA_PNGINFO"`
}

// Spec implements nodes.Node.
func (*confTypes) Spec() nodes.Spec {
	s := confOutput("ConfTypes")
	s.Outputs = []nodes.Output{{Type: "STRING", Name: "described", Tooltip: "what came in"}}
	s.Description, s.SearchAliases = "All widget kinds", []string{"conf"}
	s.Deprecated, s.Experimental, s.DevOnly = true, true, true
	return s
}

// Run implements nodes.Node.
func (n *confTypes) Run(ctx *nodes.Context) (nodes.Result, error) {
	ids := []any{}
	for _, id := range slices.Sorted(slices.Values(n.Prompt.Keys())) {
		ids = append(ids, id)
	}
	oi := n.OI
	if _, given := ctx.Input("oi"); !given {
		oi = nil // the declared default is the widget's, the function's is none
	}
	t := pyjson.Repr(pyjson.Tuple{n.I, n.F, n.S, n.B, n.Combo, n.Combo2, n.Multi, oi, n.LazyI, n.UniqueID, ids, n.ExtraPNGInf})
	return nodes.Out(t).AddUI("text", text(t)), nil
}

type confIsChanged struct {
	Value int64  `in:"value" default:"0"`
	Mode  string `in:"mode" options:"const|nan|raise"`
}

var _ nodes.Fingerprinter = (*confIsChanged)(nil)

// Spec implements nodes.Node.
func (*confIsChanged) Spec() nodes.Spec { return conf("ConfIsChanged", "INT") }

// Fingerprint implements nodes.Fingerprinter.
func (n *confIsChanged) Fingerprint(*nodes.Context) (any, error) {
	switch n.Mode {
	case "nan":
		return math.NaN(), nil
	case "raise":
		return nil, nodes.Errorf("ValueError", "is_changed failed")
	}
	return "constant", nil
}

// Run implements nodes.Node.
func (n *confIsChanged) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type confNotIdempotent struct {
	Value int64 `in:"value" default:"0"`
}

// Spec implements nodes.Node.
func (*confNotIdempotent) Spec() nodes.Spec {
	s := conf("ConfNotIdempotent", "INT")
	s.NotIdempotent = true
	return s
}

// Run implements nodes.Node.
func (n *confNotIdempotent) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

// confSingleFile is the node of the corpus' pack that is one file.
type confSingleFile struct {
	X int64 `in:"x" opts:"{}"`
}

// Spec implements nodes.Node.
func (*confSingleFile) Spec() nodes.Spec {
	return nodes.Spec{Name: "ConfSingleFile", Module: "custom_nodes.single_file", Outputs: nodes.Outputs("INT")}
}

// Run implements nodes.Node.
func (n *confSingleFile) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.X), nil }
