package testnodes

import (
	"context"
	"sync"
	"time"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// tick is the interval at which the sleepers report their progress.
const tick = 10 * time.Millisecond

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// async is the Spec of the nodes that let others run while they wait; blocking makes one that does not.
func async(name, display, output string) nodes.Spec {
	s := pack(name, display, "experimental/async", output)
	s.Async = true
	return s
}

func blocking(s nodes.Spec) nodes.Spec {
	s.Async = false
	return s
}

type sleepNode struct {
	Value    any     `in:"value" opts:"{}"`
	Seconds  float64 `in:"seconds" default:"1.0" min:"0.0" max:"9999.0" step:"0.01" tooltip:"How long to sleep."`
	UniqueID string  `in:"unique_id" hidden:"UNIQUE_ID"`
}

// Spec implements nodes.Node.
func (*sleepNode) Spec() nodes.Spec {
	s := async("TestSleep", "Test Sleep", "*")
	s.Category = "experimental"
	return s
}

// Run implements nodes.Node.
func (n *sleepNode) Run(ctx *nodes.Context) (nodes.Result, error) {
	start := time.Now()
	for passed := 0.0; passed < n.Seconds; {
		passed = time.Since(start).Seconds()
		ctx.Progress(passed, n.Seconds)
		if err := ctx.Sleep(tick); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(n.Value), nil
}

type parallelSleep struct {
	Image1   *tensor.Tensor `in:"image1" type:"IMAGE"`
	Image2   *tensor.Tensor `in:"image2" type:"IMAGE"`
	Image3   *tensor.Tensor `in:"image3" type:"IMAGE"`
	Sleep1   float64        `in:"sleep1" default:"0.5" min:"0.0" max:"10.0" step:"0.01"`
	Sleep2   float64        `in:"sleep2" default:"0.5" min:"0.0" max:"10.0" step:"0.01"`
	Sleep3   float64        `in:"sleep3" default:"0.5" min:"0.0" max:"10.0" step:"0.01"`
	UniqueID string         `in:"unique_id" hidden:"UNIQUE_ID"`
}

// Spec implements nodes.Node.
func (*parallelSleep) Spec() nodes.Spec {
	s := pack("TestParallelSleep", "Test Parallel Sleep", "experimental", "IMAGE")
	s.OutputNode = true
	return s
}

// Run implements nodes.Node.
func (n *parallelSleep) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	one := g.Node("TestSleep", "value", n.Image1, "seconds", n.Sleep1)
	two := g.Node("TestSleep", "value", n.Image2, "seconds", n.Sleep2)
	three := g.Node("TestSleep", "value", n.Image3, "seconds", n.Sleep3)
	blend := g.Node("TestVariadicAverage", "input1", one.Out(0), "input2", two.Out(0), "input3", three.Out(0))
	return nodes.Result{Values: []any{blend.Out(0)}, Expand: g.Finish()}, nil
}

type asyncValidation struct {
	Value     float64 `in:"value" default:"5.0"`
	Threshold float64 `in:"threshold" default:"10.0"`
}

var _ nodes.Validator = (*asyncValidation)(nil)

// Spec implements nodes.Node.
func (*asyncValidation) Spec() nodes.Spec {
	s := blocking(async("TestAsyncValidation", "Test Async Validation", "IMAGE"))
	s.Validates = []string{"value", "threshold"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *asyncValidation) ValidateInputs(ctx *nodes.Context) error {
	if err := ctx.Sleep(50 * time.Millisecond); err != nil {
		return err
	}
	if n.Value > n.Threshold {
		return nodes.Invalid("Value %s exceeds threshold %s", pyjson.Str(n.Value), pyjson.Str(n.Threshold))
	}
	return nil
}

// Run implements nodes.Node.
func (n *asyncValidation) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(canvas(n.Value / 10)), nil
}

type asyncValidationError struct {
	Value    float64 `in:"value" default:"5.0"`
	MaxValue float64 `in:"max_value" default:"10.0"`
}

var _ nodes.Validator = (*asyncValidationError)(nil)

// Spec implements nodes.Node.
func (*asyncValidationError) Spec() nodes.Spec {
	s := blocking(async("TestAsyncValidationError", "Test Async Validation Error", "IMAGE"))
	s.Validates = []string{"value", "max_value"}
	return s
}

// ValidateInputs implements nodes.Validator.
func (n *asyncValidationError) ValidateInputs(ctx *nodes.Context) error {
	if err := ctx.Sleep(50 * time.Millisecond); err != nil {
		return err
	}
	if n.Value > n.MaxValue {
		return nodes.Invalid("Async validation failed: %s > %s", pyjson.Str(n.Value), pyjson.Str(n.MaxValue))
	}
	return nil
}

// Run implements nodes.Node.
func (n *asyncValidationError) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(canvas(n.Value / n.MaxValue)), nil
}

type asyncError struct {
	Value      any     `in:"value" opts:"{}"`
	ErrorAfter float64 `in:"error_after" default:"0.1" min:"0.0" max:"10.0"`
}

// Spec implements nodes.Node.
func (*asyncError) Spec() nodes.Spec { return async("TestAsyncError", "Test Async Error", "*") }

// Run implements nodes.Node.
func (n *asyncError) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.Sleep(seconds(n.ErrorAfter)); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Result{}, nodes.Errorf("RuntimeError", "Intentional async execution error for testing")
}

type asyncTimeout struct {
	Value     any     `in:"value" opts:"{}"`
	Timeout   float64 `in:"timeout" default:"1.0" min:"0.1" max:"10.0"`
	Operation float64 `in:"operation_time" default:"2.0" min:"0.1" max:"10.0"`
}

// Spec implements nodes.Node.
func (*asyncTimeout) Spec() nodes.Spec { return async("TestAsyncTimeout", "Test Async Timeout", "*") }

// Run implements nodes.Node.
func (n *asyncTimeout) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := ctx.Sleep(seconds(min(n.Timeout, n.Operation))); err != nil {
		return nodes.Result{}, err
	}
	if n.Operation > n.Timeout {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "Operation timed out after %s seconds", pyjson.Str(n.Timeout))
	}
	return nodes.Out(n.Value), nil
}

type syncError struct {
	Value any `in:"value" opts:"{}"`
}

// Spec implements nodes.Node.
func (*syncError) Spec() nodes.Spec { return blocking(async("TestSyncError", "Test Sync Error", "*")) }

// Run implements nodes.Node.
func (*syncError) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Result{}, nodes.Errorf("RuntimeError", "Intentional sync execution error for testing")
}

type asyncLazyCheck struct {
	Input1    any  `in:"input1" lazy:"true"`
	Input2    any  `in:"input2" lazy:"true"`
	Condition bool `in:"condition" default:"true"`
}

var _ nodes.LazyInputs = (*asyncLazyCheck)(nil)

// Spec implements nodes.Node.
func (*asyncLazyCheck) Spec() nodes.Spec {
	return blocking(async("TestAsyncLazyCheck", "Test Async Lazy Check", "IMAGE"))
}

// CheckLazy implements nodes.LazyInputs.
func (n *asyncLazyCheck) CheckLazy(ctx *nodes.Context) ([]string, error) {
	if err := ctx.Sleep(50 * time.Millisecond); err != nil {
		return nil, err
	}
	switch {
	case n.Condition && n.Input1 == nil:
		return []string{"input1"}, nil
	case !n.Condition && n.Input2 == nil:
		return []string{"input2"}, nil
	}
	return nil, nil
}

// Run implements nodes.Node.
func (*asyncLazyCheck) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(canvas(1)), nil }

type dynamicAsyncGeneration struct {
	Image1 *tensor.Tensor `in:"image1" type:"IMAGE"`
	Image2 *tensor.Tensor `in:"image2" type:"IMAGE"`
	Count  int            `in:"num_async_nodes" default:"3" min:"1" max:"10"`
	Sleep  float64        `in:"sleep_duration" default:"0.2" min:"0.1" max:"1.0"`
}

// Spec implements nodes.Node.
func (*dynamicAsyncGeneration) Spec() nodes.Spec {
	return blocking(async("TestDynamicAsyncGeneration", "Test Dynamic Async Generation", "IMAGE"))
}

// Run implements nodes.Node.
func (n *dynamicAsyncGeneration) Run(ctx *nodes.Context) (nodes.Result, error) {
	g := ctx.NewGraph()
	var inputs []any
	var last *nodes.GraphNode
	for i := range n.Count {
		image := n.Image1
		if i%2 == 1 {
			image = n.Image2
		}
		last = g.Node("TestSleep", "value", image, "seconds", n.Sleep)
		inputs = append(inputs, "input"+pyjson.Str(i+1), last.Out(0))
	}
	if n.Count > 1 {
		last = g.Node("TestVariadicAverage", inputs...)
	}
	return nodes.Result{Values: []any{last.Out(0)}, Expand: g.Finish()}, nil
}

// inUse are the resources that asyncResourceUser nodes hold just now, in any job: the node is about collisions.
var inUse sync.Map

type asyncResourceUser struct {
	Value    any     `in:"value" opts:"{}"`
	Resource string  `in:"resource_id" default:"resource_0"`
	Duration float64 `in:"duration" default:"0.1" min:"0.0" max:"1.0"`
}

// Spec implements nodes.Node.
func (*asyncResourceUser) Spec() nodes.Spec {
	return async("TestAsyncResourceUser", "Test Async Resource User", "*")
}

// Run implements nodes.Node.
func (n *asyncResourceUser) Run(ctx *nodes.Context) (nodes.Result, error) {
	if _, taken := inUse.LoadOrStore(n.Resource, true); taken {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "Resource %s is already in use!", n.Resource)
	}
	defer inUse.Delete(n.Resource)
	if err := ctx.Sleep(seconds(n.Duration)); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Value), nil
}

type asyncBatch struct {
	Images   *tensor.Tensor `in:"images" type:"IMAGE"`
	PerItem  float64        `in:"process_time_per_item" default:"0.1" min:"0.01" max:"1.0"`
	UniqueID string         `in:"unique_id" hidden:"UNIQUE_ID"`
}

// Spec implements nodes.Node.
func (*asyncBatch) Spec() nodes.Spec {
	return async("TestAsyncBatchProcessing", "Test Async Batch Processing", "IMAGE")
}

// Run implements nodes.Node.
func (n *asyncBatch) Run(ctx *nodes.Context) (nodes.Result, error) {
	count := n.Images.Dim(0)
	for i := range count {
		if err := ctx.Sleep(seconds(n.PerItem)); err != nil {
			return nodes.Result{}, err
		}
		ctx.Progress(float64(i+1), float64(count))
	}
	out := tensor.New(n.Images.Shape...)
	for i, v := range n.Images.Data {
		out.Data[i] = 1 - v
	}
	return nodes.Out(out), nil
}

// two lets two asyncConcurrentLimit nodes work at a time.
var two = make(chan struct{}, 2)

type asyncConcurrentLimit struct {
	Value    any     `in:"value" opts:"{}"`
	Duration float64 `in:"duration" default:"0.5" min:"0.1" max:"2.0"`
	NodeID   int64   `in:"node_id" default:"0"`
}

// Spec implements nodes.Node.
func (*asyncConcurrentLimit) Spec() nodes.Spec {
	return async("TestAsyncConcurrentLimit", "Test Async Concurrent Limit", "*")
}

// Run implements nodes.Node.
func (n *asyncConcurrentLimit) Run(ctx *nodes.Context) (nodes.Result, error) {
	got := false
	ctx.Await(func() {
		select {
		case two <- struct{}{}:
			got = true
		case <-ctx.Done():
		}
	})
	if !got {
		return nodes.Result{}, context.Cause(ctx)
	}
	defer func() { <-two }()
	if err := ctx.Sleep(seconds(n.Duration)); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(n.Value), nil
}

// tellingSleep sleeps and shows its progress as a share, without the messages of a progress bar.
func tellingSleep(ctx *nodes.Context, value any, length float64) (nodes.Result, error) {
	start := time.Now()
	for passed := 0.0; passed < length; {
		passed = time.Since(start).Seconds()
		ctx.ShowProgress(passed/length, 1, nil)
		if err := ctx.Sleep(tick); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(value), nil
}

type asyncProgress struct {
	Value   any     `in:"value" opts:"{}"`
	Seconds float64 `in:"sleep_seconds" default:"1.0"`
}

// Spec implements nodes.Node.
func (*asyncProgress) Spec() nodes.Spec {
	return async("TestAsyncProgressUpdate", "Async Progress Update Test Node", "*")
}

// Run implements nodes.Node.
func (n *asyncProgress) Run(ctx *nodes.Context) (nodes.Result, error) {
	return tellingSleep(ctx, n.Value, n.Seconds)
}

type syncProgress struct {
	Value   any     `in:"value" opts:"{}"`
	Seconds float64 `in:"sleep_seconds" default:"1.0"`
}

// Spec implements nodes.Node.
func (*syncProgress) Spec() nodes.Spec {
	return blocking(async("TestSyncProgressUpdate", "Sync Progress Update Test Node", "*"))
}

// Run implements nodes.Node.
func (n *syncProgress) Run(ctx *nodes.Context) (nodes.Result, error) {
	return tellingSleep(ctx, n.Value, n.Seconds)
}
