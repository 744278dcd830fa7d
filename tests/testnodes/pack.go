package testnodes

import (
	"math/rand/v2"

	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// testingPack lists the nodes of upstream's execution test pack.
func testingPack() []nodes.Node {
	return []nodes.Node{
		&lazyMixImages{}, &variadicAverage{}, &customIsChanged{}, &isChangedWithConstants{},
		&customValidation1{}, &customValidation2{}, &customValidation3{}, &customValidation4{}, &customValidation5{},
		&dynamicDependencyCycle{}, &mixedExpansionReturns{}, &samplingInExpansion{}, &sleepNode{}, &parallelSleep{}, &outputWithSocket{},
		&whileLoopOpen{}, &whileLoopClose{}, &executionBlocker{},
		&accumulateNode{}, &accumulationHead{}, &accumulationTail{}, &accumulationToList{}, &listToAccumulation{}, &accumulationLength{},
		&accumulationGet{}, &accumulationSet{}, &forLoopOpen{}, &forLoopClose{}, &intMath{}, &makeList{},
		&intConditions{}, &floatConditions{}, &stringConditions{}, &toBool{}, &boolOperation{},
		&stubImage{}, &stubConstantImage{}, &stubMask{}, &stubInt{}, &stubFloat{},
		&asyncValidation{}, &asyncError{}, &asyncValidationError{}, &asyncTimeout{}, &syncError{}, &asyncLazyCheck{},
		&dynamicAsyncGeneration{}, &asyncResourceUser{}, &asyncBatch{}, &asyncConcurrentLimit{},
		&asyncProgress{}, &syncProgress{},
	}
}

// pack is the Spec that all nodes of the test pack have in common.
func pack(name, display, category string, outputs ...string) nodes.Spec {
	return nodes.Spec{Name: name, DisplayName: display, Category: category, Module: "custom_nodes.testing-pack", Outputs: nodes.Outputs(outputs...)}
}

// filled is a tensor of one value.
func filled(v float64, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = float32(v)
	}
	return t
}

// canvas is an image of the size that most of the pack's nodes use.
func canvas(v float64) *tensor.Tensor { return filled(v, 1, 512, 512, 3) }

func scaled(t *tensor.Tensor, f float64) *tensor.Tensor {
	out := tensor.New(t.Shape...)
	for i, v := range t.Data {
		out.Data[i] = v * float32(f)
	}
	return out
}

// bounds returns the smallest and the largest element.
func bounds(t *tensor.Tensor) (lo, hi float32) {
	if t == nil || len(t.Data) == 0 {
		return 0, 0
	}
	lo, hi = t.Data[0], t.Data[0]
	for _, v := range t.Data {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

type stubImage struct {
	Content string `in:"content" options:"WHITE|BLACK|NOISE"`
	Height  int    `in:"height" default:"512" min:"1" max:"1073741824" step:"1"`
	Width   int    `in:"width" default:"512" min:"1" max:"68719476736" step:"1"`
	Batch   int    `in:"batch_size" default:"1" min:"1" max:"1073741824" step:"1"`
}

// Spec implements nodes.Node.
func (*stubImage) Spec() nodes.Spec {
	return pack("StubImage", "Stub Image", "Testing/Stub Nodes", "IMAGE")
}

// Run implements nodes.Node.
func (n *stubImage) Run(*nodes.Context) (nodes.Result, error) {
	switch n.Content {
	case "WHITE":
		return nodes.Out(filled(1, n.Batch, n.Height, n.Width, 3)), nil
	case "BLACK":
		return nodes.Out(tensor.New(n.Batch, n.Height, n.Width, 3)), nil
	}
	t := tensor.New(n.Batch, n.Height, n.Width, 3)
	for i := range t.Data {
		t.Data[i] = rand.Float32() //nolint:gosec // noise for tests
	}
	return nodes.Out(t), nil
}

type stubConstantImage struct {
	Value  float64 `in:"value" default:"0.5" min:"0.0" max:"1.0" step:"0.01"`
	Height int     `in:"height" default:"512" min:"1" max:"1073741824" step:"1"`
	Width  int     `in:"width" default:"512" min:"1" max:"68719476736" step:"1"`
	Batch  int     `in:"batch_size" default:"1" min:"1" max:"1073741824" step:"1"`
}

// Spec implements nodes.Node.
func (*stubConstantImage) Spec() nodes.Spec {
	return pack("StubConstantImage", "Stub Constant Image", "Testing/Stub Nodes", "IMAGE")
}

// Run implements nodes.Node.
func (n *stubConstantImage) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(filled(n.Value, n.Batch, n.Height, n.Width, 3)), nil
}

type stubMask struct {
	Value  float64 `in:"value" default:"0.5" min:"0.0" max:"1.0" step:"0.01"`
	Height int     `in:"height" default:"512" min:"1" max:"1073741824" step:"1"`
	Width  int     `in:"width" default:"512" min:"1" max:"68719476736" step:"1"`
	Batch  int     `in:"batch_size" default:"1" min:"1" max:"1073741824" step:"1"`
}

// Spec implements nodes.Node.
func (*stubMask) Spec() nodes.Spec {
	return pack("StubMask", "Stub Mask", "Testing/Stub Nodes", "MASK")
}

// Run implements nodes.Node.
func (n *stubMask) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(filled(n.Value, n.Batch, n.Height, n.Width)), nil
}

type stubInt struct {
	Value int64 `in:"value" default:"0" min:"-4294967295" max:"4294967295" step:"1"`
}

// Spec implements nodes.Node.
func (*stubInt) Spec() nodes.Spec { return pack("StubInt", "Stub Int", "Testing/Stub Nodes", "INT") }

// Run implements nodes.Node.
func (n *stubInt) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }

type stubFloat struct {
	Value float64 `in:"value" default:"0.0" min:"-1e+38" max:"1e+38" step:"0.01"`
}

// Spec implements nodes.Node.
func (*stubFloat) Spec() nodes.Spec {
	return pack("StubFloat", "Stub Float", "Testing/Stub Nodes", "FLOAT")
}

// Run implements nodes.Node.
func (n *stubFloat) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Value), nil }
