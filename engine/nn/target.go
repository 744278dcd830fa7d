package nn

import (
	"fmt"

	"comfygo/engine/dtype"
)

// Target describes the device and the number types of a graph. TargetFor returns it.
type Target struct {
	// CUDA reports that the graph runs on a CUDA device; otherwise it runs on the CPU.
	CUDA bool
	// Compute is the element type of activations: F32 on the CPU, F16, BF16 or F32 on CUDA.
	Compute dtype.DType
	// Block is the channel block of the CPU's blocked convolutions (16 or 8); 0 writes plain ones, as on CUDA.
	Block int
	// Linear reports that the CPU runs the engine's own operators for linear layers and 3x3 convolutions, which read weights as
	// stored in the file.
	Linear bool
	// Int8 has linear layers multiply in 8-bit integers: rows of x and of the weight are rounded to 255 steps in groups of 256
	// columns. Only with Linear.
	Int8 bool
	// Bfloat16 has linear layers and 3x3 convolutions round their operands to bfloat16. Only with Linear.
	Bfloat16 bool
	// Lean keeps weights mapped as stored in the file, on the CPU: narrow ones are widened during each run, just before their
	// use.
	Lean bool
	// Weights, when set, is a type that all weights are rounded to before they are used (upstream's weight_dtype).
	Weights dtype.DType
	// Flash asks for FlashAttention in place of cuDNN's; in bfloat16 see onnx.Graph.PreferFlash.
	Flash bool
}

// String names the target in cache keys.
func (t Target) String() string {
	return fmt.Sprintf("cuda=%t %s block=%d linear=%t int8=%t bfloat16=%t lean=%t weights=%s flash=%t", t.CUDA, t.Compute, t.Block, t.Linear, t.Int8, t.Bfloat16, t.Lean, t.Weights, t.Flash)
}

// TargetOptions are the settings of a configuration and a device for a network.
type TargetOptions struct {
	// CUDA reports that the network runs on a CUDA device.
	CUDA bool
	// Compute is the element type of activations that is wanted on CUDA: F16, BF16 or F32; Invalid means F16. The CPU always
	// computes in F32.
	Compute dtype.DType
	// Block is the channel block of ONNX Runtime's blocked convolutions on this CPU; 0 for none.
	Block int
	// Linear reports that this CPU runs the engine's own operators.
	Linear bool
	// Int8 asks for linear layers in 8-bit integers; it changes nothing on CUDA and without Linear.
	Int8 bool
	// Bfloat16 asks for linear layers and 3x3 convolutions in bfloat16; it changes nothing on CUDA and without Linear.
	Bfloat16 bool
	// MapWeights asks for weights that stay mapped from the file. On CUDA, where weights are uploaded once in the type
	// they are computed in, it changes nothing.
	MapWeights bool
	// Weights, when set, is a type that all weights are rounded to before they are used.
	Weights dtype.DType
	// Capability is the compute capability of the CUDA device as two digits, such as 89; 0 if it is unknown.
	Capability int
}

// cudnnAttention reports whether cuDNN's attention is the fastest on a GPU of a compute capability. ONNX Runtime uses it from 9.0 on; against
// FlashAttention it takes 0.5 of the time on Hopper and 1.14 on Blackwell's GPUs for workstations.
// Source: huggingface/transformers pull request 48163.
func cudnnAttention(capability int) bool { return capability >= 90 && capability < 120 }

// TargetFor returns the target of a network. It is the only place that combines options for a device: the engine, its tests
// and the tools all call it.
func TargetFor(o TargetOptions) (Target, error) {
	if !o.CUDA {
		return Target{
			Compute: dtype.F32, Block: o.Block, Linear: o.Linear, Int8: o.Int8 && o.Linear, Bfloat16: o.Bfloat16 && o.Linear, Lean: o.MapWeights, Weights: o.Weights,
		}, nil
	}
	t := Target{CUDA: true, Compute: o.Compute, Weights: o.Weights}
	switch o.Compute {
	case dtype.Invalid:
		t.Compute = dtype.F16
	case dtype.F16, dtype.BF16, dtype.F32:
	default:
		return Target{}, fmt.Errorf("choosing how to compute on CUDA: %s is no type of activations; use F16, BF16 or F32", o.Compute)
	}
	t.Flash = o.Capability >= 80 && !cudnnAttention(o.Capability)
	return t, nil
}
