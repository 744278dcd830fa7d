package nodes_test

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

type classic struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
	Mask  *tensor.Tensor `in:"mask" type:"MASK" opts:"{}"`
	Steps int            `in:"steps" default:"20" min:"1" max:"10000"`
	Seed  uint64         `in:"seed" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true"`
	CFG   float64        `in:"cfg" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	Text  string         `in:"text" multiline:"true" default:"=\"=\""`
	On    bool           `in:"on" default:"true" label_on:"yes"`
	Mode  string         `in:"mode" options:"a|b" default:"b"`
	Any   any            `in:"any" optional:"true"`
	Maybe *int           `in:"maybe" optional:"true" default:"3"`
	ID    string         `in:"unique_id" hidden:"UNIQUE_ID"`
}

func (*classic) Spec() nodes.Spec {
	return nodes.Spec{Name: "Classic", Category: "test", Outputs: []nodes.Output{{Type: "IMAGE", Tooltip: "it"}, {Type: "INT", Name: "count", List: true}}, Experimental: true}
}
func (*classic) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(nil, nil), nil }

type scale struct {
	By float64 `in:"by" default:"1.0" min:"0.01"`
}

type sizes struct {
	Width  int            `in:"width" default:"512"`
	Other  *tensor.Tensor `in:"other" type:"IMAGE" optional:"true"`
	Deeper nodes.Choice   `in:"deeper"`
}

func (*sizes) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "x"}, {Key: "y", Inputs: &scale{}}}
}

type modern struct {
	Value any          `in:"value" match:"t" allowed:"IMAGE,MASK" lazy:"true"`
	How   nodes.Choice `in:"how"`
	Grown nodes.Grown  `in:"grown" autogrow:"image" item:"IMAGE" prefix:"image" least:"1" most:"3"`
	Names nodes.Grown  `in:"names" autogrow:"v" item:"FLOAT,INT" names:"a|b" least:"0" itemopts:"{\"forceInput\": true}"`
	Mode  string       `in:"mode" options:"a|b" default:"a" tooltip:"which"`
	Text  string       `in:"text" default:"t"`
}

func (*modern) Spec() nodes.Spec {
	return nodes.Spec{Name: "Modern", V3: true, OutputNode: true, Module: "comfy_extras.nodes_x", Outputs: []nodes.Output{{Type: "COMFY_MATCHTYPE_V3", Match: "t", Name: "out"}}}
}

func (*modern) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "by", Inputs: &scale{}}, {Key: "to", Inputs: &sizes{}}, {Key: "as is"}}
}
func (*modern) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(nil), nil }

func class(t *testing.T, n nodes.Node) *nodes.Class {
	t.Helper()
	c, err := nodes.NewClass(n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func object(t *testing.T, text string) *pyjson.Object {
	t.Helper()
	o, err := pyjson.UnmarshalObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestInfo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"v1": {&classic{}, `{"input": {"required": {"image": ["IMAGE"], "mask": ["MASK", {}], "steps": ["INT", {"default": 20, "min": 1, "max": 10000}], ` +
			`"seed": ["INT", {"default": 0, "min": 0, "max": 18446744073709551615, "control_after_generate": true}], ` +
			`"cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}], "text": ["STRING", {"multiline": true, "default": "="}], ` +
			`"on": ["BOOLEAN", {"default": true, "label_on": "yes"}], "mode": [["a", "b"], {"default": "b"}]}, "optional": {"any": ["*"], "maybe": ["INT", {"default": 3}]}, ` +
			`"hidden": {"unique_id": "UNIQUE_ID"}}, "input_order": {"required": ["image", "mask", "steps", "seed", "cfg", "text", "on", "mode"], "optional": ["any", "maybe"], "hidden": ["unique_id"]}, ` +
			`"is_input_list": false, "output": ["IMAGE", "INT"], "output_is_list": [false, true], "output_name": ["IMAGE", "count"], "name": "Classic", "display_name": "Classic", ` +
			`"description": "", "python_module": "nodes", "category": "test", "output_node": false, "has_intermediate_output": false, "output_tooltips": ["it", null], "experimental": true, "search_aliases": []}`},
		"v3": {&modern{}, `{"input": {"required": {"value": ["COMFY_MATCHTYPE_V3", {"lazy": true, "template": {"template_id": "t", "allowed_types": "IMAGE,MASK"}}], ` +
			`"how": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "by", "inputs": {"required": {"by": ["FLOAT", {"default": 1.0, "min": 0.01}]}}}, ` +
			`{"key": "to", "inputs": {"required": {"width": ["INT", {"default": 512}], "deeper": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "x", "inputs": {"required": {}}}, ` +
			`{"key": "y", "inputs": {"required": {"by": ["FLOAT", {"default": 1.0, "min": 0.01}]}}}]}]}, "optional": {"other": ["IMAGE", {}]}}}, {"key": "as is", "inputs": {"required": {}}}]}], ` +
			`"grown": ["COMFY_AUTOGROW_V3", {"template": {"input": {"required": {"image": ["IMAGE", {}]}}, "prefix": "image", "min": 1, "max": 3}}], ` +
			`"names": ["COMFY_AUTOGROW_V3", {"template": {"input": {"required": {"v": ["FLOAT,INT", {"forceInput": true}]}}, "names": ["a", "b"], "min": 0}}], ` +
			`"mode": ["COMBO", {"tooltip": "which", "default": "a", "multiselect": false, "options": ["a", "b"]}], "text": ["STRING", {"default": "t", "multiline": false}]}, ` +
			`"hidden": {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]}}, "input_order": {"required": ["value", "how", "grown", "names", "mode", "text"], "hidden": ["prompt", "extra_pnginfo"]}, ` +
			`"is_input_list": false, "output": ["COMFY_MATCHTYPE_V3"], "output_is_list": [false], "output_name": ["out"], "output_tooltips": [null], "output_matchtypes": ["t"], "name": "Modern", ` +
			`"display_name": null, "description": "", "python_module": "comfy_extras.nodes_x", "category": "sd", "output_node": true, "deprecated": false, "experimental": false, "dev_only": false, ` +
			`"api_node": false, "price_badge": null, "search_aliases": null, "essentials_category": null, "has_intermediate_output": false}`},
	} {
		got, err := pyjson.Marshal(class(t, c.node).Info(nodes.Env{}))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: have\n%s\nwant\n%s (%v)", name, got, c.want, err)
		}
	}
}

type viewing struct {
	Dense *tensor.Tensor   `in:"dense" type:"IMAGE"`
	View  *tensor.View     `in:"view" type:"IMAGE"`
	Many  []*tensor.Tensor `in:"many" type:"IMAGE"`
	Any   any              `in:"any" type:"*"`
	Grown nodes.Grown      `in:"grown" autogrow:"image" item:"IMAGE" prefix:"image" least:"1" most:"3"`
}

func (*viewing) Spec() nodes.Spec                         { return nodes.Spec{Name: "Viewing", V3: true} }
func (*viewing) Run(*nodes.Context) (nodes.Result, error) { return nodes.Result{}, nil }

// TestBindLaysViewsOut wants views to reach nodes as tensors, but for fields that take views.
func TestBindLaysViewsOut(t *testing.T) {
	t.Parallel()
	c, err := nodes.NewClass(&viewing{})
	if err != nil {
		t.Fatal(err)
	}
	whole := tensor.New(1, 2)
	whole.Data[0] = 7
	v, err := tensor.ViewOf(whole).Reverse(1)
	if err != nil {
		t.Fatal(err)
	}
	many := []any{v, whole}
	n, err := c.Bind(pyjson.NewObject("dense", v, "view", v, "many", many, "any", many, "grown.image0", v), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := n.(*viewing)
	want := v.Dense()
	if want.Data[1] != 7 || got.Dense != want || got.View != v || got.Many[0] != want || got.Many[1] != whole || got.Grown.Values[0] != any(want) {
		t.Errorf("got %+v", got)
	}
	if l := got.Any.([]any); l[0] != any(want) || l[1] != any(whole) || many[0] != any(v) {
		t.Errorf("the list is %v, the one given %v", l, many)
	}
	if n, err = c.Bind(pyjson.NewObject("view", whole), nil); err != nil || n.(*viewing).View.Dense() != whole {
		t.Errorf("a tensor for a view: %v, %v", n, err)
	}
	if n, err = c.Bind(pyjson.NewObject("view", 1.5), nil); err == nil {
		t.Errorf("a number for a view is taken: %v", n)
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	c := class(t, &classic{})
	n, err := c.Bind(object(t, `{"steps": 7.0, "seed": 18446744073709551615, "cfg": 3, "on": 0, "any": [1]}`), func(kind string) any { return "id:" + kind })
	if err != nil {
		t.Fatal(err)
	}
	got := n.(*classic)
	if got.Steps != 7 || got.Seed != 1<<64-1 || got.CFG != 3 || got.On || got.Text != "=" || got.Mode != "b" || got.Maybe != nil || got.ID != "id:UNIQUE_ID" || pyjson.Repr(got.Any) != "[1]" {
		t.Errorf("have %+v", got)
	}
	if n, err = c.Bind(object(t, `{"maybe": 5, "image": null}`), nil); err != nil || *n.(*classic).Maybe != 5 || n.(*classic).Image != nil {
		t.Errorf("have %+v (%v)", n, err)
	}
	for _, wrong := range []string{`{"steps": "7"}`, `{"steps": 7.5}`, `{"seed": -1}`, `{"seed": 18446744073709551616}`, `{"cfg": []}`, `{"on": "x"}`, `{"text": 1}`, `{"image": 1}`, `{"maybe": "x"}`} {
		if n, err := c.Bind(object(t, wrong), nil); err == nil {
			t.Errorf("%s gave %+v", wrong, n)
		}
	}
	if _, err := c.Bind(pyjson.NewObject("steps", new(big.Int).Lsh(big.NewInt(1), 70)), nil); nodes.ExceptionType(err) != "OverflowError" {
		t.Errorf("an integer that does not fit is %v", err)
	}
}

type layered struct {
	First  float64    `in:"first." default:"1.0"`
	Blocks [3]float64 `in:"blocks.#.weight" default:"0.5" min:"0.0"`
}

func (*layered) Spec() nodes.Spec                         { return nodes.Spec{Name: "Layered"} }
func (*layered) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(), nil }

type nameless struct {
	Blocks [2]float64 `in:"block"`
}

func (*nameless) Spec() nodes.Spec                         { return nodes.Spec{Name: "Nameless"} }
func (*nameless) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(), nil }

// TestArrays: an array is an input for each of its elements.
func TestArrays(t *testing.T) {
	t.Parallel()
	c, err := nodes.NewClass(&layered{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"required": {"first.": ["FLOAT", {"default": 1.0}], "blocks.0.weight": ["FLOAT", {"default": 0.5, "min": 0.0}], ` +
		`"blocks.1.weight": ["FLOAT", {"default": 0.5, "min": 0.0}], "blocks.2.weight": ["FLOAT", {"default": 0.5, "min": 0.0}]}}`
	got, err := pyjson.Marshal(c.Info(nodes.Env{}).Object("input"))
	if err != nil || string(got) != want {
		t.Errorf("the inputs are\n%s, want\n%s: %v", got, want, err)
	}
	n, err := c.Bind(pyjson.NewObject("first.", 2.0, "blocks.1.weight", 3.0), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := *n.(*layered); got != (layered{First: 2, Blocks: [3]float64{0.5, 3, 0.5}}) {
		t.Errorf("bound %+v", got)
	}
	if _, err := nodes.NewClass(&nameless{}); err == nil || !strings.Contains(err.Error(), "two inputs are called block") {
		t.Errorf("an array without a place for the number: %v", err)
	}
}

func TestBindDynamic(t *testing.T) {
	t.Parallel()
	c := class(t, &modern{})
	n, err := c.Bind(object(t, `{"how": "to", "how.width": 8, "how.deeper": "y", "how.deeper.by": 2.5, "grown.image2": "c", "grown.image0": "a", "names.b": 1}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := n.(*modern)
	s := got.How.Inputs.(*sizes)
	if got.How.Key != "to" || s.Width != 8 || s.Deeper.Key != "y" || s.Deeper.Inputs.(*scale).By != 2.5 {
		t.Errorf("have %+v", got.How)
	}
	if fmt.Sprint(got.Grown) != "{[image0 image2] [a c]}" || fmt.Sprint(got.Names) != "{[b] [1]}" {
		t.Errorf("have %v and %v", got.Grown, got.Names)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	c := class(t, &modern{})
	list := func(live string) string {
		var out []string
		for _, r := range c.Resolve(object(t, live)) {
			mark := "?"
			if r.Required {
				mark = "!"
			}
			out = append(out, r.Key+mark)
		}
		return strings.Join(out, " ")
	}
	const rest = " grown.image0! grown.image1? grown.image2? names.a? names.b? mode! text!"
	for live, want := range map[string]string{
		`{}`:                               "value!" + rest,
		`{"how": "nope"}`:                  "value!" + rest,
		`{"how": "as is"}`:                 "value! how!" + rest,
		`{"how": "by"}`:                    "value! how.by! how!" + rest,
		`{"how": "to", "how.deeper": "y"}`: "value! how.width! how.deeper.by! how.deeper! how.other? how!" + rest,
	} {
		if got := list(live); got != want {
			t.Errorf("%s: have %s, want %s", live, got, want)
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := nodes.NewRegistry()
	for _, n := range []nodes.Node{&modern{}, &classic{}} {
		if err := r.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add(&classic{}); err == nil {
		t.Error("a name was taken twice")
	}
	less := r.Without("Modern")
	more, err := less.With(&modern{}, &classic{})
	if err != nil || fmt.Sprint(r.Names(), less.Names(), more.Names()) != "[Modern Classic] [Classic] [Classic Modern]" || r.Len() != 2 {
		t.Errorf("have %v %v %v (%v)", r.Names(), less.Names(), more.Names(), err)
	}
	if infos := r.Infos(nodes.Env{}); fmt.Sprint(infos.Keys()) != "[Modern Classic]" {
		t.Errorf("have %v", infos.Keys())
	}
}

type noType struct {
	X *tensor.Tensor `in:"x"`
}

type twice struct {
	A int `in:"x"`
	B int `in:"x"`
}

type badNumber struct {
	A int `in:"x" min:"abc"`
}

type badBound struct {
	A int `in:"x" min:"\"1\""`
}

type noOptions struct {
	A nodes.Choice `in:"x"`
}

type noChoices struct {
	A string `in:"x" choices:"y"`
}

func (*noType) Spec() nodes.Spec                            { return nodes.Spec{Name: "x"} }
func (*noType) Run(*nodes.Context) (nodes.Result, error)    { return nodes.Result{}, nil }
func (*twice) Spec() nodes.Spec                             { return nodes.Spec{Name: "x"} }
func (*twice) Run(*nodes.Context) (nodes.Result, error)     { return nodes.Result{}, nil }
func (*badNumber) Spec() nodes.Spec                         { return nodes.Spec{Name: "x"} }
func (*badNumber) Run(*nodes.Context) (nodes.Result, error) { return nodes.Result{}, nil }
func (*badBound) Spec() nodes.Spec                          { return nodes.Spec{Name: "x"} }
func (*badBound) Run(*nodes.Context) (nodes.Result, error)  { return nodes.Result{}, nil }
func (*noOptions) Spec() nodes.Spec                         { return nodes.Spec{Name: "x"} }
func (*noOptions) Run(*nodes.Context) (nodes.Result, error) { return nodes.Result{}, nil }
func (*noChoices) Spec() nodes.Spec                         { return nodes.Spec{Name: "x"} }
func (*noChoices) Run(*nodes.Context) (nodes.Result, error) { return nodes.Result{}, nil }

func TestContradictionsAreErrors(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]nodes.Node{
		"type is missing": &noType{}, "two inputs": &twice{}, "tag min": &badNumber{}, "min is no number": &badBound{},
		"DynamicOptions": &noOptions{}, "method Choices": &noChoices{},
	} {
		if _, err := nodes.NewClass(n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %q, have %v", want, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", nodes.Errorf("ValueError", "inner: %w", cause))
	if nodes.ExceptionType(err) != "ValueError" || !errors.Is(err, cause) || nodes.ExceptionType(cause) != "RuntimeError" {
		t.Errorf("have %v", err)
	}
	if reason, ok := nodes.Verdict(nodes.Invalid("no %d", 1)); !ok || reason != "no 1" {
		t.Errorf("have %q %v", reason, ok)
	}
	if reason, ok := nodes.Verdict(nodes.Refused()); !ok || reason != "" {
		t.Errorf("have %q %v", reason, ok)
	}
	if _, ok := nodes.Verdict(cause); ok {
		t.Error("any error is a verdict")
	}
}

func TestPanicsKeepTheirStack(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	var g nodes.Group
	g.Go(func() error { return nil })
	g.Go(func() error { panicHere(cause); return nil })
	err := g.Wait()
	var p *nodes.PanicError
	if !errors.As(err, &p) || !strings.Contains(string(p.Stack), "panicHere") || !errors.Is(err, cause) {
		t.Fatalf("have %v", err)
	}
	again := nodes.Protect(func() error { panic(p) })
	if !errors.As(again, &p) || !strings.Contains(string(p.Stack), "panicHere") {
		t.Errorf("the original stack is lost: %v", again)
	}
}

func panicHere(v any) { panic(v) }

func TestGraph(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	g := ctx.NewGraph()
	a := g.Node("A", "x", 1)
	b := g.NodeID("named", "B", "in", a.Out(1), "none", nil)
	b.ShowAs("1")
	b.Set("in2", a.Out(0))
	b.Set("in2", nil)
	if n, ok := g.Lookup("named"); !ok || n.ID != b.ID {
		t.Error("the node is not found")
	}
	if again := g.NodeID("named", "C"); again.ID != b.ID {
		t.Error("the node was replaced")
	}
	g.Node("C")
	second := ctx.NewGraph().Node("D")
	got, err := pyjson.Marshal(g.Finish())
	want := `{"1.0.0.1": {"class_type": "A", "inputs": {"x": 1}}, "1.0.0.named": {"class_type": "B", "inputs": {"in": ["1.0.0.1", 1], "none": null}, "override_display_id": "1"}, "1.0.0.2": {"class_type": "C", "inputs": {}}}`
	if err != nil || string(got) != want || second.ID != "1.0.1.1" {
		t.Errorf("have %s and %s (%v)", got, second.ID, err)
	}
	if l, ok := nodes.AsLink(b.Get("in")); !ok || l != (nodes.Link{ID: "1.0.0.1", Slot: 1}) {
		t.Errorf("have %v", l)
	}
}
