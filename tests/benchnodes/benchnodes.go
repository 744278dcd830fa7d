// Package benchnodes fills a registry with made-up classes until its description is as long as ComfyUI's own.
//
// The program is built with it (tag benchnodes) for the benchmark in tools/httpbench alone, which compares what a request costs for the same
// amount of JSON. The package must not be part of a program for users.
package benchnodes

import (
	"fmt"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Size is the number of bytes of GET /object_info of ComfyUI 0.33.0 with its 633 classes.
const Size = 789_000

// filler is a class with the inputs that classes usually have: links, numbers with ranges, choices and texts.
type filler struct {
	Image    any     `in:"image" type:"IMAGE"`
	Mask     any     `in:"mask" type:"MASK" optional:""`
	Width    int64   `in:"width" default:"512" min:"16" max:"16384" step:"8"`
	Strength float64 `in:"strength" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	Method   string  `in:"method" options:"nearest-exact|bilinear|area|bicubic|lanczos"`
	Text     string  `in:"text" multiline:"true"`
}

// added counts the classes. Spec is called on a zero value, so the name of the next class can come from nowhere else; all of them are
// added by one init function.
var added int

// Spec implements nodes.Node.
func (*filler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: fmt.Sprintf("MadeUp%04d", added), DisplayName: fmt.Sprintf("Made Up %04d", added), Category: "benchmark/made up",
		Description: strings.Repeat("What the class does, in a sentence of usual length. ", 10),
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "IMAGE"}, {Type: "MASK", Name: "MASK"}},
	}
}

// Run implements nodes.Node: the image passes through.
func (f *filler) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(f.Image, f.Mask), nil }

// Pad adds classes until the description of all, without any model file, has Size bytes. Call it once.
func Pad(r *nodes.Registry) {
	before := length(r)
	each := 1
	for size := before; size < Size; size += each {
		if err := r.Add(&filler{}); err != nil {
			panic(err) // a mistake in this file
		}
		if added++; added == 1 {
			each = length(r) - before
		}
	}
}

func length(r *nodes.Registry) int {
	text, err := pyjson.Marshal(r.Infos(nodes.Env{}))
	if err != nil {
		panic(err)
	}
	return len(text)
}
