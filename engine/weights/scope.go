package weights

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Ref is a weight that a model requested.
type Ref struct {
	// Name is the full name in the file.
	Name string
	// Entry is the tensor. When the file lacks it (see Missing), it has the wanted shape, DType Invalid and no data.
	Entry Entry
}

// Missing reports that the file had no such tensor, or one of the wrong shape; the scope's Err reports it.
func (r *Ref) Missing() bool { return r.Entry.File == "" }

// Scope provides a model's weights by name and records which were taken, missing or misshapen. All scopes made from one
// NewScope share the record. A Scope is not safe for concurrent use.
type Scope struct {
	acc    *account
	prefix string // "" or ends in a dot
}

type account struct {
	src      Source
	names    []string // sorted
	used     map[string]bool
	missing  []string
	mismatch []string
	schemes  map[string][]string // tensors in quantization schemes that are not known, by format
	broken   []string            // the errors of quantized tensors
}

// NewScope returns the root scope of src.
func NewScope(src Source) *Scope {
	names := append([]string(nil), src.Names()...)
	sort.Strings(names)
	return &Scope{acc: &account{src: src, names: names, used: make(map[string]bool, len(names))}}
}

// At returns the scope below: s.At("input_blocks", "0.0").Weight("weight") is s.Weight("input_blocks.0.0.weight").
func (s *Scope) At(path ...string) *Scope {
	prefix := s.prefix
	for _, p := range path {
		if p != "" {
			prefix += p + "."
		}
	}
	return &Scope{acc: s.acc, prefix: prefix}
}

// Index is At with a number, for lists of blocks.
func (s *Scope) Index(i int) *Scope { return s.At(strconv.Itoa(i)) }

// Prefix returns the scope's place: "" at the root, otherwise a path that ends in a dot.
func (s *Scope) Prefix() string { return s.prefix }

// Source returns the source that the root scope was made of.
func (s *Scope) Source() Source { return s.acc.src }

// Has reports whether the source has the tensor name, without taking it.
func (s *Scope) Has(name string) bool {
	_, ok := s.acc.src.Lookup(s.prefix + name)
	return ok
}

// HasAny reports whether the source has any tensor below path ("" = below this scope).
func (s *Scope) HasAny(path string) bool {
	prefix := s.At(path).prefix
	i := sort.SearchStrings(s.acc.names, prefix)
	return i < len(s.acc.names) && strings.HasPrefix(s.acc.names[i], prefix)
}

// Count returns the number of path.0, path.1, … below this scope, counting from 0 up to the first gap.
func (s *Scope) Count(path string) int {
	at, n := s.At(path), 0
	for at.HasAny(strconv.Itoa(n)) {
		n++
	}
	return n
}

// Children lists, sorted, the next components of the names below this scope: of "a.b", "a.c.d" and "a.c.e" those of
// scope a are b and c.
func (s *Scope) Children() []string {
	var out []string
	for _, n := range s.acc.names[sort.SearchStrings(s.acc.names, s.prefix):] {
		rest, ok := strings.CutPrefix(n, s.prefix)
		if !ok {
			break
		}
		child, _, _ := strings.Cut(rest, ".")
		out = append(out, child)
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// Shape returns the shape of a tensor without taking it, or nil.
func (s *Scope) Shape(name string) []int {
	e, ok := s.acc.src.Lookup(s.prefix + name)
	if !ok {
		return nil
	}
	return e.Shape
}

// Weight takes a tensor. dims, if given, is the required shape; -1 means any size. The result is never nil: a missing or
// misshapen tensor is recorded for Err and in the Ref, so that a builder can continue and collect all errors.
func (s *Scope) Weight(name string, dims ...int) *Ref {
	if r := s.Optional(name, dims...); r != nil {
		return r
	}
	s.miss(name)
	return absent(s.prefix+name, dims)
}

// miss notes a missing name, once.
func (s *Scope) miss(name string) {
	if full := s.prefix + name; !slices.Contains(s.acc.missing, full) {
		s.acc.missing = append(s.acc.missing, full)
	}
}

// Optional is Weight for a tensor that may be missing: then it returns nil and records nothing. A tensor of the wrong shape
// is an error here too.
func (s *Scope) Optional(name string, dims ...int) *Ref {
	full := s.prefix + name
	e, ok := s.acc.src.Lookup(full)
	if !ok {
		return nil
	}
	s.acc.used[full] = true
	if len(dims) > 0 && !fits(e.Shape, dims) {
		s.acc.mismatch = append(s.acc.mismatch, fmt.Sprintf("%s is %v, wanted %s", full, e.Shape, wanted(dims)))
		return absent(full, dims)
	}
	if e.Scheme != nil {
		if err := e.Usable(); err != nil {
			s.quantized(full, err)
			return absent(full, e.Shape)
		}
	}
	return &Ref{Name: e.Name, Entry: e}
}

// quantized notes a tensor whose scheme cannot be computed with, once.
func (s *Scope) quantized(full string, err error) {
	var unknown *SchemeError
	if !errors.As(err, &unknown) {
		if !slices.Contains(s.acc.broken, err.Error()) {
			s.acc.broken = append(s.acc.broken, err.Error())
		}
		return
	}
	if s.acc.schemes == nil {
		s.acc.schemes = map[string][]string{}
	}
	if format := unknown.Format; !slices.Contains(s.acc.schemes[format], full) {
		s.acc.schemes[format] = append(s.acc.schemes[format], full)
	}
}

// Ignore marks every tensor below path (and the tensor path itself) as used, for keys that a model knows and does
// not need.
func (s *Scope) Ignore(path string) {
	full := s.prefix + path
	for _, n := range s.acc.names {
		if n == full || full == "" || strings.HasPrefix(n, strings.TrimSuffix(full, ".")+".") {
			s.acc.used[n] = true
		}
	}
}

func absent(full string, dims []int) *Ref {
	shape := append([]int(nil), dims...)
	for i, d := range shape {
		shape[i] = max(d, 1)
	}
	return &Ref{Name: full, Entry: Entry{Name: full, Shape: shape, Offset: -1}}
}

func fits(shape, dims []int) bool {
	if len(shape) != len(dims) {
		return false
	}
	for i, d := range dims {
		if d >= 0 && shape[i] != d {
			return false
		}
	}
	return true
}

func wanted(dims []int) string {
	parts := make([]string, len(dims))
	for i, d := range dims {
		parts[i] = "any"
		if d >= 0 {
			parts[i] = strconv.Itoa(d)
		}
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// Unused lists, sorted, the tensors below this scope that were not read.
func (s *Scope) Unused() []string {
	var out []string
	for _, n := range s.acc.names[sort.SearchStrings(s.acc.names, s.prefix):] {
		if !strings.HasPrefix(n, s.prefix) {
			break
		}
		if !s.acc.used[n] {
			out = append(out, n)
		}
	}
	return out
}

// KeysError is the error of Scope.Err: every missing and misshapen tensor, and on request the unused ones.
type KeysError struct {
	Path                      string
	Missing, Mismatch, Unused []string
	// Quantized lists the tensors that are stored in a quantization scheme that is not known, by its format.
	Quantized map[string][]string
	// Broken lists the errors of quantized tensors.
	Broken []string
}

// Error lists up to 20 names of each kind, and the number of further ones.
func (e *KeysError) Error() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"missing", e.Missing}, {"of the wrong shape", e.Mismatch}, {"unused", e.Unused}} {
		if len(p.names) > 0 {
			parts = append(parts, fmt.Sprintf("%d tensors %s: %s", len(p.names), p.what, list(p.names)))
		}
	}
	for _, format := range slices.Sorted(maps.Keys(e.Quantized)) {
		names := e.Quantized[format]
		parts = append(parts, fmt.Sprintf("%d tensors quantized as %s, which cannot be computed with yet (%s): %s", len(names), format, plainAdvice, list(names)))
	}
	if len(e.Broken) > 0 {
		parts = append(parts, list(e.Broken))
	}
	return fmt.Sprintf("binding the weights of %s: %s", e.Path, strings.Join(parts, "; "))
}

// list joins the first 20 names.
func list(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Err returns a *KeysError with all that was missing or misshapen in any scope of the same root; nil if nothing was.
func (s *Scope) Err() error {
	if len(s.acc.missing)+len(s.acc.mismatch)+len(s.acc.schemes)+len(s.acc.broken) == 0 {
		return nil
	}
	return &KeysError{Path: s.acc.src.Path(), Missing: s.acc.missing, Mismatch: s.acc.mismatch, Quantized: s.acc.schemes, Broken: s.acc.broken}
}

// ErrStrict is Err that also counts unused tensors below this scope as errors.
func (s *Scope) ErrStrict() error {
	unused := s.Unused()
	if len(s.acc.missing)+len(s.acc.mismatch)+len(s.acc.schemes)+len(s.acc.broken)+len(unused) == 0 {
		return nil
	}
	return &KeysError{Path: s.acc.src.Path(), Missing: s.acc.missing, Mismatch: s.acc.mismatch, Unused: unused, Quantized: s.acc.schemes, Broken: s.acc.broken}
}
