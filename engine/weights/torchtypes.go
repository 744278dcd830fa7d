package weights

import (
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/weights/pickle"
)

// storageTypes are the storage classes of torch by name. An untyped storage counts bytes and leaves the element type
// to its tensors.
var storageTypes = map[string]dtype.DType{
	"DoubleStorage": dtype.F64, "FloatStorage": dtype.F32, "HalfStorage": dtype.F16, "BFloat16Storage": dtype.BF16,
	"LongStorage": dtype.I64, "IntStorage": dtype.I32, "ShortStorage": dtype.I16, "CharStorage": dtype.I8,
	"ByteStorage": dtype.U8, "BoolStorage": dtype.Bool, "UntypedStorage": dtype.Invalid,
}

// torchDTypes are the element types that a pickle may name, as in torch.float16.
var torchDTypes = map[string]dtype.DType{
	"float64": dtype.F64, "float32": dtype.F32, "float16": dtype.F16, "bfloat16": dtype.BF16,
	"float8_e4m3fn": dtype.F8E4M3, "float8_e5m2": dtype.F8E5M2,
	"int64": dtype.I64, "int32": dtype.I32, "int16": dtype.I16, "int8": dtype.I8, "uint8": dtype.U8, "bool": dtype.Bool,
}

// torchTensor is a tensor as the pickle describes it: a strided window on a storage.
type torchTensor struct {
	s             *storage
	dtype         dtype.DType
	offset        uint64 // in elements
	shape, stride []int
}

// inert are names without a meaning for weights, which training programs leave in checkpoints. They become inert objects.
// The list is that of torch.load(weights_only=True) with the additions of ComfyUI.
var inert = map[string]bool{
	"pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint": true,
	"numpy.core.multiarray.scalar":                                 true,
	"numpy._core.multiarray.scalar":                                true,
	"numpy.dtype":                                                  true,
	"numpy.dtypes.Float64DType":                                    true,
	"_codecs.encode":                                               true,
	"torch.device":                                                 true,
	"torch.Size":                                                   true,
	"torch.serialization._get_layout":                              true,
}

// plainTypes are Python's own types, harmless as values and as calls.
var plainTypes = map[string]bool{
	"object": true, "set": true, "frozenset": true, "bytearray": true, "bytes": true, "complex": true, "int": true, "float": true, "bool": true,
	"str": true, "list": true, "tuple": true, "dict": true, "slice": true, "range": true,
}

// findTorch is the table of names for the pickle machine. Nothing outside it is ever looked up, let alone called.
func findTorch(module, name string) (*pickle.Global, error) {
	g := &pickle.Global{Module: module, Name: name}
	switch full := g.String(); full {
	case "collections.OrderedDict", "collections.Counter", "collections.defaultdict":
		g.Call = makeDict
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		g.Call = rebuildTensor
	case "torch._utils._rebuild_tensor_v3":
		g.Call = rebuildTyped
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter":
		g.Call = firstArgument
	case "copyreg._reconstructor", "copy_reg._reconstructor":
		g.Call = reconstruct
	case "torch._tensor._rebuild_from_type_v2":
		g.Call = rebuildFromType
	default:
		_, isStorage := storageTypes[name]
		_, isType := torchDTypes[name]
		known := module == "torch" && (isStorage || isType || name == "Tensor") || module == "torch.storage" && isStorage
		plain := (module == "builtins" || module == "__builtin__") && plainTypes[name]
		if !known && !plain && !inert[full] {
			return nil, refusal(full)
		}
	}
	return g, nil
}

// refusal is the error for a class or function that does not belong in a weight file.
func refusal(name string) error {
	return fmt.Errorf("refusing %s: it is not among the names that a weight file may use, and nothing in a file is executed. "+
		"If you trust the file, convert it to safetensors", printable(name))
}

// programs are modules whose functions start programs, run code or reach for other attributes. Weight files do not need
// them, so a file that names them is rejected.
var programs = map[string]bool{
	"os": true, "posix": true, "nt": true, "subprocess": true, "sys": true, "builtins": true, "__builtin__": true, "pty": true, "shutil": true,
	"socket": true, "webbrowser": true, "runpy": true, "importlib": true, "ctypes": true, "code": true, "commands": true, "operator": true,
	"marshal": true, "pickle": true, "_pickle": true, "cloudpickle": true, "dill": true, "multiprocessing": true, "asyncio": true, "signal": true,
}

// harmless reports whether an object of a class of this module is allowed beside the weights, such as the settings of a
// training program. Unknown names of torch itself are not harmless: they may be tensors in an unsupported form.
func harmless(module string) bool {
	top, rest, _ := strings.Cut(module, ".")
	if top == "torch" {
		second, _, _ := strings.Cut(rest, ".")
		return second == "nn" || second == "optim"
	}
	return !programs[top]
}

// printable makes a name from a file fit for an error message.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// makeDict is OrderedDict(), or OrderedDict(pairs) as Python 2 wrote it.
func makeDict(args pickle.Tuple) (any, error) {
	d := &pickle.Dict{}
	if len(args) == 0 {
		return d, nil
	}
	switch from := args[len(args)-1].(type) {
	case *pickle.Dict:
		for i, k := range from.Keys {
			d.Set(k, from.Values[i])
		}
	case *pickle.List:
		for _, item := range from.Items {
			pair, ok := item.(pickle.Tuple)
			if l, isList := item.(*pickle.List); isList {
				pair, ok = l.Items, true
			}
			if !ok || len(pair) != 2 {
				return nil, errors.New("made of something that are no pairs")
			}
			d.Set(pair[0], pair[1])
		}
	}
	return d, nil
}

func firstArgument(args pickle.Tuple) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("called without arguments")
	}
	return args[0], nil
}

// reconstruct is (class, base, state): an object as protocols 0 and 1 make it.
func reconstruct(args pickle.Tuple) (any, error) {
	if len(args) > 0 {
		if class, ok := args[0].(*pickle.Global); ok {
			return &pickle.Object{Class: class}, nil
		}
	}
	return nil, errors.New("called without a class")
}

// rebuildFromType is (function, class, arguments, state): a tensor subclass, of which the tensor is kept.
func rebuildFromType(args pickle.Tuple) (any, error) {
	if len(args) >= 3 {
		f, ok1 := args[0].(*pickle.Global)
		a, ok2 := args[2].(pickle.Tuple)
		if ok1 && ok2 && f.Call != nil && f.Name != "_rebuild_from_type_v2" {
			return f.Call(a)
		}
	}
	return nil, errors.New("called with arguments that make no tensor")
}

// rebuildTensor is (storage, offset, size, stride, …).
func rebuildTensor(args pickle.Tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("called with %d arguments", len(args))
	}
	s, ok1 := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, err := dims(args[2])
	stride, err2 := dims(args[3])
	if !ok1 || !ok2 || offset < 0 || errors.Join(err, err2) != nil || len(shape) != len(stride) {
		return nil, errors.New("called with arguments that make no tensor")
	}
	return &torchTensor{s: s, dtype: s.dtype, offset: uint64(offset), shape: shape, stride: stride}, nil
}

// rebuildTyped is (storage, offset, size, stride, requires_grad, hooks, dtype, …) over an untyped storage.
func rebuildTyped(args pickle.Tuple) (any, error) {
	v, err := rebuildTensor(args)
	if err != nil {
		return nil, err
	}
	t := v.(*torchTensor)
	if len(args) < 7 {
		return nil, fmt.Errorf("called with %d arguments", len(args))
	}
	g, ok := args[6].(*pickle.Global)
	if !ok || g.Module != "torch" || torchDTypes[g.Name] == dtype.Invalid {
		return nil, errors.New("called with an unknown element type")
	}
	t.dtype = torchDTypes[g.Name]
	return t, nil
}

// dims reads a tuple of sizes.
func dims(v any) ([]int, error) {
	t, ok := v.(pickle.Tuple)
	if !ok || len(t) > maxRank {
		return nil, errors.New("not a tuple of sizes")
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || int64(int(n)) != n {
			return nil, errors.New("not a tuple of sizes")
		}
		out[i] = int(n)
	}
	return out, nil
}
