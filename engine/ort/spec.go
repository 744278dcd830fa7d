package ort

import (
	"fmt"
	"strconv"

	"comfygo/engine/dtype"
)

// Kind is a kind of device.
type Kind int

// The kinds of device.
const (
	CPU Kind = iota
	CUDA
)

// Device is where a session computes. The zero value is the CPU.
type Device struct {
	Kind  Kind
	Index int // which GPU
}

// String returns "cpu", or "cuda:0" as torch writes it.
func (d Device) String() string {
	if d.Kind == CUDA {
		return "cuda:" + strconv.Itoa(d.Index)
	}
	return "cpu"
}

// OptLevel describes how far the library may rewrite a graph.
type OptLevel int

// The levels. OptAll adds the blocked layout of convolutions to OptExtended, which adds fusions to OptBasic.
const (
	OptAll OptLevel = iota
	OptExtended
	OptBasic
	OptOff
)

// SessionSpec describes a session.
type SessionSpec struct {
	Name         string // of the graph, for errors
	Model        []byte // ONNX protobuf; not used after NewSession
	Initializers []Initializer
	Device       Device
	Threads      int      // for one operator; 0 means one for each physical core
	OptLevel     OptLevel // zero is OptAll
	// Prepack lets the library keep its own packed copies of linear weights: about a fifth faster, but the copies
	// take as much memory as the weights in float32, and the originals are no longer used.
	Prepack bool
	// TF32 lets CUDA round float32 products to TF32.
	TF32 bool
	// DisableArena frees every buffer at once instead of keeping it for the next run.
	DisableArena bool
	// NoPattern allocates each buffer by itself, where otherwise a second run with the same sizes takes one block for all of
	// them, beside those of the first run.
	NoPattern bool
	// Shrink gives the memory of a run back: on a GPU its arena shrinks after each run. On the CPU such sessions have no arena, each buffer
	// goes back with its last reader, and their threads do not spin.
	Shrink bool
	// Flash has attention on CUDA computed by FlashAttention where cuDNN's would be taken.
	Flash bool
	// Pooled has the session allocate from the arena of Runtime.SharePool.
	Pooled bool
	// OnDevice has making the session fail when an operator cannot run on the device, which would run on the CPU otherwise.
	OnDevice bool
	// Graphs has a binding's runs on CUDA, when sizes and addresses stay, captured and launched as one graph. Making the session fails
	// for a graph that computes something on the CPU.
	Graphs bool
	// Shape, when set, returns the shape of an output for inputs of the given shapes, or false if it is unknown. Such outputs of Run on the
	// CPU are written to the memory that the caller gets: they are not copied, and the arena does not keep their memory.
	Shape func(output string, inputs map[string][]int) ([]int, bool)
	// MostKept bounds the bytes that operators of domain comfygo keep from run to run; 0 means 512 MiB.
	MostKept int64
	// Profile is the prefix of a file that receives the times of all nodes when the session is closed; "" for none.
	Profile string
	// Config are further session configuration entries, by the library's keys.
	Config map[string]string
	// Release is called once when the session no longer uses the initializers' Data: on the CPU when it is closed, on
	// CUDA as soon as it is made unless some lie On a Region, and always when making it failed.
	Release func()
}

// Initializer is the data of one weight of the model.
type Initializer struct {
	Name  string
	DType dtype.DType
	Shape []int
	// Data are the bytes, which must stay unchanged until Release. On CUDA it may be nil when File is set.
	Data []byte
	// File and Offset are the location of the same bytes on disk, as in the model's external data; "" means none.
	File   string
	Offset int64
	// On and At, when set, are the location of the bytes in a GPU's memory: the session reads them there, and needs neither Data nor
	// File.
	On *Region
	At int
}

func (in Initializer) value() Value { return Value{DType: in.DType, Shape: in.Shape, Data: in.Data} }

// Info describes an input or an output of a session. Unknown dimensions are -1.
type Info struct {
	Name  string
	DType dtype.DType
	Shape []int
}

// String returns the info as "name F32[2 -1 4]".
func (i Info) String() string { return fmt.Sprintf("%s %v%v", i.Name, i.DType, i.Shape) }
