// Package weights is where tensors come from: weight files of several formats behind one interface, views of them, conversion
// of their element types, and the Scope by which a model takes its weights by name and learns of every missing, misshapen
// and unused one at once.
//
// It knows nothing of models, graphs or the model runtime. Nothing in a file is ever executed.
package weights

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/tensor"
)

// Source is a set of named tensors. A Source may be used from several goroutines until it is closed.
type Source interface {
	// Names lists all tensors in file order. The slice must not be changed.
	Names() []string
	// Lookup returns one tensor.
	Lookup(name string) (Entry, bool)
	// Metadata returns the text pairs that came with the file; it may be nil and must not be changed.
	Metadata() map[string]string
	// Path is the file that the tensors were read from.
	Path() string
	// Close releases the file; entries taken from the source become invalid.
	Close() error
}

// Entry is one tensor of a file: its location, its description and its bytes.
type Entry struct {
	// Name is the full name in the file, also when the entry was found through a view such as Sub.
	Name  string
	DType dtype.DType
	// TypeName is the element type as the file spells it, also for types that DType does not have (Invalid).
	TypeName string
	Shape    []int
	// Data holds the elements, little-endian and row-major. It is a part of the mapped file where that is
	// possible, must not be written to, and is invalid once the Source is closed.
	Data []byte
	// File is the path of the file, and Offset the position of Data in it; -1 when the file does not hold the
	// elements in this form (a strided tensor of a .ckpt file, a compressed member).
	File   string
	Offset int64
	// Scheme, when set, describes how Data encodes the elements, whose DType is F32 then; nil means one element of DType after
	// the other.
	Scheme *Scheme

	owner    *filemap.File // nil when Data is private memory
	origin   string        // identifies the content of File; see Key
	computed *computation  // set when the elements are computed from other entries: Data is nil then
	made     bool          // Data was made for this entry, see Made
	variable bool          // see Variable
}

// Made reports that Data is private memory of a changed weight (see Requantized): a session copies it to accounted memory.
func (e Entry) Made() bool { return e.made }

// Variable reports that AsVariable, or a computation from an entry of AsVariable, gave the entry.
func (e Entry) Variable() bool { return e.variable }

// AsVariable returns the entry marked as replaceable by others of the same form: a weight that adapters change, whose elements depend
// on the strength.
func (e Entry) AsVariable() Entry {
	e.variable = true
	if e.Scheme != nil {
		scheme := *e.Scheme
		scheme.Companions = maps.Clone(scheme.Companions)
		for role, c := range scheme.Companions {
			c.variable = true
			scheme.Companions[role] = c
		}
		e.Scheme = &scheme
	}
	return e
}

// Count returns the number of elements.
func (e Entry) Count() int { return tensor.Count(e.Shape) }

// Release tells the system that the pages of the entry, or of all its parts, will not be needed soon: they stop counting
// as resident memory and are read from the file again when touched. Entries held in private memory keep it.
func (e Entry) Release() {
	for _, p := range e.Parts() {
		p.owner.Release(p.Data)
	}
}

// String describes the entry for error messages, such as `"a.weight" F16 [320 4 3 3]`.
func (e Entry) String() string { return fmt.Sprintf("%q %s %v", e.Name, e.typeName(), e.Shape) }

func (e Entry) typeName() string {
	if e.Scheme != nil {
		return e.Scheme.Format
	}
	if e.DType == dtype.Invalid && e.TypeName != "" {
		return e.TypeName
	}
	return e.DType.String()
}

// Named returns src under another path: that of the link by which the user knows the file. Entries keep the path of the file itself, which
// does not change when the link does.
func Named(src Source, path string) Source {
	if src.Path() == path {
		return src
	}
	return namedSource{src, path}
}

type namedSource struct {
	Source
	path string
}

// Path implements Source.
func (s namedSource) Path() string { return s.path }

// Sub returns a view of src that holds the tensors whose name starts with prefix, under the rest of the name.
// Closing the view closes nothing.
func Sub(src Source, prefix string) Source {
	if prefix == "" {
		return view{src, "", src.Names()}
	}
	var names []string
	for _, n := range src.Names() {
		if rest, ok := strings.CutPrefix(n, prefix); ok {
			names = append(names, rest)
		}
	}
	return view{src, prefix, names}
}

type view struct {
	Source
	prefix string
	names  []string
}

// Names implements Source.
func (v view) Names() []string { return v.names }

// Lookup implements Source.
func (v view) Lookup(name string) (Entry, bool) { return v.Source.Lookup(v.prefix + name) }

// Close implements Source.
func (v view) Close() error { return nil }

// Usable returns why the elements cannot be computed with in the form in which they are stored, or nil if they can: a
// *SchemeError for a quantization scheme that is not known. It does not check the data.
func (e Entry) Usable() error {
	if e.Scheme != nil {
		if _, err := e.Matrix(); err != nil {
			var unknown *SchemeError
			if errors.As(err, &unknown) {
				return err
			}
			return fmt.Errorf("tensor %q of %s, quantized as %s: %w", e.Name, e.File, e.Scheme.Format, err)
		}
		return nil
	}
	if e.DType.Size() == 0 {
		return fmt.Errorf("elements of type %s cannot be computed with", e.typeName())
	}
	return nil
}

// check reports whether the entry's data can be converted and fills its shape.
func (e Entry) check() error {
	if err := e.Usable(); err != nil {
		return err
	}
	if e.Scheme != nil {
		m, err := e.Matrix()
		if err == nil {
			err = m.Check()
		}
		return err
	}
	if size := e.DType.Size(); e.computed == nil && len(e.Data) != e.Count()*size {
		return fmt.Errorf("%d bytes of data do not fill the shape", len(e.Data))
	}
	return nil
}
